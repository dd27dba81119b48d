"""Each panel's main way in JupyterLab, its looks, and what must not harm it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.chromium, pytest.mark.long, pytest.mark.timeout(150)]

BOX = """import threading
import ermpoll
box = ermpoll.sandbox.start()
jobs = box.jobs()
"""
CONSOLE = """
def work(row):
    threading.Event().wait(0.3)
    if row["Priority"] == 1:
        raise ValueError("converter: no such series 3")
    return {"Result": {"levels": 3}}
console = ermpoll.console(jobs, work, notices=box.amqp_url, workers=4)
console"""
DRY_RUN = """
def hold(row):
    return {"Processing_Status": "hold", "Priority": 5} if row["Bytes"] > 4e9 else None
panel = ermpoll.dry_run(jobs, hold)
panel"""
#: Short: the name of a table holds 63 bytes.
PAYLOAD = "<img src=x onerror='PWN=1'>"


def above(panel):
    """What stands above a table; a screen reader is told the same elsewhere."""
    return panel.locator(".ermpoll-sheet-bar")


def amiss(book):
    """What went wrong on the page: error outputs and the console's errors."""
    return [*book.errors(), *book.complaints]


def test_a_preview_is_searched_selected_explained_and_claimed(open_book):
    from playwright.sync_api import expect

    book = open_book("preview.ipynb", BOX + "panel = ermpoll.preview(jobs)\npanel")
    book.run_all()
    panel = book.panel("Imaging:Image")

    panel.get_by_label("Search").fill("confocal")
    expect(above(panel).get_by_text("that match")).to_be_visible()
    rid = panel.locator("tbody th a").first.inner_text()
    panel.get_by_label(f"select {rid}").check()
    panel.get_by_role("button", name="Why").click()
    expect(panel.get_by_text(f"{rid} is a candidate")).to_be_visible()
    panel.get_by_role("button", name="Claim 1…").click()
    expect(panel.get_by_text("Claim takes 1 row of Imaging:Image").last).to_be_visible()
    panel.get_by_role("button", name="Claim 1 row").click()
    expect(panel.get_by_text("claimed 1 of 1 row").last).to_be_visible()
    panel.get_by_role("button", name="Release").click()
    expect(panel.get_by_text("released 1 row").last).to_be_visible()

    assert amiss(book) == []


FAIL_MORE = """
def fail(rids, **more):
    rows = [{"RID": rid, "Processing_Status": "error", **more} for rid in rids]
    columns = ",".join(key for key in rows[0] if key != "RID")
    jobs.catalog.put(f"attributegroup/Imaging:Image/RID;{columns}", rows)
first, later = jobs.candidates().rids[:6], jobs.candidates().rids[6:16]
fail(first, Processing_Error="GPU fell off the bus")
panel = ermpoll.monitor(ermpoll.Agent(jobs, print))
panel"""
READ_AGAIN = "panel.read(); panel.refresh()"


def test_a_retry_is_of_the_rows_that_were_ticked_whatever_failed_meanwhile(open_book):
    from playwright.sync_api import expect

    book = open_book("retry.ipynb", BOX, FAIL_MORE)
    book.run_all()
    panel = book.panel("not started")
    boxes = panel.get_by_role("checkbox")
    # the first one ticks all of the page
    expect(boxes).to_have_count(21)
    for n in range(1, 5):
        boxes.nth(n).check()
    edited, *others = book.execute("print(*panel.selected)").split()

    book.execute(f"fail(later); fail([{edited!r}], Specimen='mine'); {READ_AGAIN}")
    panel.get_by_role("button", name="Retry").click()
    expect(panel.get_by_text("3 rows ready again")).to_be_visible()
    left = f"1 left alone: {edited}: changed meanwhile"
    expect(panel.get_by_text(left)).to_be_visible()

    ready = book.execute("print(*jobs.candidates().rids)").split()
    assert set(others) <= set(ready)
    assert edited not in ready
    assert amiss(book) == []


def test_a_dry_run_is_applied_and_undone_by_clicks(open_book):
    from playwright.sync_api import expect

    book = open_book("dry.ipynb", BOX, DRY_RUN)
    book.run_all()
    panel = book.panel("Dry run")
    expect(panel.get_by_text("0 writes sent")).to_be_visible()

    panel.get_by_role("button", name="Apply").click()
    expect(panel.get_by_text("columns Priority, Processing_Status")).to_be_visible()
    panel.get_by_role("button", name="rows").click()
    expect(panel.get_by_text("written").first).to_be_visible()
    panel.get_by_role("button", name="Undo").click()
    panel.get_by_role("button", name="rows").click()
    expect(panel.get_by_text("set back").first).to_be_visible()

    assert book.execute("print(len(box.log))").strip() == "2"
    assert amiss(book) == []


def test_a_hanging_transform_is_cancelled_by_its_button(open_book):
    from playwright.sync_api import expect

    hang = "def hang(row):\n    while True: pass\nermpoll.dry_run(jobs, hang)"
    book = open_book("hang.ipynb", BOX, hang)
    book.run_all()

    book.button("Cancel").click()

    expect(book.panel("cancelled after")).to_be_visible()
    assert amiss(book) == []


def test_axe_finds_nothing_serious_in_light_or_dark(open_book):
    from axe_playwright_python.sync_playwright import Axe

    book = open_book(
        "axe.ipynb",
        BOX,
        CONSOLE,
        DRY_RUN,
        "ermpoll.preview(jobs)",
        "ermpoll.compare(jobs.plan(hold), jobs.plan()).panel()",
        "ermpoll.shadow(jobs, hold).panel()",
    )
    book.run_all()
    book.panel("Monitor").get_by_role("button", name="Start").click()
    book.panel("Monitor").get_by_text("looked, took").first.wait_for()

    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        book.theme(theme)
        # The cells around the panels are JupyterLab's own.
        found = Axe().run(book.page, context=".ermpoll-live").response["violations"]

        serious = [
            f"{one['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
            for one in found
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]
        assert (theme, serious) == (theme, [])


def test_a_console_at_600_pixels_is_reached_by_keys_and_names_the_zone(open_book):
    from playwright.sync_api import expect

    book = open_book("narrow.ipynb", BOX, CONSOLE, width=600, height=1400)
    book.run_all()
    page = book.page
    panel = book.panel("Monitor")
    panel.wait_for()
    expect(page.get_by_text("times in Europe/Berlin").first).to_be_visible()

    wide = page.evaluate(
        """() => [...document.querySelectorAll('.ermpoll-live button')]
            .filter(one => one.offsetParent && !one.closest('table'))
            .map(one => one.getBoundingClientRect())
            .filter(box => box.right > window.innerWidth || box.width < 20).length"""
    )
    reached = set()
    panel.get_by_role("tab", name="Monitor").focus()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim()"))

    assert wide == 0
    assert "Start" in reached


def test_no_payload_of_a_catalog_runs_in_the_page(open_book):
    cells = [
        "import ermpoll\nfrom tests.helpers import tables\n"
        "box = ermpoll.sandbox.start()\n"
        f"text = {PAYLOAD!r}\n"
        "names = {n: f'{n} {text}' for n in ('state', 'owner', 'error', 'name')}\n"
        "catalog = ermpoll.connect(box.new_catalog())\n"
        "columns = dict.fromkeys(names.values(), 'text')\n"
        "tables.make_table(catalog, columns, name=f'Job {text}')\n"
        "words = {w: f'{w} {text}' for w in ('ready', 'claimed', 'done', 'failed')}\n"
        "jobs = ermpoll.Queue(catalog, f'Ops:Job {text}', **words,\n"
        "    **{n: names[n] for n in ('state', 'owner', 'error')})\n"
        "catalog.post(f'entity/{jobs.definition.table.path}', [\n"
        "    {names['state']: s, names['name']: text, names['error']: text}\n"
        "    for s in (words['ready'], words['failed'], words['claimed'])] * 2)",
        "def work(row):\n    raise ValueError(text)\n"
        "agent = ermpoll.Agent(jobs, work, name=text)\n"
        "console = ermpoll.console(agent)\nconsole",
        "preview = ermpoll.preview(jobs)\n"
        "preview.select(preview.candidates.rids)\npreview.why()\npreview",
        "dry = ermpoll.dry_run(jobs, lambda row: {names['name']: text + '!',\n"
        "    names['state']: words['done']}, limit=1)\ndry.arm()\ndry",
        "jobs.candidates()",
        "dry.plan",
        "dry.apply()",
        "jobs.failures()",
        "agent",
        "console._fail('start', ValueError(text))\nconsole.start()",
    ]
    book = open_book("payload.ipynb", *cells)
    book.run_all()
    console = book.page.locator(".ermpoll-live", has_text="lost races").first
    console.get_by_text("looked, took").first.wait_for()

    assert "onerror" in book.page.content()
    assert book.page.evaluate("window.PWN === undefined")
    assert book.page.locator(".jp-OutputArea img").count() == 0
    assert amiss(book) == []


def test_a_flood_of_events_leaves_the_page_live_and_final(open_book):
    from playwright.sync_api import expect

    cells = [
        "import ermpoll, time\nfrom ermpoll.notices.base import LocalNotices\n"
        "notices = LocalNotices()\n"
        "poller = ermpoll.Poller(lambda: False, notices=notices)\n"
        "panel = poller.panel()\npoller.start()\npanel",
        "begun = time.monotonic()\n"
        "for number in range(60_000):\n"
        "    notices.notify()\n"
        "    while number / 20_000 > time.monotonic() - begun: pass",
        "print(poller.status.notices.received)\npoller.stop()",
    ]
    book = open_book("flood.ipynb", *cells)
    book.run_all()

    expect(book.panel("stopped since")).to_be_visible()
    received = book.execute("print(poller.status.notices.received)").strip()
    assert int(received) >= 59_000
    drawn = book.execute("print(sum(poller.status.notices_per_min))").strip()
    shown = [
        int(text.replace(",", ""))
        for text in book.panel("notices/min").locator(".ermpoll-big").all_inner_texts()
    ]
    assert shown[0] <= int(drawn)
    assert shown[0] > 0
    assert amiss(book) == []


def test_restarting_the_kernel_leaves_the_page_and_no_process_behind(open_book):
    from playwright.sync_api import expect

    book = open_book("restart.ipynb", BOX, CONSOLE)
    book.run_all()
    book.panel("Monitor").get_by_role("button", name="Start").click()
    book.panel("Monitor").get_by_text("looked, took").first.wait_for()
    url = json.loads(book.execute("import json; print(json.dumps(box.url))"))

    book.restart()

    expect(book.panel("Monitor")).to_be_visible()
    assert book.errors() == []
    gone = (
        f"import urllib.request\ntry: urllib.request.urlopen({url!r}, timeout=3)\n"
        "except OSError: print('gone')"
    )
    assert book.execute(gone).strip() == "gone"
    book.run_all()
    expect(book.panel("not started")).to_be_visible()
    assert amiss(book) == []


def test_re_running_the_cell_of_a_console_runs_one_agent(open_book):
    book = open_book("again.ipynb", BOX, CONSOLE, "console.start(); ermpoll.agents()")
    book.run_all()
    for index in (1, 2):
        book.run_cell(index)

    assert book.execute("print(len(ermpoll.agents()))").strip() == "1"
    assert amiss(book) == []


@pytest.mark.parametrize("version", ["6.31.0"])
def test_panels_work_on_an_old_kernel(
    open_book, running_lab, tmp_path_factory, version
):
    from playwright.sync_api import expect

    kernel = old_kernel(tmp_path_factory.mktemp("kernel"), running_lab, version)
    running_lab.write("old.ipynb", [BOX, CONSOLE, DRY_RUN], kernel=kernel)
    book = open_book("old.ipynb")
    book.run_all()
    assert book.execute("import ipykernel; print(ipykernel.__version__)") == (
        f"{version}\n"
    )

    console = book.panel("Monitor")
    console.get_by_role("button", name="Start").click()
    expect(console.get_by_text("looked, took").first).to_be_visible()
    console.get_by_role("button", name="Stop").click()
    expect(console.get_by_text("stopped since")).to_be_visible()
    assert amiss(book) == []


def old_kernel(folder, lab, version):
    """Install an older ipykernel beside the present one, and tell JupyterLab of it."""
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target"]
    made = subprocess.run(
        [*pip, str(folder), f"ipykernel=={version}"], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("ipykernel can't be installed here: no package index")
    name = f"ipykernel-{version}"
    spec = lab.kernels / name
    spec.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    body = {
        "argv": argv,
        "display_name": name,
        "language": "python",
        "env": {"PYTHONPATH": f"{folder}:{lab.root}"},
    }
    (spec / "kernel.json").write_text(json.dumps(body))
    return name

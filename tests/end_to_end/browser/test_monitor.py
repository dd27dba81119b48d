"""The monitor in JupyterLab: all failures, one reading, how far it is, the pictures."""

from __future__ import annotations

import json
import re

import pytest

pytestmark = [pytest.mark.chromium, pytest.mark.long, pytest.mark.timeout(150)]

FAILING = """import threading
import ermpoll
box = ermpoll.sandbox.start()
jobs = box.jobs()
box.add(90)
rids = jobs.candidates(70).rids
jobs.catalog.put(
    "attributegroup/Imaging:Image/RID;Processing_Status,Processing_Error",
    [{"RID": rid, "Processing_Status": "error",
      "Processing_Error": f"GPU {n % 4} fell off the bus at 0x{n:08x}"}
     for n, rid in enumerate(rids)],
)
gate = threading.Event()
def convert(row):
    job = ermpoll.current_job()
    job.progress(0.5, "levels")
    gate.wait(60)
    raise ValueError("converter: no such series 3")
console = ermpoll.console(jobs, convert, workers=2, notices=box.amqp_url, name="images",
                          time_limit_s=600)
console"""


def amiss(book):
    """What went wrong on the page: error outputs and the console's errors."""
    return [*book.errors(), *book.complaints]


def axe(book):
    """The serious things that axe finds in our panels."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(book.page, context=".ermpoll-live").response["violations"]
    return [
        f"{one['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def number(text):
    """The first number of a text."""
    return int(re.search(r"[\d,]+", text)[0].replace(",", ""))


def test_all_failures_are_paged_searched_grouped_and_retried(open_book):
    from playwright.sync_api import expect

    book = open_book("failing.ipynb", FAILING, height=1600)
    book.run_all()
    panel = book.panel("Monitor")
    failed = number(panel.get_by_text(re.compile(r"^Failed: ")).inner_text())
    assert failed == number(book.execute("print(jobs.counts()['error'])"))

    expect(panel.get_by_text(f"1 to 20 of {failed}")).to_be_visible()
    panel.get_by_role("button", name="Next", exact=True).click()
    expect(panel.get_by_text(f"21 to 40 of {failed}")).to_be_visible()

    panel.get_by_role("button", name=re.compile("GPU … fell off")).click()
    expect(panel.get_by_text("1 to 20 of 70 that match")).to_be_visible()
    panel.get_by_role("button", name="Retry these 70").click()
    expect(panel.get_by_text("70 rows ready again")).to_be_visible()
    # the reading that follows at once: caption, bar and tab
    expect(panel.get_by_text(re.compile(rf"^Failed: {failed - 70},"))).to_be_visible()
    waiting = number(book.execute("print(jobs.waiting())"))
    expect(panel.get_by_role("tab", name=f"Preview {waiting}")).to_be_visible()
    expect(panel.get_by_text(re.compile(r"^read at [\d:]+$"))).to_be_visible()

    panel.get_by_role("tab", name="Acts").click()
    expect(panel.get_by_text("70 won, 0 lost, 0 unknown")).to_be_visible()
    assert amiss(book) == []


def test_a_drawer_tells_how_a_row_failed_and_axe_has_nothing_to_say(open_book):
    from playwright.sync_api import expect

    book = open_book("drawer.ipynb", FAILING, height=1600)
    book.run_all()
    book.execute("gate.set(); agent = console.agent")
    panel = book.panel("Monitor")
    book.execute(
        "for _ in range(9): agent.run_once()\n"
        "done = [one.rid for one in agent.status.failures if agent.attempts(one.rid)]\n"
        "jobs.catalog.put('attributegroup/Imaging:Image/RID;Processing_Status',"
        " [{'RID': done[0], 'Processing_Status': 'error'}])\n"
        "console.monitor.read(); console.monitor.select([done[0]])\n"
        "console.monitor.refresh()"
    )
    panel.get_by_role("button", name="Open").first.click()
    expect(panel.get_by_text("How it failed here").first).to_be_visible()
    expect(panel.get_by_text("Traceback").first).to_be_visible()
    expect(panel.get_by_text("in convert").first).to_be_visible()

    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        book.theme(theme)
        for tab in ("Monitor", "Preview", "Dry run", "Pictures", "Acts"):
            panel.get_by_role("tab", name=re.compile(f"^{tab}")).click()
            book.page.wait_for_timeout(600)
            assert (theme, tab, axe(book)) == (theme, tab, [])
    assert amiss(book) == []


def test_progress_workers_and_giving_up_are_on_the_page(open_book):
    from playwright.sync_api import expect

    book = open_book("progress.ipynb", FAILING, height=1600)
    book.run_all()
    panel = book.panel("Monitor")
    panel.get_by_role("button", name="Start").click()
    expect(panel.get_by_text("Running now (2 of 2 workers")).to_be_visible()
    expect(panel.get_by_text("50% levels").first).to_be_visible()
    expect(panel.get_by_text(re.compile(r"9 min 5\d s")).first).to_be_visible()
    expect(panel.get_by_text(re.compile(r"^0% 0/\d+")).first).to_be_visible()

    panel.get_by_label("Workers").fill("4")
    panel.get_by_label("Workers").press("Enter")
    expect(panel.get_by_text("Running now (4 of 4 workers")).to_be_visible()

    book.execute("console.stop(timeout_s=0.2)")
    panel.get_by_role("button", name="Abandon 4…").click()
    expect(panel.get_by_text(re.compile("Gives back 4 rows"))).to_be_visible()
    panel.get_by_role("button", name="Give back 4").click()
    expect(panel.get_by_text("stopped since").first).to_be_visible()
    expect(panel.get_by_text(re.compile("released 4"))).to_be_visible()
    book.execute("gate.set()")
    assert amiss(book) == []


def test_pictures_have_axes_and_their_numbers_and_stay_without_a_kernel(open_book):
    from playwright.sync_api import expect

    book = open_book(
        "pictures.ipynb",
        FAILING,
        "gate.set()\nconsole.agent.run_once()\njobs.counts(); jobs.counts()\n"
        "console.agent.metrics",
        height=1600,
    )
    book.run_all()
    panel = book.panel("Monitor")
    panel.get_by_role("tab", name="Pictures").click()
    charts = panel.locator("svg.ermpoll-chart")
    expect(charts.first).to_be_visible()
    assert charts.count() >= 3
    assert charts.first.locator("text").count() >= 7
    expect(panel.get_by_role("columnheader", name="p99")).to_be_visible()

    book.restart()
    static = book.page.locator(".jp-CodeCell").nth(1).locator(".ermpoll")
    expect(static.locator("svg.ermpoll-chart").first).to_be_visible()
    expect(static.get_by_role("columnheader", name="p99")).to_be_visible()
    row = static.get_by_role("row", name=re.compile("^working"))
    assert number(row.inner_text().partition("working")[2]) >= 1
    assert book.errors() == []


@pytest.mark.parametrize("width", [600, 1200, 2200])
def test_the_width_is_used_and_nothing_is_cut_off(open_book, width):
    book = open_book("wide.ipynb", FAILING, width=width, height=1600)
    book.command("application:toggle-left-area")
    book.run_all()
    book.panel("Monitor").get_by_text("Failed: ").wait_for()

    found = json.loads(
        book.page.evaluate(
            """() => {
                const panel = document.querySelector('.ermpoll-live');
                const whole = panel.getBoundingClientRect();
                const table = panel.querySelector('.ermpoll-across table');
                const buttons = [...panel.querySelectorAll('button')]
                    .filter(one => one.offsetParent && !one.closest('table'))
                    .map(one => one.getBoundingClientRect())
                    .filter(box => box.right > whole.right + 1);
                return JSON.stringify({
                    share: whole.width / window.innerWidth,
                    cut: buttons.length,
                    aside: table.scrollWidth - table.parentElement.clientWidth,
                });
            }"""
        )
    )
    assert found["cut"] == 0
    assert found["share"] > 0.7
    if width >= 1200:
        assert found["aside"] <= 0

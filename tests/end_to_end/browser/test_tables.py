"""Long tables in JupyterLab: pages, filters, ticks, keys, what must not break."""

from __future__ import annotations

import pytest

from tests.end_to_end.browser.test_panels import BOX, above, amiss

pytestmark = [pytest.mark.chromium, pytest.mark.long, pytest.mark.timeout(150)]

MANY = BOX + "for _ in range(4): box.add(100)\npanel = ermpoll.preview(jobs)\npanel"
CHANGES = """
def decide(row):
    if row["Modality"] == "micro-CT":
        raise MemoryError("a volume does not fit")
    if row["Bytes"] > 8e9:
        return {"Priority": "huge", "Specimen": "x"}
    return {"Processing_Status": "hold"} if row["Priority"] > 1 else None
panel = ermpoll.dry_run(jobs, decide, limit=1000)
panel"""
WIDE = """
from tests.helpers import tables
catalog = ermpoll.connect(box.new_catalog())
names = {f"c{n:03}": "text" for n in range(300)}
tables.make_table(catalog, {"state": "text", **names}, name="Wide")
wide = ermpoll.Queue(catalog, "Ops:Wide", ready="new")
catalog.post("entity/Ops:Wide", [
    {"state": "new", "c000": "x" * (1_000_000 if n % 20 == 0 else 9), "c299": "far"}
    for n in range(60)])
panel = ermpoll.preview(wide)
panel"""


def focused(book):
    """What has the focus: its key in a table, or its text."""
    return book.page.evaluate(
        "document.activeElement.dataset.key || document.activeElement.textContent"
    )


def counted(book, kind):
    """How many rows of the plan are of a kind."""
    count = f"print(sum(c.kind == {kind!r} for c in panel.plan.changes))"
    return int(book.execute(count))


def cells(book):
    """How many cells the notebook has, and of which kinds."""
    return book.page.evaluate(
        """() => window.jupyterapp.shell.currentWidget.content.widgets
            .map(cell => cell.model.type).join()"""
    )


def test_rows_are_searched_ticked_and_opened_by_keys_alone(open_book):
    from playwright.sync_api import expect

    book = open_book("keys.ipynb", MANY)
    book.run_all()
    keys, panel = book.page.keyboard, book.panel("Imaging:Image")
    panel.get_by_label("select all shown").focus()
    keys.press("/")
    assert focused(book) == "search"
    keys.type("confocal")
    expect(above(panel).get_by_text("that match")).to_be_visible()
    assert focused(book) == "search"

    for key in ("ArrowDown", "ArrowDown", "Space"):
        keys.press(key)
    boxes = panel.locator("tbody input")
    rid = boxes.nth(1).get_attribute("data-rid")
    assert focused(book) == f"tick:{rid}"
    assert book.execute("print(*panel.selected)").split() == [rid]
    keys.press("Enter")
    expect(panel.get_by_text(f"{rid} is a candidate")).to_be_visible()
    assert focused(book) == f"tick:{rid}"
    keys.press("Escape")
    expect(panel.get_by_text("is a candidate")).to_have_count(0)
    before = book.execute("print(panel.read_at)")
    keys.press("r")
    book.page.wait_for_timeout(1000)
    assert book.execute("print(panel.read_at)") != before
    assert focused(book) == f"tick:{rid}"
    assert amiss(book) == []


def test_all_that_match_are_claimed_by_keys_and_no_key_harms_the_notebook(open_book):
    from playwright.sync_api import expect

    book = open_book("all.ipynb", MANY)
    book.run_all()
    keys, panel = book.page.keyboard, book.panel("Imaging:Image")
    book.execute("panel.table.filter('Modality', 'confocal')")
    expect(above(panel).get_by_text("that match")).to_be_visible()
    before = cells(book)

    panel.locator("tbody input").first.focus()
    keys.press("Space")
    keys.press("PageDown")
    expect(above(panel).get_by_text("51 to")).to_be_visible()
    keys.press("a")
    expect(panel.get_by_text("1 of them elsewhere")).to_be_visible()
    keys.press("Shift+A")
    expect(panel.get_by_text("all 1")).to_be_visible()
    for letter in "bdxcvzmy":
        keys.press(letter)
    assert focused(book).startswith("tick:")
    n = int(book.execute("print(panel.table.picked_count)"))
    panel.get_by_role("button", name=f"Claim {n}…").focus()
    for key in ("b", "x", "Enter"):
        keys.press(key)
    expect(
        panel.get_by_text(f"Claim takes {n} rows of Imaging:Image").last
    ).to_be_visible()
    panel.get_by_role("button", name=f"Claim {n} rows").press("Enter")
    expect(panel.get_by_text(f"claimed {n} of {n} rows").last).to_be_visible()

    kinds = book.execute("print({r['Modality'] for r in panel.claimed})")
    assert kinds == "{'confocal'}\n"
    assert cells(book) == before
    assert amiss(book) == []


def test_heads_sort_fields_filter_and_pages_turn_by_clicks(open_book):
    from playwright.sync_api import expect

    book = open_book("clicks.ipynb", MANY)
    book.run_all()
    panel = book.panel("Imaging:Image")

    panel.get_by_role("button", name="Bytes").click()
    expect(panel.get_by_role("button", name="Bytes ▲")).to_be_focused()
    expect(panel.locator("th[aria-sort=ascending]")).to_have_count(1)
    panel.get_by_role("button", name="Filters").click()
    panel.get_by_label("filter Bytes").fill("1,000,000,000..2,000,000,000")
    expect(above(panel).get_by_text("that match")).to_be_visible()
    sizes = panel.locator("tbody td.ermpoll-number").all_inner_texts()
    found = [int(text.replace(",", "")) for text in sizes if "," in text]
    assert found == sorted(found)
    assert 1_000_000_000 <= found[0] <= found[-1] <= 2_000_000_000
    panel.get_by_label("filter Bytes").fill("many")
    expect(panel.get_by_text("Bytes: expected a number")).to_be_visible()
    panel.get_by_label("filter Bytes").fill("")
    expect(above(panel).get_by_text("1 to 50 of 436")).to_be_visible()
    expect(panel.get_by_text("Bytes: expected a number")).to_have_count(0)
    panel.get_by_role("button", name="Next").click()
    expect(above(panel).get_by_text("51 to 100 of 436")).to_be_visible()
    assert amiss(book) == []


def test_a_catalog_that_goes_away_while_a_page_is_turned_is_said_beside_it(open_book):
    from playwright.sync_api import expect

    book = open_book("away.ipynb", MANY)
    book.run_all()
    panel = book.panel("Imaging:Image")
    book.execute("box.faults(status=500, times=1)")

    panel.get_by_role("button", name="Next").click()

    expect(panel.get_by_text("500").first).to_be_visible()
    expect(above(panel).get_by_text("1 to 50 of 436")).to_be_visible()
    panel.get_by_role("button", name="Next").click()
    expect(above(panel).get_by_text("51 to 100 of 436")).to_be_visible()
    assert amiss(book) == []


def test_each_change_of_a_long_dry_run_is_reached_and_problems_are_one_line(open_book):
    from playwright.sync_api import expect

    book = open_book("long.ipynb", BOX + "for _ in range(4): box.add(100)", CHANGES)
    book.run_all()
    panel = book.panel("Dry run")
    changed, bad, failed = (counted(book, k) for k in ("changed", "problem", "failed"))
    expect(panel.get_by_role("button", name=f"Apply {changed}…")).to_be_visible()

    panel.get_by_role("button", name=f"{bad} problems").click()
    expect(above(panel).get_by_text(f"of {bad} that match")).to_be_visible()
    panel.get_by_role("button", name=f"{failed} rows: MemoryError").click()
    expect(above(panel).get_by_text(f"of {failed} that match")).to_be_visible()
    panel.get_by_role("button", name="more of").first.click()
    expect(panel.locator("pre", has_text="decide")).to_be_visible()
    panel.get_by_role("button", name=f"{changed} changed").click()
    expect(above(panel).get_by_text(f"of {changed} that match")).to_be_visible()
    rids = panel.locator("tbody th a")
    seen = set(rids.all_inner_texts())
    while panel.get_by_role("button", name="Next").is_enabled():
        first = rids.first.inner_text()
        panel.get_by_role("button", name="Next").click()
        expect(rids.first).not_to_have_text(first)
        seen |= set(rids.all_inner_texts())

    assert len(seen) == changed
    assert amiss(book) == []


def test_a_csv_file_comes_to_the_browser_as_well(open_book, tmp_path):
    book = open_book(
        "csv.ipynb", f"import os; os.chdir({str(tmp_path)!r})", BOX, CHANGES
    )
    book.run_all()
    panel = book.panel("Dry run")

    panel.get_by_role("button", name="CSV").click()
    with book.page.expect_download() as waiting:
        panel.get_by_role("button", name="Download").click()

    [written] = tmp_path.glob("*.csv")
    assert waiting.value.suggested_filename == written.name
    assert waiting.value.path().read_bytes() == written.read_bytes()
    assert amiss(book) == []


def test_what_is_sent_is_named_before_and_counted_after_an_undo_as_well(open_book):
    from playwright.sync_api import expect

    book = open_book("sent.ipynb", BOX + "for _ in range(4): box.add(100)", CHANGES)
    book.run_all()
    panel = book.panel("Dry run")
    n = counted(book, "changed")

    panel.get_by_role("button", name="Apply").click()
    expect(panel.get_by_text("columns Processing_Status.")).to_be_visible()
    panel.get_by_role("button", name=f"Apply {n} rows").click()
    expect(panel.get_by_role("button", name=f"{n} written")).to_be_visible()
    panel.get_by_role("button", name="Undo").click()
    panel.get_by_role("button", name=f"Undo {n} rows").click()
    expect(panel.get_by_text(f"{n} set back")).to_be_visible()

    writes = book.execute("print(jobs.catalog.writes)").strip()
    expect(panel.get_by_text(f"{writes} writes sent")).to_be_visible()
    assert amiss(book) == []


def test_a_click_is_not_lost_to_what_is_drawn_meanwhile(open_book):
    book = open_book("press.ipynb", MANY)
    book.run_all()
    panel = book.panel("Imaging:Image")

    panel.get_by_role("button", name="more of").first.hover()
    book.page.mouse.down()
    book.execute("sheet = panel.table.widget; sheet.page = {**sheet.page, 'new': 1}")
    book.page.mouse.up()

    panel.locator(".ermpoll-drawer").wait_for()
    assert amiss(book) == []


def test_300_columns_and_cells_of_a_megabyte_are_cut_with_words(open_book):
    from playwright.sync_api import expect

    book = open_book("wide.ipynb", BOX, WIDE)
    book.run_all()
    panel = book.panel("Ops:Wide")

    expect(panel.get_by_text("(1,000,000 characters)").first).to_be_visible()
    panel.get_by_role("button", name="Next").click()
    expect(above(panel).get_by_text("51 to 60 of 60")).to_be_visible()

    sent = "import json; print(len(json.dumps(panel.table.widget.page)))"
    assert int(book.execute(sent)) < 200_000
    assert amiss(book) == []


def test_axe_finds_nothing_serious_in_a_table_that_is_in_use(open_book):
    from axe_playwright_python.sync_playwright import Axe

    book = open_book("axe-tables.ipynb", MANY, CHANGES)
    book.run_all()
    for name in ("Imaging:Image", "Dry run"):
        panel = book.panel(name)
        panel.get_by_role("button", name="Filters").click()
        # by key: what moves above it while a run ends is hit by no key
        panel.get_by_role("button", name="more of").first.press("Enter")
        panel.locator(".ermpoll-drawer").wait_for()

    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        book.theme(theme)
        found = Axe().run(book.page, context=".ermpoll-live").response["violations"]
        said = [
            f"{one['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
            for one in found
            for node in one["nodes"]
        ]
        assert (theme, said) == (theme, [])

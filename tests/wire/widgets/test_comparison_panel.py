from __future__ import annotations

from dataclasses import replace

import pytest

import ermpoll
from ermpoll.history.comparison import RowPair, of_cells, pair_cells
from ermpoll.render.comparisons import comparison_body, comparison_pages
from tests.helpers import pages
from tests.helpers.conditions import wait_until


def hold(row):
    return {"Processing_Status": "hold"}


def high(row):
    return hold(row) if row["Priority"] > 1 else {"Processing_Status": "review"}


def many(n, columns=1):
    """Rows that compare the same, ``1-001`` and on."""
    told = {f"Column_{number}": "<" * 999 for number in range(columns)}
    cells = pair_cells({}, told, told)
    return (
        RowPair(rid=f"1-{n:03}", likeness=of_cells(cells), cells=cells)
        for n in range(n)
    )


@pytest.fixture
def shadow(jobs):
    made = ermpoll.shadow(jobs, lambda row: {}, rate=None)
    yield made
    made.stop()


def test_rows_are_chosen_by_how_they_compare(jobs, keep):
    told = ermpoll.compare(jobs.plan(hold), jobs.plan(high))
    panel = keep(told.panel())
    [same, other] = [
        next(row.rid for row in told.rows if row.likeness.value == word)
        for word in ("same", "other")
    ]
    assert same in panel._section._body.value
    assert other in panel._section._body.value

    panel._section.which.value = "other"

    wait_until(lambda: same not in panel._section._body.value)
    assert other in panel._section._body.value
    text = pages.text_of(panel._repr_html_())
    assert same not in text
    assert "Imaging:Image: a beside b" in text


def test_all_rows_are_reached_page_by_page(jobs, keep):
    plan = jobs.plan(hold)
    told = replace(ermpoll.compare(plan, plan), rows=(*many(120),))
    section = keep(told.panel())._section
    seen = []

    for until in ("1 to 50 of 120", "51 to 100 of 120", "101 to 120 of 120"):
        wait_until(lambda until=until: f"rows {until}" in section._body.value)
        seen += [row.rid for row in told.rows if f">{row.rid}<" in section._body.value]
        section.next.click()

    assert seen == [row.rid for row in told.rows]
    assert section.next.disabled
    section.which.value = "missed"
    wait_until(lambda: "No row compares so" in section._body.value)
    assert section.next.layout.display == "none"
    section.which.value = "same"
    wait_until(lambda: "rows 1 to 50" in section._body.value)


def test_a_page_of_wide_rows_has_fewer_of_them(jobs, keep):
    plan = jobs.plan(hold)
    told = replace(ermpoll.compare(plan, plan), rows=(*many(4, columns=300),))

    pages_ = comparison_pages(told)

    assert [len(page.rows) for page in pages_] == [1, 1, 1, 1]
    assert all(len(comparison_body(told, page)) < 200_000 for page in pages_)


def test_a_shadow_starts_stops_and_shows_what_it_sees(jobs, keep, shadow):
    panel = keep(shadow.panel())
    assert shadow.status.state == "stopped"
    panel.buttons.start.click()
    wait_until(lambda: shadow.comparison.since)

    claim = jobs.claim(1)
    jobs.complete(claim)
    shadow.look_now()

    [rid] = claim.rids
    wait_until(lambda: shadow.comparison.counts["same"] == 1)
    wait_until(lambda: rid in panel._section._body.value)
    panel.buttons.stop.click()
    wait_until(lambda: "stopped" in panel._title.value)
    text = pages.text_of(panel._repr_html_())
    assert "shadow of Imaging:Image ○ stopped since" in text
    assert rid in text


def test_closing_the_view_of_a_shadow_ends_nothing(shadow):
    with shadow.panel() as panel:
        panel.start()

    assert shadow.status.state != "stopped"


def test_what_is_shown_is_drawn_once(jobs, keep):
    panel = keep(ermpoll.compare(jobs.plan(hold), jobs.plan(high)).panel())
    drawn = []
    panel._section._body.observe(drawn.append, "value")

    panel.refresh()
    panel.refresh()

    assert drawn == []

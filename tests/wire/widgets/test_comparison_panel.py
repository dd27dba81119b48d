from __future__ import annotations

import pytest

import ermpoll
from tests.helpers import pages
from tests.helpers.conditions import wait_until


def hold(row):
    return {"Processing_Status": "hold"}


def high(row):
    return hold(row) if row["Priority"] > 1 else {"Processing_Status": "review"}


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

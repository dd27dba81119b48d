from __future__ import annotations

import pytest

import ermpoll
from ermpoll.history import RowPhase
from tests.helpers.pasts import capture, table_past
from tests.helpers.tables import add, edit, queue

NEW = {"state": "actionable"}


def test_counts_are_those_that_were_met_live(catalog):
    jobs = queue(catalog)
    begin = table_past(jobs).past.last
    met = {}
    for number in range(6):
        add(catalog, NEW, NEW)
        claim = jobs.claim(2)
        jobs.fail(claim, {claim.rids[0]: "x"})
        if number % 2:
            jobs.complete(claim)
        met[table_past(jobs).past.last] = jobs.counts()

    told = jobs.timeline(begin, points=40, rate=None)

    for place, at in enumerate(told.at):
        known = [counts for moment, counts in met.items() if moment <= at]
        later = [moment for moment in met if moment > at]
        if known and not later:
            found = {word: n[place] for word, n in told.counts.items() if n[place]}
            assert found == known[-1]
    for moment, counts in met.items():
        [end] = (
            jobs.timeline(begin, moment, points=2, rate=None)
            .frame.tail(1)
            .to_dict("records")
        )
        assert {w: end[f"rows {w}"] for w in counts} == counts


def test_what_came_and_was_finished_is_counted_by_interval(catalog):
    jobs = queue(catalog)
    begin = table_past(jobs).past.last
    add(catalog, *[NEW] * 5)
    claim = jobs.claim(4)
    jobs.fail(claim, {claim.rids[0]: "x"})
    jobs.complete(claim)

    told = jobs.timeline(begin, points=8, rate=None)

    assert sum(told.arrivals) == 5
    assert sum(told.completions) == 3
    assert sum(told.failures) == 1
    assert told.arrivals[0] == 0
    phases = {
        "actionable": RowPhase.READY,
        "complete": RowPhase.DONE,
        "failed": RowPhase.FAILED,
    }
    assert phases.items() <= told.phases.items()


def test_the_frame_has_a_line_for_each_moment(catalog):
    jobs = queue(catalog)
    begin = table_past(jobs).past.last
    add(catalog, NEW)

    frame = jobs.timeline(begin, points=5, rate=None).frame

    assert len(frame) == 5
    assert frame.columns[0] == "at"
    assert list(frame["rows actionable"])[-1] == 1
    assert str(frame["arrivals"].dtype) == "Int64"


def test_a_drawing_has_axes_and_no_script(catalog):
    jobs = queue(catalog)
    begin = table_past(jobs).past.last
    add(catalog, *[NEW] * 9, {"state": "<b>odd</b>"})

    told = jobs.timeline(begin, points=5, rate=None)

    assert told.svg.startswith("<svg")
    assert 'text-anchor="end"' in told.svg
    assert "<polyline" in told.svg
    page = told._repr_html_()
    assert "&lt;b&gt;odd&lt;/b&gt;" in page
    assert "<b>odd" not in page
    assert "<script" not in page


def test_sixty_moments_cost_less_than_a_hundred_requests(catalog):
    jobs = queue(catalog)
    begin = table_past(jobs).past.last
    for _ in range(20):
        add(catalog, *[NEW] * 5)
        jobs.complete(jobs.claim(5))

    told = jobs.timeline(begin, rate=None)

    assert len(told.at) == 60
    assert told.requests < 100
    assert told.working.rows > 0


def test_moments_that_the_catalog_cant_tell_of_are_left_open(catalog):
    jobs = queue(catalog)
    add(catalog, NEW)
    begin = table_past(jobs).past.last
    capture(catalog, False)
    edit(catalog, *add(catalog, NEW), priority=1)
    capture(catalog, True)
    add(catalog, NEW)

    told = jobs.timeline(begin, points=30, rate=None)

    assert None in told.counts["actionable"]
    assert told.counts["actionable"][-1] == 3
    assert any("history was switched off" in one for one in told.told)
    assert told._repr_html_()


@pytest.mark.parametrize("moment", [2, 4])
def test_what_takes_the_catalog_too_long_is_left_open_and_told(catalog, box, moment):
    jobs = queue(catalog)
    add(catalog, NEW)
    begin = table_past(jobs).past.last
    add(catalog, NEW)
    end = table_past(jobs).past.last

    def slow(progress):
        if progress.text.startswith("rows per state") and progress.done == moment:
            # of the last moment, what is asked after it as well
            times = 4 if moment == 4 else 1
            box.faults(status=400, detail="Query run time limit exceeded.", times=times)

    told = jobs.timeline(begin, end, points=5, rate=None, progress=slow)

    box.faults()
    assert told.counts["actionable"][moment] is None
    assert told.counts["actionable"][1] == 1
    assert (None in told.arrivals, told.waiting.rows) == (moment == 4, 0)
    assert any("longer than the catalog allows" in one for one in told.told)
    assert str(told.frame["arrivals"].dtype) == "Int64"
    assert told._repr_html_()


def test_a_period_without_changes_is_flat(catalog):
    jobs = queue(catalog)
    add(catalog, NEW)
    begin = table_past(jobs).past.last

    told = jobs.timeline(begin, points=3, rate=None)

    assert told.counts == {"actionable": (1, 1, 1)}
    assert sum(told.arrivals) == 0
    assert told.waiting.rows == 0
    assert "not known" in told._repr_html_()


def test_one_moment_makes_no_line(catalog):
    with pytest.raises(ermpoll.UsageError, match="2 or more moments"):
        queue(catalog).timeline("1 h", points=1)

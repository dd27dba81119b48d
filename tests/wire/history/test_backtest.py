from __future__ import annotations

import threading
from datetime import timedelta

import pytest

import ermpoll
from ermpoll.errors import ReadingStopped
from ermpoll.history import Likeness
from tests.helpers.tables import add, edit, queue, read

NEW = {"state": "actionable"}


@pytest.fixture
def jobs(catalog):
    return queue(catalog)


@pytest.fixture
def begin(jobs):
    """A moment before all that the test does, which the catalog can tell of."""
    add(jobs.catalog, {"state": "hold"})
    return jobs.catalog.now() - timedelta(milliseconds=1)


def finish(jobs, **changes):
    """Claim one row and complete it; returns its RID."""
    claim = jobs.claim(1)
    jobs.complete(claim, {claim.rids[0]: changes})
    return claim.rids[0]


def test_what_was_done_stands_beside_what_would_have_been(jobs, begin):
    add(jobs.catalog, *[{**NEW, "name": name} for name in "abcd"])
    rids = [finish(jobs, result="1"), finish(jobs, result="2"), finish(jobs)]

    told = jobs.backtest(
        lambda row: None if row["name"] == "c" else {"result": "1"}, begin, rate=None
    )

    found = {row.rid: row for row in told.rows}
    assert [found[rid].likeness for rid in rids] == [
        Likeness.SAME, Likeness.OTHER, Likeness.MISSED,
    ]  # fmt: skip
    assert told.counts == {"same": 1, "other": 1, "missed": 1, "new": 1}
    [cell] = [one for one in found[rids[1]].cells if one.column == "result"]
    assert (cell.first, cell.second) == ("2", "1")
    assert {told.names[one.by] for one in told.rows if one.by} == {"Ada Lovelace"}


def test_it_says_when_a_row_would_have_been_taken_and_when_it_was_done(jobs, begin):
    [rid] = add(jobs.catalog, NEW)
    born = jobs.history(rid, rate=None).versions[0].at
    finish(jobs)

    [row] = jobs.backtest(lambda row: {}, begin, rate=None).rows

    assert row.at == born
    assert row.done_at == jobs.history(rid, rate=None).versions[-1].at


def test_a_row_given_back_and_taken_again_is_one_case(jobs, begin):
    add(jobs.catalog, NEW)
    jobs.release(jobs.claim(1))
    finish(jobs, result="x")

    told = jobs.backtest(lambda row: {"result": "x"}, begin, rate=None)

    assert [row.likeness for row in told.rows] == [Likeness.SAME]


def test_an_edit_while_a_row_waits_is_not_taken_for_the_work(jobs, begin):
    [rid] = add(jobs.catalog, NEW)
    edit(jobs.catalog, rid, priority=4)
    finish(jobs, result="x")

    [row] = jobs.backtest(lambda row: {"result": "x"}, begin, rate=None).rows

    assert {cell.column for cell in row.cells} == {"state", "result"}


def test_a_function_that_fails_would_have_failed_the_row(jobs, begin):
    add(jobs.catalog, NEW)
    claim = jobs.claim(1)
    jobs.fail(claim, {claim.rids[0]: "ValueError: no disk"})

    def broken(row):
        raise ValueError("no disk")

    [row] = jobs.backtest(broken, begin, rate=None).rows

    assert row.likeness is Likeness.SAME
    assert row.note == "ValueError: no disk"


def test_a_row_that_waits_all_the_time_is_new(jobs, begin):
    [rid] = add(jobs.catalog, NEW)
    edit(jobs.catalog, add(jobs.catalog, {"state": "hold"})[0], priority=1)
    since = jobs.catalog.now() - timedelta(microseconds=1)

    told = jobs.backtest(lambda row: {"result": "x"}, since, rate=None)

    assert [(row.rid, row.likeness.value) for row in told.rows] == [(rid, "new")]


def test_writes_of_the_transform_are_refused(jobs, begin):
    [rid] = add(jobs.catalog, NEW)

    def writes(row):
        edit(jobs.catalog, rid, result="written")
        return {}

    [row] = jobs.backtest(writes, begin, rate=None).rows

    assert read(jobs.catalog, rid)["result"] is None
    assert row.note


def test_it_asks_once_for_each_time_at_which_was_written(jobs, begin):
    add(jobs.catalog, *[NEW] * 20)
    for _ in range(5):
        jobs.complete(jobs.claim(4))

    told = jobs.backtest(lambda row: {}, begin, rate=None)

    assert len(told.rows) == 20
    assert told.counts["same"] == 20
    # 11 times; beside it what the catalog knows, its model, counts, names
    assert told.requests <= 11 + 10


def test_a_reading_that_is_stopped_says_so(jobs, begin):
    stop = threading.Event()
    stop.set()

    with pytest.raises(ReadingStopped):
        jobs.backtest(lambda row: {}, begin, stop=stop)


def test_what_is_no_function_is_refused_before_anything_is_read(jobs, begin):
    with pytest.raises(ermpoll.UsageError, match="transform: expected a function"):
        jobs.backtest({"state": "done"}, begin)

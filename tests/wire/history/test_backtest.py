from __future__ import annotations

import threading
from datetime import timedelta

import pytest

import ermpoll
from ermpoll.errors import ReadingStopped
from ermpoll.history import Likeness, Past
from tests.helpers.pasts import capture, rename, send
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


def test_a_queue_with_a_filter_is_tested_on_the_rows_that_it_has(jobs, begin):
    add(jobs.catalog, *[{**NEW, "name": name} for name in ("ours", "theirs", "ours")])
    ours = queue(jobs.catalog, where="name=ours")
    finish(ours)
    jobs.complete(jobs.claim(2))

    told = ours.backtest(lambda row: {}, begin, rate=None)

    assert told.counts["same"] == len(told.rows) == 2
    assert "rows are those that match name=ours at the end" in told.told


def test_a_filter_on_the_queues_own_columns_lets_claimed_rows_pass(jobs, begin):
    add(jobs.catalog, NEW)
    fresh = queue(jobs.catalog, where="attempts::null::;attempts=0")
    finish(fresh)

    told = fresh.backtest(lambda row: {}, begin, rate=None)

    assert told.counts["same"] == 1


def test_of_too_many_rows_a_sample_is_tested_and_said(jobs, begin):
    add(jobs.catalog, *[NEW] * 64)
    jobs.complete(jobs.claim(64))

    told = jobs.backtest(lambda row: {}, begin, most_rows=16, rate=None)

    assert 0 < len(told.rows) < 64
    assert not told.exact
    assert any(one.startswith("a sample: ") for one in told.told)


def test_a_row_that_was_deleted_while_it_waited_is_nobodys_miss(jobs):
    gone, stays = add(jobs.catalog, NEW, NEW)
    since = Past(jobs.catalog, rate=None).last
    edit(jobs.catalog, gone, priority=1)
    send(jobs.catalog, "DELETE", f"entity/Ops:Job/RID={gone}")

    told = jobs.backtest(lambda row: {}, since, rate=None)

    assert [row.rid for row in told.rows] == [stays]


def test_a_period_without_changes_has_what_waits(jobs, begin):
    [rid] = add(jobs.catalog, NEW)
    since = Past(jobs.catalog, rate=None).last + timedelta(microseconds=1)
    add(jobs.catalog, {"state": "hold"})

    told = jobs.backtest(lambda row: {}, since, since + timedelta(microseconds=1))

    assert [(row.rid, row.likeness.value) for row in told.rows] == [(rid, "new")]
    assert told.exact


def test_a_model_that_changed_and_a_history_that_was_off_are_told(jobs, begin):
    add(jobs.catalog, NEW)
    finish(jobs)
    rename(jobs.catalog, "priority", "urgency")
    capture(jobs.catalog, False)
    [rid] = add(jobs.catalog, NEW)
    finish(jobs)
    capture(jobs.catalog, True)
    edit(jobs.catalog, rid, urgency=1)

    told = jobs.backtest(lambda row: {}, begin, rate=None)

    assert told.counts["same"] == 1
    words = " ".join(told.told)
    assert "the model changed in this period: 'urgency' was called 'priority'" in words
    assert "its history was switched off" in words

from __future__ import annotations

import pytest

import ermpoll
from ermpoll.history import Likeness
from tests.helpers.tables import add, make_table, queue


@pytest.fixture
def jobs(catalog):
    """A queue of four rows, a to d."""
    add(catalog, *[{"state": "actionable", "name": name} for name in "abcd"])
    return queue(catalog)


def old(row):
    return {"state": "complete", "result": "1"} if row["name"] in "abc" else None


def new(row):
    if row["name"] == "a":
        return old(row)
    if row["name"] == "b":
        return {"state": "complete", "priority": 2}
    return None if row["name"] == "c" else {"state": "complete"}


def test_each_row_and_cell_of_two_plans_is_same_other_missed_or_new(jobs):
    told = ermpoll.compare(jobs.plan(old), jobs.plan(new))

    found = {
        row.likeness: {cell.column: cell.likeness for cell in row.cells}
        for row in told.rows
    }
    same, other, missed, fresh = Likeness
    assert found == {
        same: {"state": same, "result": same},
        other: {"state": same, "result": missed, "priority": fresh},
        missed: {"state": missed, "result": missed},
        fresh: {"state": fresh},
    }
    assert told.counts == {"same": 1, "other": 1, "missed": 1, "new": 1}
    assert told.cell_counts == {"same": 3, "other": 0, "missed": 3, "new": 2}


def test_the_frame_has_a_line_a_cell_with_both_values(jobs):
    told = ermpoll.compare(jobs.plan(old), jobs.plan(new))

    frame = told.frame
    line = frame[(frame.row == "other") & (frame.column == "priority")].iloc[0]
    assert (line["cell"], line["a"], line["b"]) == ("new", None, 2)
    assert len(frame) == 8


def test_a_failed_function_is_said_beside_the_other_decision(jobs):
    def broken(row):
        raise ValueError("no disk")

    told = ermpoll.compare(jobs.plan(old), jobs.plan(broken))

    assert told.counts["missed"] == 3
    assert {row.note for row in told.rows} == {"b: ValueError: no disk"}


def test_two_claims_differ_not_by_their_tokens(jobs):
    told = ermpoll.compare(jobs.plan(), jobs.plan())

    assert told.counts == {"same": 4, "other": 0, "missed": 0, "new": 0}


def test_what_is_no_plan_and_plans_of_two_tables_are_refused(jobs, catalog):
    make_table(catalog, {"state": "text"}, name="Other")
    other = ermpoll.Queue(catalog, "Ops:Other")

    with pytest.raises(ermpoll.UsageError, match="plan_b: expected what plan"):
        ermpoll.compare(jobs.plan(), jobs)
    with pytest.raises(ermpoll.UsageError, match="two plans of one table"):
        ermpoll.compare(jobs.plan(), other.plan())

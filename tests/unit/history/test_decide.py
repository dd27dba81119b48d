from __future__ import annotations

from dataclasses import replace

import pytest

from ermpoll.catalog.clock import time_text
from ermpoll.catalog.model import Column
from ermpoll.history.comparison import Likeness
from ermpoll.history.decide import Decider
from tests.helpers.lives import TOKEN, at, declared, life

CLAIM = {"state": "claimed", "owner": TOKEN, "attempts": 1}
DONE = {"state": "complete", "result": "x"}


@pytest.fixture
def definition():
    """A queue whose columns are known, for a transform that writes one."""
    queue = declared()
    names = ("RID", "RMT", "state", "owner", "error", "result", "priority")
    columns = {name: Column(name=name, typename="text", base="text") for name in names}
    return replace(queue, table=replace(queue.table, columns=columns))


def decided(definition, versions, transform=lambda row: {"result": "x"}, **options):
    decider = Decider(definition, transform, at(0), **options)
    return decider, list(decider.feed(versions.steps()))


def test_a_case_ends_when_the_row_is_finished(definition):
    versions = life((5, CLAIM), (9, DONE))

    decider, [pair] = decided(definition, versions)

    assert (pair.at, pair.done_at, pair.likeness) == (at(0), at(9), Likeness.SAME)
    assert len(decider) == 0


def test_a_row_that_is_to_be_tried_later_would_be_taken_then(definition):
    later = time_text(at(60))
    versions = life((1, {"state": "hold"}), (2, {"state": "actionable",
                    "retry_at": later}), (70, CLAIM), (80, DONE))  # fmt: skip

    _, pairs = decided(definition, versions)

    assert pairs[-1].at == at(60)


def test_what_others_wrote_meanwhile_is_not_of_who_finished_it(definition):
    versions = life((5, CLAIM), (6, {"priority": "4", "RMB": "bob"}), (9, DONE))

    _, [pair] = decided(definition, versions)

    assert {cell.column for cell in pair.cells} == {"state", "result"}


def test_a_row_that_was_not_seen_to_wait_is_counted_and_not_compared(definition):
    whole = life((5, CLAIM), (9, DONE))
    seen = {rid: found[1:] for rid, found in whole.by_rid.items()}

    decider, pairs = decided(definition, replace(whole, by_rid=seen))

    assert pairs == []
    assert decider.unknown == 1


def test_too_many_rows_under_way_are_let_go_and_counted(definition):
    decider = Decider(definition, lambda row: {}, at(0), most_open=1)
    for rid in ("1-A", "1-B"):
        list(decider.feed(life(rid=rid).steps()))

    assert (len(decider), decider.dropped) == (1, 1)


def test_a_row_that_is_left_alone_is_asked_of_again_when_it_changes(definition):
    versions = life((5, {"priority": "1"}), (6, CLAIM), (9, DONE))

    _, [pair] = decided(
        definition, versions, lambda row: {"result": "x"} if row["priority"] else None
    )

    assert (pair.at, pair.likeness) == (at(5), Likeness.SAME)


def test_a_row_that_is_gone_is_followed_no_longer(definition):
    decider = Decider(definition, lambda row: {}, at(0))
    for rid in ("1-A", "1-B"):
        assert list(decider.feed(life(rid=rid).steps())) == []

    decider.forget(["1-A", "1-C"])

    assert decider.rids == ("1-B",)


def test_a_row_under_way_is_told_of_unless_all_leave_it_alone(definition):
    decider = Decider(
        definition, lambda row: {} if row["RID"] == "1-A" else None, at(0)
    )
    for rid in ("1-A", "1-B"):
        assert list(decider.feed(life(rid=rid).steps())) == []

    assert [pair.rid for pair in decider.open_pairs()] == ["1-A"]

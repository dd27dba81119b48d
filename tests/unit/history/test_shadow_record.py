from __future__ import annotations

from dataclasses import replace

import pytest

from ermpoll.catalog.model import Column
from ermpoll.history.periods import BoundedGap
from ermpoll.history.shadow_record import MOST_TOLD, ShadowRecord
from tests.helpers import pages
from tests.helpers.lives import TOKEN, at, declared, life

CLAIM = {"state": "claimed", "owner": TOKEN, "attempts": 1}
DONE = {"state": "complete"}


@pytest.fixture
def record():
    """A record begun at 0, of a transform that leaves rows as they come."""
    queue = declared()
    names = ("RID", "RMT", "state")
    columns = {name: Column(name=name, typename="text", base="text") for name in names}
    queue = replace(queue, table=replace(queue.table, columns=columns))
    made = ShadowRecord(pages.jobs(definition=queue), lambda row: {})
    made.begin(at(0), [])
    return made


def follow(record, versions):
    for step in versions.steps():
        record.follow([step])


def test_all_rows_are_counted_and_the_newest_are_kept(record, monkeypatch):
    monkeypatch.setattr(record, "_kept", type(record._kept)(maxlen=2))

    for number in range(5):
        follow(record, life((5, CLAIM), (9, DONE), rid=f"1-{number}"))

    told = record.comparison()
    assert told.counts["same"] == 5
    assert told.cell_counts["same"] == 5
    assert [row.rid for row in told.rows] == ["1-4", "1-3"]
    assert "of 5 finished rows the newest are listed" in told.told


def test_a_row_that_nobody_has_finished_is_new_until_then(record):
    whole = life((5, CLAIM), (9, DONE))

    for step in whole.steps()[:-1]:
        record.follow([step])

    told = record.comparison()
    assert told.counts["new"] == 1
    assert "nobody has finished 1 row yet: until then they count as new" in told.told
    record.follow(whole.steps()[-1:])
    assert record.comparison().counts == {"same": 1, "other": 0, "missed": 0, "new": 0}


def test_it_says_that_changes_may_not_have_been_read(record):
    whole = life((9, DONE))

    follow(record, replace(whole, unsure=frozenset({("1-A", at(9))})))

    assert any(one.startswith("behind 1 change ") for one in record.comparison().told)


def test_only_the_newest_of_what_was_told_is_kept(record):
    record.tell(f"the catalog said {number}" for number in range(100))

    told = record.comparison().told
    assert told[-1] == "the catalog said 99"
    assert len(told) == MOST_TOLD


def test_begun_anew_it_forgets_what_waited(record):
    follow(record, life())

    record.begin(at(50), [])

    assert record.comparison().counts["new"] == 0
    assert record.comparison().since == at(0)


def test_a_look_asks_behind_so_many_writes_the_needed_ones_longer():
    gap = BoundedGap(2)
    first, *others = life(*((n, {"priority": n}) for n in range(1, 9))).by_rid["1-A"]

    assert [gap(first, one) for one in others[:3]] == [True, True, False]
    # of one write that is asked anyway there may be more rows
    assert gap(first, others[0])
    assert [gap(None, one) for one in others[3:6]] == [True, True, False]

from __future__ import annotations

import pytest

from ermpoll.errors import UsageError
from ermpoll.history import read_life
from tests.helpers.pasts import capture, recorded, table_past, work_on
from tests.helpers.tables import add, edit, queue

NEW = {"state": "actionable"}


def test_one_rows_life_is_read_back_to_its_first_version(box, catalog):
    jobs, rids = work_on(catalog)

    table = table_past(jobs)
    life = read_life(table, rids[0])

    known = [row["RMT"] for row in recorded(box, catalog) if row["RID"] == rids[0]]
    assert [one.rmt for one in life.by_rid[rids[0]]] == known
    assert life.by_rid[rids[0]][0].is_first
    assert len(life.steps()) == len(known)
    assert table.past.requests <= len(known) + 2


def test_a_row_that_never_was_is_refused_with_a_reason(catalog):
    with pytest.raises(UsageError, match="which it does not have"):
        read_life(table_past(queue(catalog)), "1-NONE")


def test_a_hole_in_a_life_is_told_and_ends_it(catalog):
    jobs = queue(catalog)
    [rid] = add(catalog, NEW)
    capture(catalog, False)
    edit(catalog, rid, priority=1)
    capture(catalog, True)
    edit(catalog, rid, priority=2)

    table = table_past(jobs)
    life = read_life(table, rid)

    assert [one.row["priority"] for one in life.by_rid[rid]][-1] == 2
    assert not life.by_rid[rid][0].is_first
    assert any("history was switched off" in told for told in table.past.told)

from __future__ import annotations

from urllib.parse import quote

import pytest

from ermpoll.history import periods, read_life, read_versions
from ermpoll.history.past import ONE_US
from ermpoll.history.periods import sample_of
from tests.helpers.pasts import recorded, table_past, work_on
from tests.helpers.tables import add, edit, queue

NEW = {"state": "actionable"}


def times(versions):
    return {(v.rid, v.rmt) for found in versions.by_rid.values() for v in found}


def test_every_version_of_a_period_is_found_with_a_request_for_each_write(box, catalog):
    jobs, _ = work_on(catalog)

    table = table_past(jobs)
    found = read_versions(table, table.past.period("1 h"))

    rows = recorded(box, catalog)
    assert times(found) == {(row["RID"], row["RMT"]) for row in rows}
    assert found.exact
    assert all(step.sure for step in found.steps())
    assert not any("can't be read before" in told for told in table.past.told)
    writes = len({row["RMT"] for row in rows})
    assert table.past.requests <= writes + 10
    assert len(found.steps()) == len(rows)


def test_a_period_begins_with_the_versions_then_in_force(box, catalog):
    jobs, _ = work_on(catalog, rounds=1)
    table = table_past(jobs)
    begin = table.past.last
    work_on(catalog, rounds=1)

    table = table_past(jobs)
    found = read_versions(table, table.past.period(begin))

    after = [row for row in recorded(box, catalog) if row["RMT"] > begin.isoformat()]
    assert len(found.steps()) == len(after)
    for step in found.steps():
        assert step.at > begin
        assert step.before is not None or step.after.is_first


def test_windows_cost_no_more_than_asked_and_name_each_version_exactly(box, catalog):
    begin = table_past(queue(catalog)).past.last
    jobs, _ = work_on(catalog)
    table = table_past(jobs)

    period = table.past.period(begin)
    found = read_versions(table, period, windows=5, gap=lambda before, after: False)

    rows = recorded(box, catalog)
    assert times(found) < {(row["RID"], row["RMT"]) for row in rows}
    assert not found.exact
    assert table.past.requests <= 5 + 9


def test_windows_begin_with_what_was_then_and_say_what_they_are_not_sure_of(catalog):
    jobs = queue(catalog)
    [rid] = add(catalog, NEW)
    begin = table_past(jobs).past.last
    jobs.claim(1)
    edit(catalog, rid, priority=1)
    table = table_past(jobs)

    period = table.past.period(begin)
    found = read_versions(table, period, windows=1, gap=lambda before, after: False)

    [step] = found.steps()
    assert step.before.row["state"] == "actionable"
    assert step.after.row["priority"] == 1
    assert not step.sure


def test_what_windows_missed_is_repaired_where_a_step_shows_it(box, catalog):
    jobs, _ = work_on(catalog)
    table = table_past(jobs)

    found = read_versions(table, table.past.period("1 h"), windows=5)

    rows = recorded(box, catalog)
    assert times(found) == {(row["RID"], row["RMT"]) for row in rows}


def test_a_deleted_row_is_told_with_its_last_version(catalog):
    jobs = queue(catalog)
    kept, gone = add(catalog, NEW, NEW)
    edit(catalog, gone, priority=7)
    begin = table_past(jobs).past.last
    edit(catalog, kept, priority=1)
    catalog.delete(f"entity/Ops:Job/RID={gone}")

    table = table_past(jobs)
    life = read_life(table, gone)
    period = read_versions(table, table.past.period(begin))

    assert [one.row["priority"] for one in life.by_rid[gone]] == [None, 7]
    assert life.steps()[-1].after is None
    last = period.steps()[-1]
    assert (last.rid, last.after, last.at) == (gone, None, life.deleted[gone])
    assert last.before.row["priority"] == 7


def test_of_a_long_table_a_sample_is_listed_to_find_the_deleted_rows(
    catalog, monkeypatch
):
    monkeypatch.setattr(periods, "MOST_LISTED", 32)
    jobs = queue(catalog)
    rids = add(catalog, *[NEW] * 64)
    begin = table_past(jobs).past.last
    catalog.delete(f"entity/Ops:Job/RID={';RID='.join(rids[:48])}")

    table = table_past(jobs)
    found = read_versions(table, table.past.period(begin))

    assert 0 < len(found.deleted) < 48
    assert found.deleted.keys() <= set(rids[:48])
    assert any(one.startswith("48 rows were deleted; of 64") for one in table.past.told)


def test_deleted_rows_are_not_looked_for_where_nobody_wants_them(catalog):
    jobs = queue(catalog)
    rids = add(catalog, NEW, NEW)
    begin = table_past(jobs).past.last
    catalog.delete(f"entity/Ops:Job/RID={rids[0]}")

    table = table_past(jobs)
    found = read_versions(table, table.past.period(begin), deleted=False)

    assert found.deleted == {}
    assert found.exact


def test_of_too_many_rows_a_sample_is_walked_and_said(catalog):
    jobs = queue(catalog)
    add(catalog, *[NEW] * 200)

    table = table_past(jobs)
    found = read_versions(table, table.past.period("1 h"), most_rows=50)

    rows, of = found.sampled
    assert of == 200
    assert 20 <= rows <= 60
    assert not found.exact
    assert any(told.startswith("a sample: ") for told in table.past.told)


def test_a_period_without_changes_has_no_steps(catalog):
    jobs = queue(catalog)
    add(catalog, NEW)
    table = table_past(jobs)
    begin = table.past.last + ONE_US

    found = read_versions(table, table.past.period(begin))

    assert found.steps() == []
    assert found.exact


@pytest.mark.parametrize(
    ("rows", "most", "pattern"),
    [
        (10, 10, ""),
        (160, 80, "[02468ACE]-?$"),
        (1000, 60, "[0123456789ABCDEFGHJKMNPQRSTVWX]-?0-?$"),
        (1_000_000, 50_000, "[0123456789ABCDEFGHJKMNPQR]-?0-?$"),
        (1_000_000, 1000, "[0123456789ABCDEF]-?0-?0-?$"),
    ],
)
def test_a_sample_is_told_by_the_end_of_the_rid(rows, most, pattern):
    chosen = f"RID::regexp::{quote(pattern)}" if pattern else ""

    assert sample_of(rows, most) == chosen

from __future__ import annotations

import pytest

import ermpoll
from ermpoll.errors import NoHistory
from ermpoll.history import read_life, read_versions
from ermpoll.history.past import Past
from tests.helpers.pasts import capture, rename, send, table_past
from tests.helpers.tables import add, edit, make_table, queue

NEW = {"state": "actionable"}


def test_rows_of_before_a_rename_have_the_names_of_today(catalog):
    [rid] = add(catalog, {**NEW, "priority": 4})
    then = Past(catalog, rate=None).last
    rename(catalog, "priority", "urgency")
    rename(catalog, "state", "status")
    edit(catalog, rid, urgency=5)
    jobs = queue(catalog, state="status")

    life = read_life(table_past(jobs), rid)
    listed = table_past(jobs).rows(then, f"RID={rid}", ["status", "urgency"])

    assert [one.row["urgency"] for one in life.by_rid[rid]] == [4, 5]
    assert listed == [{"RID": rid, "status": "actionable", "urgency": 4}]


def test_a_changed_model_is_told_and_stops_nothing(catalog):
    [rid] = add(catalog, NEW)
    begin = Past(catalog, rate=None).last
    rename(catalog, "priority", "urgency")
    send(catalog, "DELETE", "schema/Ops/table/Job/column/hold")
    edit(catalog, rid, urgency=5)
    table = table_past(queue(catalog))

    found = read_versions(table, table.past.period(begin))

    assert len(found.steps()) == 1
    told = " ".join(table.past.told)
    assert "'urgency' was called 'priority'" in told
    assert "'hold' was dropped" in told


def test_a_column_that_was_not_there_yet_is_left_out(catalog):
    make_table(catalog, {"state": "text"}, name="Bare")
    [rid] = add(catalog, NEW, table="Bare")
    then = Past(catalog, rate=None).last
    column = {"name": "owner", "type": {"typename": "text"}}
    send(catalog, "POST", "schema/Ops/table/Bare/column", column)
    jobs = ermpoll.Queue(catalog, "Ops:Bare", owner="owner")
    table = table_past(jobs)

    assert table.definition(then).owner is None
    assert table.rows(then, "", ["state", "owner"]) == [
        {"RID": rid, "state": "actionable"}
    ]


def test_a_table_that_was_in_another_schema_is_found_by_its_rid(catalog):
    [rid] = add(catalog, NEW)
    then = Past(catalog, rate=None).last
    send(catalog, "PUT", "schema/Ops", {"schema_name": "Work"})
    table = table_past(ermpoll.Queue(catalog, "Work:Job"))

    assert [row["RID"] for row in table.rows(then)] == [rid]


def test_a_table_whose_history_is_off_says_so(catalog):
    add(catalog, NEW)
    capture(catalog, False)
    add(catalog, NEW)
    table = table_past(queue(catalog))

    with pytest.raises(NoHistory, match="its history was switched off"):
        table.rows(table.past.now)


def test_many_rows_come_page_by_page(catalog, monkeypatch):
    monkeypatch.setattr("ermpoll.history.model_then.PAGE", 4)
    rids = add(catalog, *[NEW] * 10)
    table = table_past(queue(catalog))

    pages = list(table.pages(table.past.now, "", ["state"]))

    assert [len(page) for page in pages] == [4, 4, 2]
    assert {row["RID"] for page in pages for row in page} == set(rids)

from __future__ import annotations

import pytest

import ermpoll
from ermpoll.errors import UsageError
from tests.helpers.tables import add, edit, queue, read

NEW = {"state": "actionable"}


def test_a_plan_sends_exactly_what_it_showed(box, catalog):
    rids = add(catalog, *[NEW] * 3)
    plan = queue(catalog).plan(lambda row: {"state": "hold", "result": row["RID"]})
    shown = [(put.path, put.rows) for put in plan.puts]

    outcome = plan.apply()

    written = [w for w in box.log if w.method == "PUT"]
    assert [w.path.partition("/attributegroup")[2] for w in written] == [
        path.partition("attributegroup")[2] for path, _ in shown
    ]
    assert sorted(outcome.won) == sorted(rids)
    assert plan.frame.shape == (6, 4)


def test_a_plan_is_applied_once(catalog):
    add(catalog, NEW)
    plan = queue(catalog).plan(lambda row: {"state": "hold"})
    plan.apply()

    with pytest.raises(UsageError, match="not applied yet"):
        plan.apply()


def test_what_a_plan_has_claimed_can_be_finished(catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog)

    claim = jobs.plan().apply().claim

    assert claim.rids == (rid,)
    assert jobs.complete(claim, {rid: {"result": "r"}}).won == (rid,)
    assert read(catalog, rid)["owner"] == claim.token


def test_a_row_with_a_problem_is_not_sent(catalog):
    bad, good = add(catalog, {**NEW, "name": "bad"}, NEW)
    plan = queue(catalog).plan(
        lambda row: {"state": "hold", "priority": "high" if row["name"] else 1}
    )

    assert [c.rid for c in plan.problems] == [bad]
    assert plan.apply().won == (good,)
    assert read(catalog, bad)["state"] == "actionable"


def test_a_change_that_leaves_the_row_a_candidate_is_a_problem(catalog):
    add(catalog, {**NEW, "hold": False})

    [problem] = queue(catalog).plan(lambda row: {"result": "r"}).problems

    assert "stay a candidate" in problem.reason
    held = queue(catalog, where="hold=false").plan(lambda row: {"hold": True})
    assert held.problems == ()


def test_undo_puts_back_what_was_and_leaves_what_changed_since(catalog):
    a, b = add(catalog, {**NEW, "data": None, "result": "old"}, {**NEW, "data": [1]})
    jobs = queue(catalog)
    outcome = jobs.plan(
        lambda row: {"state": "hold", "result": "new", "data": {"k": 2}}
    ).apply()
    edit(catalog, b, priority=5)

    undone = outcome.undo().apply()

    assert (undone.won, undone.lost) == ((a,), (b,))
    row = read(catalog, a)
    assert (row["state"], row["result"], row["data"]) == ("actionable", "old", None)
    assert len(catalog.get(f"entity/Ops:Job/RID={a}/data::null::").rows) == 1


def test_a_plan_of_rows_looks_at_them_whatever_their_state(catalog):
    rids = add(catalog, {"state": "complete"}, NEW)

    plan = queue(catalog).plan(lambda row: {"result": "r", "state": "x"}, rows=rids)

    assert [(c.rid, c.kind) for c in plan.changes] == [(r, "changed") for r in rids]


def test_planning_sends_no_write(catalog):
    add(catalog, *[NEW] * 5)
    jobs = queue(catalog)
    before = catalog.writes

    jobs.plan()
    jobs.plan(lambda row: {"state": "hold"})

    assert catalog.writes == before


def test_a_read_only_catalog_refuses_to_write(catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(ermpoll.connect(catalog.url, read_only=True))

    with pytest.raises(ermpoll.WriteRefused, match="read-only"):
        jobs.claim(1)

    assert (jobs.writable, jobs.catalog.writes) == (False, 0)
    assert read(catalog, rid)["state"] == "actionable"


def test_what_a_plan_shows_may_be_scribbled_on(catalog):
    [rid] = add(catalog, {**NEW, "data": {"k": [1]}})
    plan = queue(catalog).plan(lambda row: {"state": "hold", "tags": ["a"]})

    plan.changes[0].after["tags"].append("b")
    plan.changes[0].before["data"]["k"].append(2)
    plan.puts[0].rows[0]["tags"].append("c")
    plan.apply()

    assert read(catalog, rid)["tags"] == ["a"]

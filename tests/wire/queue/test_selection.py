from __future__ import annotations

from tests.helpers.tables import add, queue

NEW = {"state": "actionable"}


def test_no_more_pages_are_read_than_rows_are_taken(box, catalog):
    rids = add(catalog, *[NEW] * 6)
    selector = queue(catalog).selector

    found = selector.candidates(3)

    assert [next(found)["RID"] for _ in range(3)] == rids[:3]
    add(catalog, NEW)
    assert [row["RID"] for row in found][:3] == rids[3:]


def test_rows_are_chosen_in_the_queues_order_whatever_order_they_are_named_in(catalog):
    low, high = add(catalog, {**NEW, "priority": 1}, {**NEW, "priority": 2})
    selector = queue(catalog, order="priority").selector

    assert [step.rid for step in selector.choose(1, rids=[high, low])] == [low, high]


def test_rows_can_be_passed_over(catalog):
    a, b, c = add(catalog, NEW, NEW, NEW)
    selector = queue(catalog).selector

    assert [step.rid for step in selector.choose(1, without=[a, b])] == [c]
    assert [s.rid for s in selector.choose(1, rids=[b, c], without=[b])] == [c]


def test_rows_that_fail_come_along_and_do_not_count(catalog):
    bad, _, good = add(catalog, {**NEW, "name": "bad"}, {**NEW, "name": "left"}, NEW)

    def transform(row):
        return {"bad": {"owner": "me"}, "left": None, None: {}}[row["name"]]

    steps = queue(catalog).selector.choose(1, transform=transform)

    assert [(step.rid, step.change.kind) for step in steps] == [
        (bad, "problem"),
        (good, "changed"),
    ]
    assert steps[0].change.reason == "owner: is written by the claim itself"


def test_a_plan_looks_at_as_many_rows_as_it_was_asked_for(box, catalog):
    rids = add(catalog, *[NEW] * 3)
    jobs = queue(catalog)
    found = jobs.selector.candidates(2)

    steps = jobs.selector.applies(found, 2, lambda row: {"state": "hold"})

    assert [step.rid for step in steps] == rids[:2]
    assert next(found)["RID"] == rids[2]

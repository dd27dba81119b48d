"""Rows that the catalog refuses to write: passed over, named, no harm to others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import ermpoll
from ermpoll.sandbox import Box
from tests.helpers.conditions import wait_until
from tests.helpers.guarded import BOB, TABLE, Place, guarded_box, place_in
from tests.helpers.tables import add, read

NEW = {"state": "actionable", "keeper": BOB}
EVES = {**NEW, "keeper": "eve"}


@pytest.fixture(scope="module")
def guarded() -> Iterator[Box]:
    with guarded_box() as box:
        yield box


@pytest.fixture
def place(guarded: Box) -> Iterator[Place]:
    with place_in(guarded) as place:
        yield place


def states(place: Place, rids: list[str]) -> list[object]:
    return [read(place.owner, rid)["state"] for rid in rids]


@pytest.mark.parametrize("workers", [1, 4])
def test_rows_of_others_in_front_hold_up_no_row_behind_them(place, workers):
    place.by_row()
    others, mine = add(place.owner, *[EVES] * 9), add(place.owner, *[NEW] * 9)
    jobs = place.queue()
    agent = ermpoll.Agent(jobs, lambda row: {"result": "done"}, workers=workers)

    summary = agent.run(until_idle=True)

    assert states(place, mine) == ["complete"] * 9
    assert states(place, others) == ["actionable"] * 9
    assert (summary.done, summary.failed, summary.refused) == (9, 0, 9)
    assert "9 rows refused by the catalog" in str(summary)
    assert set(jobs.refused().rids) == set(others)
    assert "no right to update this row" in jobs.refused().refused[others[0]]
    # those that the catalog tells of are not even tried
    assert jobs.catalog.writes <= 12


def test_many_rows_of_others_are_paged_past(place):
    place.by_row()
    add(place.owner, *[EVES] * 1300)
    add(place.owner, NEW)
    agent = ermpoll.Agent(place.queue(), lambda row: None)

    summary = agent.run(until_idle=True)

    assert (summary.done, summary.refused) == (1, 1300)


def test_a_refused_row_is_listed_in_the_status_and_taken_when_it_may_be(place):
    place.by_row()
    [rid] = add(place.owner, EVES)
    agent = ermpoll.Agent(place.queue(), lambda row: None, poll_s=0.2)
    with agent:
        wait_until(lambda: agent.status.refused == 1)
        wait_until(lambda: "no right to update this row" in agent.status.reason)
        before = agent.jobs.catalog.writes
        agent.look_now()
        place.owner.put(
            "attributegroup/Ops:Job/RID;keeper", [{"RID": rid, "keeper": BOB}]
        )
        wait_until(lambda: agent.status.completed == 1)

        assert agent.status.refused == 0
    # a claim and its finish; one more where the row was read before that edit
    assert agent.jobs.catalog.writes - before <= 3


def test_a_result_that_this_login_may_not_write_is_kept_until_it_may(place):
    place.by_row()
    [rid, other] = add(place.owner, NEW, NEW)
    jobs = place.queue()

    def work(row: dict[str, object]) -> dict[str, object]:
        if row["RID"] == rid:
            place.acl(f"{TABLE}/acl_binding/keeper", False)
        return {"result": "dear"}

    agent = ermpoll.Agent(jobs, work, poll_s=0.2)
    with agent:
        # or both, where the other one was to be written with it
        wait_until(lambda: agent.status.refused)
        # a model that changes is reason enough to try again
        place.by_row()
        wait_until(lambda: agent.status.completed == 2)

    assert [read(place.owner, one)["result"] for one in (rid, other)] == ["dear"] * 2
    assert (agent.status.lost, agent.status.released) == (0, 0)


def test_at_the_end_a_result_that_is_refused_goes_back_and_is_told(place):
    """With the row's policy its release is refused as well: its lease frees it."""
    place.by_row()
    rids = add(place.owner, NEW, NEW)
    jobs = place.queue()

    def work(row: dict[str, object]) -> dict[str, object]:
        place.owner.put(
            "attributegroup/Ops:Job/RID;keeper",
            [{"RID": rids[0], "keeper": "eve"}],
        )
        return {"result": "dear"}

    agent = ermpoll.Agent(jobs, work, workers=2)
    told: list[ermpoll.Event] = []
    agent.subscribe(told.append)

    summary = agent.run(until_idle=True)

    assert states(place, rids) == ["claimed", "complete"]
    assert (summary.done, summary.lost, summary.held) == (1, 1, 0)
    [lost] = [event for event in told if event.kind == "lost"]
    assert "the catalog refuses even its release" in lost.reason


@pytest.mark.parametrize("on_edit", ["keep", "overwrite", "fail"])
def test_an_agent_does_with_edits_as_it_is_told(place, on_edit):
    place.by_row()
    [rid] = add(place.owner, NEW)

    def work(row: dict[str, object]) -> dict[str, object]:
        place.owner.put(
            "attributegroup/Ops:Job/RID;priority", [{"RID": rid, "priority": 777}]
        )
        return {"priority": 5, "result": "done"}

    agent = ermpoll.Agent(place.queue(), work, on_edit=on_edit)
    told: list[ermpoll.Event] = []
    agent.subscribe(told.append)
    agent.run_once()

    row = read(place.owner, rid)
    expected = {
        "keep": ("complete", 777, "done"),
        "overwrite": ("complete", 5, "done"),
        "fail": ("failed", 777, None),
    }
    assert (row["state"], row["priority"], row["result"]) == expected[on_edit]
    reasons = [e.reason for e in told if e.kind in ("completed", "failed")]
    assert ("priority" in reasons[0]) == (on_edit != "overwrite")


def test_what_is_to_become_of_edits_is_checked(place):
    with pytest.raises(ermpoll.UsageError, match="on_edit: expected 'keep'"):
        ermpoll.Agent(place.queue(), print, on_edit="merge")

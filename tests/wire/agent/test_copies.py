"""Rows handed out are copies all the way down: what is not returned is not written."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest

import ermpoll
from ermpoll.queue.plan import copied
from tests.helpers.scribbling import in_place, scribble
from tests.helpers.tables import add, queue, read

DATA = {"deep": [{"n": 1}]}
NEW = {"state": "actionable", "data": DATA, "tags": ["a"]}
COLUMNS = ("data", "tags")


@pytest.fixture(params=["threads", "processes"])
def pool(request: pytest.FixtureRequest) -> Iterator[Executor]:
    with (
        ThreadPoolExecutor(2)
        if request.param == "threads"
        else ProcessPoolExecutor(1, mp_context=get_context("spawn"))
    ) as made:
        yield made


def held_values(catalog: ermpoll.Catalog, rid: str) -> tuple[Any, Any]:
    row = read(catalog, rid)
    return row["data"], row["tags"]


class AtOnce(Executor):
    """Does each job when it is handed over, so that they end in one PUT."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def pair(catalog: ermpoll.Catalog) -> tuple[str, str]:
    """Add a row to scribble on, and a neighbour whose tags are written."""
    first, second = add(catalog, {**NEW, "name": "first"}, {**NEW, "name": "second"})
    return first, second


def test_what_work_changes_in_place_and_returns_is_written(catalog, pool):
    [rid] = add(catalog, NEW)

    ermpoll.Agent(queue(catalog), in_place, executor=pool).run_once()

    assert held_values(catalog, rid) == ({"deep": [{"n": 2}]}, ["a", "b"])


def test_a_dry_run_shows_what_work_changes_in_place(catalog, pool):
    [rid] = add(catalog, NEW)

    dry = ermpoll.Agent(queue(catalog), in_place, executor=pool).dry_run(work=True)

    assert dry.results[rid] == {"data": {"deep": [{"n": 2}]}, "tags": ["a", "b"]}
    assert dry.plan.changes[0].before["data"] == DATA


def test_what_work_scribbles_is_not_written_through_a_neighbour(catalog):
    first, second = pair(catalog)

    ermpoll.Agent(queue(catalog), scribble, workers=2, executor=AtOnce()).run_once()

    assert held_values(catalog, first) == (DATA, ["a"])
    assert held_values(catalog, second) == (DATA, ["new"])


def test_what_a_transform_scribbles_is_not_written_with_a_claim(catalog):
    first, second = pair(catalog)

    queue(catalog).claim(2, transform=scribble)

    assert held_values(catalog, first) == (DATA, ["a"])
    assert held_values(catalog, second) == (DATA, ["new"])


def test_what_is_scribbled_on_a_status_is_not_written(catalog):
    first, second = pair(catalog)
    seen = []

    def work(row: dict[str, Any]) -> dict[str, Any]:
        for one in agent.status.running:
            seen.append(one.rid)
            one.row["tags"].append("mine")
        return {"tags": ["new"]} if row["name"] == "second" else {"result": "x"}

    agent = ermpoll.Agent(queue(catalog), work, workers=2, executor=AtOnce())
    agent.run_once()

    assert set(seen) == {first, second}
    assert held_values(catalog, first)[1] == ["a"]
    assert held_values(catalog, second)[1] == ["new"]


def test_what_is_scribbled_on_a_claims_rows_is_not_written(catalog):
    first, second = pair(catalog)
    jobs = queue(catalog)
    claim = jobs.claim(2)

    for row in [*claim, *claim.rows]:
        row["tags"].append("mine")
        row["data"]["deep"][0]["n"] = 9
    jobs.complete(claim, {first: {"result": "x"}, second: {"tags": ["new"]}})

    assert held_values(catalog, first) == (DATA, ["a"])
    assert held_values(catalog, second) == (DATA, ["new"])


def test_a_claims_row_that_is_changed_in_place_and_given_back_is_written(catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog)
    with jobs.claim() as claim:
        [row] = claim
        row["tags"].append("b")

        jobs.complete(claim, {rid: {"tags": row["tags"]}})

    assert held_values(catalog, rid)[1] == ["a", "b"]


def test_what_is_scribbled_on_a_plan_is_not_applied(catalog):
    first, second = pair(catalog)

    def transform(row: dict[str, Any]) -> dict[str, Any]:
        asked = {"name": "x"} if row["name"] == "first" else {"tags": ["new"]}
        return {"state": "hold", **asked}

    plan = queue(catalog).plan(transform)
    sent = copied({"puts": [[dict(row) for row in put.rows] for put in plan.puts]})
    for change in plan.changes:
        change.before["tags"].append("mine")
        change.after.get("tags", []).append("mine")
    assert [[dict(row) for row in put.rows] for put in plan.puts] == sent["puts"]
    for put in plan.puts:
        for row in put.rows:
            row["tags"].append("mine")
    plan.apply()

    assert held_values(catalog, first)[1] == ["a"]
    assert held_values(catalog, second)[1] == ["new"]


def test_the_seeds_change_of_state_pairs_the_row_as_it_was(catalog):
    [rid] = add(catalog, NEW)

    def transform(row: dict[str, Any]) -> dict[str, Any]:
        row["state"] = "complete"
        row["tags"].append("b")
        return row

    _, [(before, after)] = ermpoll.state_change_once(
        catalog,
        "entity/Ops:Job/state=actionable",
        "attributegroup/Ops:Job/RID;state,tags",
        transform,
    )

    assert (before["state"], before["tags"]) == ("actionable", ["a"])
    assert (after["state"], after["tags"]) == ("complete", ["a", "b"])
    assert held_values(catalog, rid)[1] == ["a", "b"]


def test_a_copy_goes_deeper_than_python_calls_itself():
    whole: Any = []
    for _ in range(20_000):
        whole = [whole]

    copy: Any = copied({"data": whole})["data"]

    depth = 0
    while copy:
        assert copy is not whole
        copy, whole = copy[0], whole[0]
        depth += 1
    assert depth == 20_000

"""One result that can't be read is one row's failure, and stops nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest

import ermpoll
from ermpoll.catalog.clock import parse_time
from ermpoll.errors import TransformError, UsageError
from tests.helpers.bad_results import BAD, Mute, by_name
from tests.helpers.conditions import wait_until
from tests.helpers.shares import mostly_long
from tests.helpers.tables import add, queue, read

NEW = {"state": "actionable"}
NAMES = [*BAD, "good"]

bad = pytest.mark.parametrize("name", list(BAD))


@pytest.fixture(params=mostly_long(["threads", "processes"]))
def pool(request: pytest.FixtureRequest) -> Iterator[Executor]:
    with (
        ThreadPoolExecutor(3)
        if request.param == "threads"
        else ProcessPoolExecutor(2, mp_context=get_context("spawn"))
    ) as made:
        yield made


def rows_by_name(catalog: ermpoll.Catalog) -> dict[str, dict[str, Any]]:
    page = catalog.get("entity/Ops:Job")
    assert page
    return {row["name"]: row for row in page.rows}


def add_all(catalog: ermpoll.Catalog) -> list[str]:
    """Add a row per bad result, each between two good ones."""
    names = [name for bad in BAD for name in ("good", bad)]
    return list(add(catalog, *[{**NEW, "name": name} for name in [*names, "good"]]))


def check_all(catalog: ermpoll.Catalog) -> None:
    """Check that each bad one failed, alone, with its reason."""
    page = catalog.get("entity/Ops:Job")
    assert page
    for row in page.rows:
        if row["name"] == "good":
            assert (row["state"], row["result"]) == ("complete", "fine")
        else:
            assert row["state"] == "failed", row["name"]
            assert BAD[row["name"]][1] in row["error"]


def test_each_row_fails_alone_once(catalog, pool):
    add_all(catalog)
    agent = ermpoll.Agent(queue(catalog), by_name, workers=3, executor=pool)

    agent.run_once()
    agent.run(until_idle=True)

    check_all(catalog)
    assert not agent.status.held
    # what can't be read is not better for being done again
    assert (agent.status.retried, agent.status.failed) == (0, len(BAD))
    assert agent.status.held == 0


def test_an_agent_in_the_background_ends_with_nothing_held(catalog):
    add_all(catalog)
    agent = ermpoll.Agent(queue(catalog), by_name, workers=4, poll_s=1)

    with agent:
        wait_until(
            lambda: agent.status.completed + agent.status.failed > 2 * len(BAD), 20
        )
        assert agent.stop()

    check_all(catalog)


def test_a_result_within_the_limits_is_written_whole(catalog):
    [rid] = add(catalog, NEW)
    value: list[Any] = ["x" * 1_000_000]
    for _ in range(198):
        value = [value]

    ermpoll.Agent(queue(catalog), lambda row: {"data": value}).run_once()

    row = read(catalog, rid)
    assert (row["state"], row["data"]) == ("complete", value)


def test_a_result_that_work_uses_again_is_written_as_it_was_returned(catalog):
    rids = add(catalog, *[NEW] * 20)
    same: dict[str, Any] = {}

    def work(row: dict[str, Any]) -> dict[str, Any]:
        same["result"] = row["RID"]
        return same

    ermpoll.Agent(queue(catalog), work, prefetch=20).run(until_idle=True)

    assert [read(catalog, rid)["result"] for rid in rids] == rids


@bad
def test_an_unreadable_transform_is_a_problem_of_its_row(catalog, name):
    add(catalog, *[{**NEW, "name": n} for n in ("good", name, "good")])

    def transform(row: dict[str, Any]) -> Any:
        return {"state": "hold"} if row["name"] == "good" else by_name(row)

    plan = queue(catalog).plan(transform, limit=3)

    [problem] = plan.problems
    assert problem.before["name"] == name
    assert problem.kind == "problem"
    assert BAD[name][1] in problem.reason


def test_an_unreadable_transform_does_not_stop_the_queue(catalog):
    add_all(catalog)
    agent = ermpoll.Agent(
        queue(catalog), lambda row: {"result": "fine"}, transform=by_name, workers=3
    )

    agent.run(until_idle=True)

    check_all(catalog)
    assert not agent.status.held


@bad
def test_by_hand_the_call_says_which_row_and_writes_nothing(catalog, name):
    [rid] = add(catalog, {**NEW, "name": name})
    jobs = queue(catalog)

    with pytest.raises((UsageError, TransformError), match=rid):
        jobs.claim(transform=by_name)
    claim = jobs.claim()
    with pytest.raises(UsageError, match=f"{rid}.*nothing was written"):
        jobs.complete(claim, {rid: BAD[name][0]()})

    assert read(catalog, rid)["state"] == "claimed"
    assert jobs.complete(claim).won == (rid,)


@pytest.mark.parametrize("error", [Mute(), type("T", (), {"__str__": Mute.__str__})()])
def test_by_hand_an_error_without_text_is_written_all_the_same(catalog, error):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog)

    jobs.fail(jobs.claim(), {rid: error})

    assert "text can't be read" in read(catalog, rid)["error"]


def test_a_dry_run_shows_the_same_reasons(catalog, pool):
    rids = add(catalog, *[{**NEW, "name": name} for name in NAMES])
    agent = ermpoll.Agent(queue(catalog), by_name, executor=pool)

    dry = agent.dry_run(limit=len(NAMES), work=True)

    for rid, name in zip(rids, NAMES, strict=True):
        assert (name == "good") == (rid not in dry.errors)
        assert name == "good" or BAD[name][1] in dry.errors[rid]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_work_that_leaves_its_thread_fails_its_row_and_shows_in_a_dry_run(
    catalog, error
):
    first, second = add(catalog, NEW, NEW)

    def work(row: dict[str, Any]) -> None:
        if row["RID"] == first:
            raise error

    agent = ermpoll.Agent(queue(catalog, attempts=None), work, workers=2)
    dry = agent.dry_run(work=True)
    agent.run_once()

    assert list(dry.errors) == [first]
    assert [read(catalog, rid)["state"] for rid in (first, second)] == [
        "failed",
        "complete",
    ]
    assert read(catalog, first)["error"].startswith(type(error).__name__)


def test_the_last_of_very_many_attempts_is_no_different(catalog):
    [rid] = add(catalog, {**NEW, "attempts": 1_100})

    def work(row: dict[str, Any]) -> None:
        raise ValueError("no such series")

    agent = ermpoll.Agent(queue(catalog, max_attempts=10_000), work)
    agent.run_once()

    row = read(catalog, rid)
    assert (row["state"], row["attempts"]) == ("actionable", 1_101)
    assert row["retry_at"]


@pytest.mark.parametrize("attempts", [-5, 0, 2**31 - 2])
def test_any_number_of_attempts_in_the_column_can_be_tried(catalog, attempts):
    [rid] = add(catalog, {**NEW, "attempts": attempts})

    def work(row: dict[str, Any]) -> None:
        raise ValueError("no such series")

    ermpoll.Agent(queue(catalog, max_attempts=2**31 - 1), work).run_once()

    assert read(catalog, rid)["attempts"] == attempts + 1


@pytest.mark.parametrize(
    "at", ["9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00"]
)
def test_a_time_at_the_edge_of_the_calendar_is_none_that_can_be_waited_for(at):
    assert parse_time(at) is None

"""The parts of an agent run without its threads, in virtual time."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from tests.helpers.stepping import Engine, SteppedExecutor
from tests.helpers.tables import add, queue, read

NEW = {"state": "actionable", "attempts": 0}


def done(row: dict[str, Any]) -> dict[str, Any]:
    return {"result": "done"}


def states(catalog, rids) -> list[object]:
    return [read(catalog, rid)["state"] for rid in rids]


def test_an_engine_does_every_row_one_step_at_a_time(catalog):
    rids = add(catalog, *[NEW] * 5)
    engine = Engine(queue(catalog), done, workers=2)

    looked = engine.cycle.look()
    while len(engine.held) or looked.more:
        if engine.executor.calls:
            engine.executor.step()
        looked = engine.cycle.look()

    assert states(catalog, rids) == ["complete"] * 5
    assert (engine.status.completed, looked.due_s) == (5, None)


def test_a_day_of_work_is_renewed_in_time_and_takes_none(catalog):
    [rid] = add(catalog, NEW)
    engine = Engine(queue(catalog, lease_s=600), done)
    begun = time.monotonic()

    looked = engine.cycle.look()
    while engine.time.passed_s < 24 * 3600:
        assert looked.due_s is not None
        engine.time.pass_(looked.due_s)
        looked = engine.cycle.look()
    engine.executor.step()
    engine.cycle.look()

    assert states(catalog, [rid]) == ["complete"]
    assert engine.status.lost == 0
    assert 24 * 3600 / 250 < engine.status.writes < 24 * 3600 / 150
    assert time.monotonic() - begun < 30


def test_a_lease_that_nobody_renewed_ends_the_work_of_its_row(catalog):
    [rid] = add(catalog, NEW)
    engine = Engine(queue(catalog, lease_s=600), done)
    engine.cycle.look()

    engine.time.pass_(600)
    engine.executor.step()
    engine.cycle.look(claiming=False)

    reason = "its lease was over before its result was written"
    assert ("lost", reason, rid) in engine.events
    assert (states(catalog, [rid]), len(engine.held)) == (["claimed"], 0)


def test_an_executor_that_fails_is_tried_again_ever_more_rarely(catalog):
    add(catalog, NEW)
    engine = Engine(queue(catalog), done)
    engine.executor.fault = ConnectionError("no route")
    engine.cycle.look()
    engine.cycle.look()
    tried: list[float] = []

    for _ in range(8):
        looked = engine.cycle.look()
        assert looked.due_s is not None
        tried.append(looked.due_s)
        engine.time.pass_(looked.due_s)

    assert tried == [pytest.approx(s) for s in (0.5, 1, 2, 4, 8, 16, 30, 30)]
    assert (engine.status.released, engine.status.writes) == (1, 2)


def test_it_goes_on_once_a_trial_is_answered(catalog):
    [rid] = add(catalog, NEW)
    engine = Engine(queue(catalog), done)
    engine.executor.fault = ConnectionError("no route")
    engine.cycle.look()
    engine.cycle.look()

    engine.executor.fault = None
    engine.time.pass_(1)
    engine.cycle.look()
    engine.executor.step()
    engine.cycle.look()
    engine.executor.step()
    engine.cycle.look()

    assert states(catalog, [rid]) == ["complete"]
    assert ("state", "the executor works again", None) in engine.events


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_a_row_that_breaks_the_executor_takes_no_other_down_for_ever(catalog, workers):
    rids = add(catalog, {**NEW, "name": "deadly"}, *[NEW] * 6)
    engine = Engine(queue(catalog), done, workers=workers)
    executor = engine.executor

    while engine.status.completed < 6:
        looked = engine.cycle.look()
        handed = [arg for _, call in executor.calls for arg in call.args]
        engine.time.pass_(0.1)
        if any(isinstance(a, dict) and a["name"] == "deadly" for a in handed):
            executor.fail(OSError("the workers are gone"))
        elif executor.calls:
            executor.step()
        else:
            engine.time.pass_(looked.due_s or 0.1)
        assert engine.time.passed_s < 300

    assert states(catalog, rids[1:]) == ["complete"] * 6
    assert engine.status.failed == 0


def test_no_two_trials_are_the_same_call(catalog):
    add(catalog, NEW)
    engine = Engine(queue(catalog), done)
    engine.executor.fault = ConnectionError("no route")
    engine.cycle.look()
    engine.cycle.look()
    engine.executor.fault = None

    calls = []
    for _ in range(3):
        engine.time.pass_(40)
        engine.cycle.look()
        calls += [call.args for _, call in engine.executor.calls]
        engine.executor.calls.clear()
        engine.time.pass_(11)
        engine.cycle.look()

    # a cluster takes the second of two for cancelled where the first was
    assert len(calls) == len(set(calls)) > 3


class AtOnce(SteppedExecutor):
    """One that tells nothing of what it has begun, and has a worker."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kw: Any) -> Future[Any]:
        future = super().submit(fn, *args, **kw)
        self.step()
        return future


@pytest.mark.parametrize(("executor", "claimed"), [(AtOnce, 1), (SteppedExecutor, 0)])
def test_an_executor_that_answers_loses_no_look(catalog, executor, claimed):
    add(catalog, NEW)
    engine = Engine(queue(catalog), done, executor=executor())
    # nothing was heard of it for long
    engine.time.pass_(3600)

    engine.cycle.look()

    assert engine.status.claimed == claimed


def test_what_runs_on_a_silent_executor_is_not_given_back(catalog):
    rids = add(catalog, *[NEW] * 4)
    engine = Engine(queue(catalog), done, prefetch=3)
    engine.cycle.look()

    engine.held.give_back()
    engine.cycle.look(claiming=False)
    assert states(catalog, rids) == ["claimed"] * 4

    engine.executor.begin()
    engine.held.give_back()
    engine.cycle.look(claiming=False)
    assert states(catalog, rids) == ["claimed", *["actionable"] * 3]
    assert engine.status.released == 3


def test_what_ended_is_not_forgotten_where_a_look_fails_before_its_write(catalog):
    [rid] = add(catalog, NEW)
    engine = Engine(queue(catalog), done)
    engine.cycle.look()
    engine.executor.fail(OSError("the workers are gone"))

    def raises(news: str) -> None:
        raise RuntimeError("nobody listens")

    engine.dispatcher._told = raises
    with pytest.raises(RuntimeError):
        engine.cycle.look(claiming=False)
    engine.dispatcher._told = lambda news: None
    engine.cycle.look(claiming=False)

    assert (states(catalog, [rid]), len(engine.held)) == (["actionable"], 0)


def test_counts_and_the_last_failures_are_in_the_status(catalog):
    rids = add(catalog, *[NEW] * 2)

    def fails(row: dict[str, Any]) -> None:
        raise ValueError("no series")

    engine = Engine(queue(catalog, max_attempts=1), fails, workers=2)
    engine.cycle.look()
    engine.executor.step()
    engine.executor.step()
    engine.cycle.look()

    status = engine.status
    assert (status.claimed, status.failed, status.jobs_per_min) == (2, 2, (2,))
    assert {one.rid for one in status.failures} == set(rids)
    assert {one.reason for one in status.failures} == {"ValueError: no series"}

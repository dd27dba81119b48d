"""Random schedules break no promise, and each planted fault is found by them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from ermpoll.agent import cycle, execution, settler
from ermpoll.agent.dispatcher import Dispatcher
from ermpoll.agent.held_jobs import HeldJobs
from ermpoll.agent.settler import RowFate, Settler
from ermpoll.queue import guarded_put, transitions
from ermpoll.queue.guarded_put import Fate, RowResult
from ermpoll.queue.reading.queries import Queries
from tests.end_to_end.schedules.__main__ import tell
from tests.end_to_end.schedules.play import play
from tests.helpers.shares import mostly_long

Patch = pytest.MonkeyPatch


def broken(seeds: Sequence[int]) -> list[str]:
    return [tell(played) for played in map(play, seeds) if played.broken]


def first_broken(found: str, weights: dict[str, int]) -> list[str]:
    """Return what the first seed broke that broke such a thing."""
    for seed in range(1, 40):
        told = list(play(seed, **weights).broken)
        if any(found in line for line in told):
            return told
    return []


@pytest.mark.parametrize("first", mostly_long(range(1, 21, 4), keep=3))
def test_no_schedule_breaks_a_promise(first: int) -> None:
    assert broken(range(first, first + 4)) == []


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", range(1001, 2001, 100))
def test_a_thousand_schedules_break_no_promise(first: int) -> None:
    assert broken(range(first, first + 100)) == []


def test_the_same_seed_is_the_same_run() -> None:
    assert play(7).trace == play(7).trace
    assert play(7).trace != play(8).trace


# planted


def works_without_having_won(patch: Patch) -> None:
    real = settler._missed

    def missed(spec: Any, row: RowFate, at: Any) -> Any:
        if row.step.kind == "claim":
            return settler._won(spec, replace(row, fate=Fate.WON), 1e7, at)
        return real(spec, row, at)

    patch.setattr(settler, "_missed", missed)


def takes_a_doubtful_answer_for_won(patch: Patch) -> None:
    real = guarded_put._Answer.of_the_rest

    def of_the_rest(answer: Any) -> RowResult:
        made = real(answer)
        doubtful = answer.doubtful and made.fate is not Fate.REFUSED
        return replace(made, fate=Fate.WON) if doubtful else made

    patch.setattr(guarded_put._Answer, "of_the_rest", of_the_rest)


def drops_a_result(patch: Patch) -> None:
    real = transitions.complete
    patch.setattr(transitions, "complete", lambda spec, held, *_: real(spec, held, {}))


def is_done_without_working(patch: Patch) -> None:
    nothing = execution.Report(result={})
    patch.setattr(execution, "_reported", lambda *_: nothing)


def works_twice_under_a_claim(patch: Patch) -> None:
    real = execution._call

    def twice(work: Callable[[Any], Any], row: Any) -> Any:
        real(work, row)
        return real(work, row)

    patch.setattr(execution, "_call", twice)


def mixes_up_the_results_of_a_batch(patch: Patch) -> None:
    real = HeldJobs.pop_finished

    def pop(held: HeldJobs) -> Any:
        over = real(held)
        reports = [one.report for one in over[1:] + over[:1]]
        return [replace(one, report=r) for one, r in zip(over, reports, strict=True)]

    patch.setattr(HeldJobs, "pop_finished", pop)


def claims_before_its_time(patch: Patch) -> None:
    real = Queries.candidates

    def candidates(queries: Queries, now: Any, *args: Any, **kw: Any) -> str:
        return real(queries, now.replace(year=now.year + 1), *args, **kw)

    patch.setattr(Queries, "candidates", candidates)


def ignores_the_limit_of_attempts(patch: Patch) -> None:
    real_finish, real_path = cycle.finishing_step, Queries.candidates

    def finish(spec: Any, *args: Any) -> Any:
        return real_finish(replace(spec, max_attempts=9), *args)

    def candidates(queries: Queries, *args: Any, **kw: Any) -> str:
        return real_path(queries, *args, **kw).replace("attempts::lt::3", "RID::gt::0")

    patch.setattr(cycle, "finishing_step", finish)
    patch.setattr(Queries, "candidates", candidates)


def never_looks_at_its_leases(patch: Patch) -> None:
    patch.setattr(HeldJobs, "lapsed", lambda *_: {})
    patch.setattr(HeldJobs, "to_renew", lambda *_: [])
    patch.setattr(HeldJobs, "renewal_due_s", lambda *_: None)


def stops_and_leaves_rows_claimed(patch: Patch) -> None:
    def give_back(held: HeldJobs, *, running: bool = False) -> None:
        held.forget([one.rid for one in held.held()])

    patch.setattr(HeldJobs, "give_back", give_back)


def forgets_what_it_claimed(patch: Patch) -> None:
    real = HeldJobs.submit

    def submit(held: HeldJobs, rows: Any, *args: Any, **kw: Any) -> None:
        real(held, list(rows)[1:], *args, **kw)

    patch.setattr(HeldJobs, "submit", submit)


def is_wedged(patch: Patch) -> None:
    patch.setattr(Dispatcher, "ready", lambda _: False)


def says_more_than_it_did(patch: Patch) -> None:
    real = Settler._apply

    def apply(this: Settler, effects: Any) -> None:
        real(this, effects)
        for effect in effects:
            if effect.count == "completed":
                this._context.counters.add("completed")

    patch.setattr(Settler, "_apply", apply)


def fails_a_row_for_the_executor(patch: Patch) -> None:
    real = execution.fault_of

    def report(future: Any) -> execution.Report:
        fault = real(future)
        return execution.Report(error=fault) if fault else future.result()

    patch.setattr("ermpoll.agent.held_jobs.report_of", report)


@pytest.fixture
def patch() -> Iterator[Patch]:
    with pytest.MonkeyPatch.context() as made:
        yield made


@pytest.mark.parametrize(
    ("plant", "found", "weights"),
    [
        (works_without_having_won, "worked without having won", {}),
        (takes_a_doubtful_answer_for_won, "", {"go_away": 60}),
        (drops_a_result, "of its work", {}),
        (is_done_without_working, "done without working", {}),
        (works_twice_under_a_claim, "worked twice under one claim", {}),
        (mixes_up_the_results_of_a_batch, "", {}),
        (claims_before_its_time, "before its retry_at", {}),
        (ignores_the_limit_of_attempts, "beyond its attempts", {}),
        (never_looks_at_its_leases, "", {}),
        (stops_and_leaves_rows_claimed, "left rows claimed", {"stop_one": 60}),
        (forgets_what_it_claimed, "", {}),
        (is_wedged, "", {}),
        (says_more_than_it_did, "said", {}),
        (fails_a_row_for_the_executor, "another's fault", {"break_executor": 60}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_planted_fault_is_found(
    patch: Patch, plant: Callable[[Patch], None], found: str, weights: dict[str, int]
) -> None:
    plant(patch)

    assert any(found in line for line in first_broken(found, weights))

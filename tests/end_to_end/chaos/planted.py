"""Faults planted into the product, each with what the judges must find of it.

They are planted by a patch, so that a test can take them back; a process that is to
have one has it for all its life.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from ermpoll.agent import execution, finishing, held_jobs, settler
from ermpoll.agent.dispatcher import Dispatcher
from ermpoll.agent.held_jobs import HeldJobs
from ermpoll.agent.settler import RowFate, Settler
from ermpoll.queue import edits, guarded_put, tokens, transitions
from ermpoll.queue.guarded_put import Fate, RowResult
from ermpoll.queue.reading.queries import Queries
from ermpoll.queue.transitions import Origin, Whose

Patch = pytest.MonkeyPatch


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
    real_finish, real_path = finishing.finishing_step, Queries.candidates

    def finish(spec: Any, *args: Any) -> Any:
        return real_finish(replace(spec, max_attempts=9), *args)

    def candidates(queries: Queries, *args: Any, **kw: Any) -> str:
        return real_path(queries, *args, **kw).replace("attempts::lt::3", "RID::gt::0")

    patch.setattr(finishing, "finishing_step", finish)
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
    real = HeldJobs.hold
    patch.setattr(HeldJobs, "hold", lambda held, rows: real(held, list(rows)[1:]))


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

    patch.setattr(held_jobs, "report_of", report)


def works_on_nothing_that_it_holds(patch: Patch) -> None:
    real = HeldJobs.hand_out

    def hand_out(held: HeldJobs, call: Any, **kw: Any) -> None:
        numbers = itertools.count()
        real(held, lambda row: call(row) if next(numbers) else Future(), **kw)

    patch.setattr(HeldJobs, "hand_out", hand_out)


def tells_of_another_row(patch: Patch) -> None:
    real = Settler._tell

    def tell(this: Settler, effects: Any, waited_s: float = 0.0) -> None:
        ends = [one for one in effects if one.event == "completed"]
        gone = [one.gone for one in ends]
        mixed = [replace(o, gone=g + "?") for o, g in zip(ends, gone, strict=True)]
        real(this, [o for o in effects if o not in ends] + mixed, waited_s)

    patch.setattr(Settler, "_tell", tell)


def robs_live_claims(patch: Patch) -> None:
    patch.setattr(transitions, "overdue_s", lambda *_: 1.0)
    patch.setattr(transitions, "surely_overdue_s", lambda *_: 1.0)


def frees_claims_without_a_lease(patch: Patch) -> None:
    real = transitions.origin_of

    def origin(spec: Any, row: Any) -> Origin:
        return Origin(Whose.OURS, real(spec, row).word)

    patch.setattr(transitions, "origin_of", origin)


def uses_a_token_again(patch: Patch) -> None:
    same = SimpleNamespace(token_hex=lambda n: "0" * 2 * n)
    patch.setattr(tokens, "secrets", same)


def counts_no_attempt(patch: Patch) -> None:
    def before(spec: Any, row: Any) -> int:
        return transitions.attempts_of(spec, row) - 1

    patch.setattr(transitions, "attempts_before", before)


def writes_over_edits(patch: Patch) -> None:
    def finish(spec: Any, step: Any, now: Any, past: Any) -> edits.Finish:
        fresh = replace(step.change, rmt=str(now["RMT"]))
        return edits.Finish(step=replace(step, change=fresh))

    patch.setattr(edits, "finish", finish)


def finishes_without_its_token(patch: Patch) -> None:
    real = transitions.complete

    def complete(spec: Any, held: Any, changes: Any, *more: Any) -> Any:
        return real(spec, held, {**changes, spec.owner: None}, *more)

    patch.setattr(transitions, "complete", complete)


def takes_what_is_done(patch: Patch) -> None:
    real = Queries.candidates

    def candidates(queries: Queries, *args: Any, **kw: Any) -> str:
        path = real(queries, *args, **kw)
        return path.replace("state=new", "state::ciregexp::new%7Cdone")

    patch.setattr(Queries, "candidates", candidates)


#: Nothing that would excuse an agent.
CALM: Mapping[str, int] = {"go_away": 0, "crash": 0, "freeze": 0}


@dataclass(frozen=True, slots=True)
class Planted:
    """One planted fault."""

    plant: Callable[[Patch], None]
    #: What the judges must say.
    found: str
    #: What has to happen more often for it to show.
    weights: Mapping[str, int] = field(default_factory=dict)

    @property
    def calm_s(self) -> float:
        """How long a calm shows it, in seconds."""
        return 600.0 if self.weights is CALM else 60.0


PLANTED: Mapping[str, Planted] = {
    one.plant.__name__: one
    for one in (
        Planted(works_without_having_won, "worked without having won"),
        Planted(
            takes_a_doubtful_answer_for_won,
            "worked without having won",
            {"go_away": 60},
        ),
        Planted(drops_a_result, "of its work"),
        Planted(is_done_without_working, "done without working"),
        Planted(works_twice_under_a_claim, "worked twice under one claim"),
        Planted(mixes_up_the_results_of_a_batch, "of its work"),
        Planted(claims_before_its_time, "claimed before its retry_at"),
        Planted(ignores_the_limit_of_attempts, "claimed beyond its attempts"),
        Planted(never_looks_at_its_leases, "finished after its lease was over"),
        Planted(stops_and_leaves_rows_claimed, "left rows claimed", {"stop_one": 60}),
        Planted(forgets_what_it_claimed, "a living agent was let grow old", CALM),
        Planted(works_on_nothing_that_it_holds, "a claim that nobody works on", CALM),
        Planted(is_wedged, "wedged while rows were ready", CALM),
        Planted(says_more_than_it_did, "said"),
        Planted(tells_of_another_row, "said"),
        Planted(
            fails_a_row_for_the_executor, "another's fault", {"break_executor": 60}
        ),
        Planted(robs_live_claims, "before its lease ended"),
        Planted(frees_claims_without_a_lease, "freed a claim without a lease"),
        Planted(uses_a_token_again, "the token was used in an earlier claim"),
        Planted(counts_no_attempt, "a claim must count one attempt"),
        Planted(writes_over_edits, "wrote over a person's", {"edit": 60}),
        Planted(finishes_without_its_token, "finished without its claim's token"),
        Planted(takes_what_is_done, "done to claimed"),
    )
}

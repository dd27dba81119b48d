"""What a look has to write of its own, whatever it finds to claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ermpoll.agent.context import AgentContext
from ermpoll.agent.execution import Report, finishing_step
from ermpoll.agent.held_jobs import Finished
from ermpoll.queue import transitions
from ermpoll.queue.transitions import Transition


@dataclass(frozen=True, slots=True, kw_only=True)
class Finishing:
    """What ended, and all that is to be written of it and of what is held."""

    ended: tuple[Finished, ...] = ()
    #: What finishes, what is renewed, and candidates that can't be worked on.
    steps: tuple[Transition, ...] = ()


def finish(
    context: AgentContext,
    ended: Sequence[Finished],
    rejects: Sequence[Transition],
    now: float,
) -> Finishing:
    """Decide what is written for what ended, is held for long, or can't be done.

    A row has one step in a write: its finish counts, and is a renewal as well.
    """
    ended = [*ended, *_overtime(context, {one.held.rid for one in ended}, now)]
    rids = {one.held.rid for one in ended}
    spec, random = context.jobs.definition, context.clocks.random
    catalog_now = context.jobs.catalog.reached()
    finishing = [
        transitions.release(spec, one.held)
        if one.given_back
        else finishing_step(
            spec, one.held, one.report, catalog_now, random(), context.on_edit
        )
        for one in ended
    ]
    renewals = [
        transitions.renew(spec, held)
        for held in context.held.to_renew(spec.lease_s, now)
        if held.rid not in rids
    ]
    return Finishing(ended=tuple(ended), steps=(*finishing, *renewals, *rejects))


def _overtime(context: AgentContext, without: set[str], now: float) -> list[Finished]:
    """Return what has been worked on for too long, as failed."""
    limit_s = context.time_limit_s
    if not limit_s:
        return []
    late = Report(error=f"timed out after {limit_s:g} s")
    over = context.held.overtime(limit_s, now)
    found = [
        Finished(held=held, report=late) for held in over if held.rid not in without
    ]
    for one in found:
        context.remember(one)
    return found

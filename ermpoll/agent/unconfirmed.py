"""Claims whose answer never came: ours or not, the catalog will tell. A value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ermpoll.catalog.clock import parse_time
from ermpoll.queue import transitions
from ermpoll.queue.definition import QueueDefinition
from ermpoll.queue.guarded_put import Fate
from ermpoll.queue.transitions import Held, Transition
from ermpoll.queue.writer import WriteResult, is_as_left
from ermpoll.records import Doubt, Row

#: Seconds until it is asked again whether rows in doubt are still claimed, and how
#: many of them are remembered: a few lost answers to full batches.
ASK_AGAIN_S, MOST_DOUBTS = 60.0, 2000


@dataclass(frozen=True, slots=True)
class UnconfirmedClaims:
    """The claims of which it is not known whether they were written."""

    #: Each claim and when it was sent, on the clock, by RID.
    claims: Mapping[str, tuple[Transition, float]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.claims)

    def after(
        self, spec: QueueDefinition, done: WriteResult, sent_at: float
    ) -> UnconfirmedClaims:
        """Return these and the claims of a write that got no certain answer.

        Without an owner column nothing could tell whose they are.
        """
        rids = done.rids(Fate.UNKNOWN) if spec.owner else ()
        steps = [done.transitions[rid] for rid in rids]
        more = {s.rid: (s, sent_at) for s in steps if s.kind == "claim"}
        return UnconfirmedClaims({**self.claims, **more})

    def sorted_out(
        self, spec: QueueDefinition, rows: Mapping[str, Row], now: float
    ) -> tuple[list[Held], UnconfirmedClaims]:
        """Return the claims that turn out to be ours, and those still unconfirmed.

        The others can't become ours any more: the row has moved on without our
        token, or their lease is over.

        Parameters
        ----------
        rows
            The rows as they are now; one that is gone is missing.
        """
        ours, left = [], {}
        for rid, (step, sent_at) in self.claims.items():
            row, deadline = rows.get(rid), sent_at + spec.lease_s
            if row is None:
                continue
            if transitions.is_marked(spec, step, row):
                # under another version it holds somebody's edits, which the claim
                # knows nothing of: then what finishes it reads it first
                rmt = str(row["RMT"]) if is_as_left(step.change, row) else ""
                ours.append(transitions.held_of(spec, step, rmt, deadline))
            elif _may_still_be_written(step, row) and now < deadline:
                left[rid] = (step, sent_at)
        return ours, UnconfirmedClaims(left)


@dataclass(frozen=True, slots=True)
class Doubts:
    """Claims that got no answer, in a queue where nothing tells whose they are."""

    rows: tuple[Doubt, ...] = ()
    #: When it was asked whether they are still claimed, on the clock.
    asked_at: float = -math.inf

    def asked(
        self,
        spec: QueueDefinition,
        read: Callable[[list[str]], Mapping[str, Row] | None],
        now: float,
    ) -> Doubts:
        """Return those that are still claimed; that is asked once in a while."""
        if not self.rows or now < self.asked_at + ASK_AGAIN_S:
            return self
        rows = read([one.rid for one in self.rows])
        if rows is None:
            return Doubts(self.rows, now)
        states = {rid: row[spec.state] for rid, row in rows.items()}
        left = (one for one in self.rows if states.get(one.rid) == spec.claimed)
        return Doubts(tuple(left), now)

    def after(self, spec: QueueDefinition, done: WriteResult, at: datetime) -> Doubts:
        """Return these and the claims of a write that got no certain answer."""
        rids = () if spec.owner else done.rids(Fate.UNKNOWN)
        steps = [done.transitions[rid] for rid in rids]
        new = [Doubt(rid=s.rid, at=at) for s in steps if s.kind == "claim"]
        left = (one for one in self.rows if one not in new)
        return Doubts((*new, *left)[:MOST_DOUBTS], self.asked_at)


def _may_still_be_written(step: Transition, row: Row) -> bool:
    """Whether a late copy of the write could still match the row."""
    return parse_time(row["RMT"]) == parse_time(step.change.rmt)

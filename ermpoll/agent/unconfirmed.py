"""Claims whose answer never came: ours or not, the catalog will tell. A value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ermpoll.catalog.clock import parse_time
from ermpoll.queue import transitions
from ermpoll.queue.definition import QueueDefinition
from ermpoll.queue.guarded_put import Fate
from ermpoll.queue.transitions import Held, Transition
from ermpoll.queue.writer import WriteResult, is_as_left
from ermpoll.records import Row


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


def _may_still_be_written(step: Transition, row: Row) -> bool:
    """Whether a late copy of the write could still match the row."""
    return parse_time(row["RMT"]) == parse_time(step.change.rmt)

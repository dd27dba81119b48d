"""Claims whose answer never came: ours or not, the catalog will tell."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ermpoll.catalog.clock import parse_time
from ermpoll.queue import transitions
from ermpoll.queue.guarded_put import Fate
from ermpoll.queue.transitions import Held, Transition
from ermpoll.queue.writer import WriteResult
from ermpoll.records import JSON, Row

if TYPE_CHECKING:
    from ermpoll.queue import Queue


class UnconfirmedClaims:
    """The claims of one agent of which it is not known whether they were written."""

    def __init__(self, jobs: Queue) -> None:
        self._jobs = jobs
        self._moves: dict[str, tuple[Transition, float]] = {}

    def __bool__(self) -> bool:
        return bool(self._moves)

    def add(self, done: WriteResult, sent_at: float) -> None:
        """Keep the claims of a write that got no certain answer."""
        for rid in done.rids(Fate.UNKNOWN):
            step = done.transitions[rid]
            if step.kind == "claim" and self._jobs.definition.owner:
                self._moves[rid] = (step, sent_at)

    @property
    def rids(self) -> tuple[str, ...]:
        """The rows whose present state would tell."""
        return tuple(self._moves)

    def found(self, now: Mapping[str, dict[str, JSON]]) -> dict[str, Held]:
        """Return claims that turn out to be ours, by the rows as they are now.

        Those that can't become ours any more are forgotten: the row has moved on
        without our token, or their lease is over.
        """
        spec = self._jobs.definition
        held, open_ = {}, {}
        for rid, (move, sent_at) in self._moves.items():
            row, deadline = now.get(rid), sent_at + spec.lease_s
            if row is not None and transitions.is_marked(spec, move, row):
                ours = transitions.held_of(spec, move, str(row["RMT"]), deadline)
                # under this version the row may hold somebody's edits as well
                held[rid] = replace(ours, row=row)
            elif row is not None and _still(move, row) and time.monotonic() < deadline:
                open_[rid] = (move, sent_at)
        self._moves = open_
        return held


def _still(move: Transition, row: Row) -> bool:
    """Whether a late copy of the write could still match the row."""
    return parse_time(row["RMT"]) == parse_time(move.change.rmt)

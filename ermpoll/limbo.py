"""Claims whose answer never came: ours or not, the catalog will tell."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from ermpoll import moves
from ermpoll.acts import Done, read_rows
from ermpoll.clock import parse_time
from ermpoll.moves import Held, Move
from ermpoll.records import Row

if TYPE_CHECKING:
    from ermpoll.jobqueue import Queue


class Limbo:
    """The claims of one agent of which it is not known whether they were written."""

    def __init__(self, jobs: Queue) -> None:
        self._jobs = jobs
        self._moves: dict[str, tuple[Move, float]] = {}

    def __bool__(self) -> bool:
        return bool(self._moves)

    def add(self, done: Done, sent_at: float) -> None:
        """Keep the claims of a write that got no certain answer."""
        for rid in done.written.unknown:
            if done.moves[rid].act == "claim" and self._jobs.spec.owner:
                self._moves[rid] = (done.moves[rid], sent_at)

    def found(self) -> dict[str, Held]:
        """Ask the catalog; returns claims that turn out to be ours.

        Those that can't become ours any more are forgotten: the row has moved on
        without our token, or their lease is over.
        """
        if not self._moves:
            return {}
        spec = self._jobs.spec
        now = read_rows(self._jobs.catalog, self._jobs.queries, self._moves)
        held = {}
        for rid, (move, sent_at) in list(self._moves.items()):
            row, deadline = now.get(rid), sent_at + spec.lease_s
            if row is not None and moves.is_marked(spec, move, row):
                ours = moves.held_of(spec, move, str(row["RMT"]), deadline)
                # under this version the row may hold somebody's edits as well
                held[rid] = replace(ours, row=row)
            elif row is not None and _still(move, row) and time.monotonic() < deadline:
                continue
            del self._moves[rid]
        return held


def _still(move: Move, row: Row) -> bool:
    """Whether a late copy of the write could still match the row."""
    return parse_time(row["RMT"]) == parse_time(move.change.rmt)

"""What came of a write: rows that are held now, finished, lost or refused."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ermpoll import moves
from ermpoll.acting import held_rows
from ermpoll.acts import Done, read_rows
from ermpoll.clock import parse_time
from ermpoll.hand import Finished
from ermpoll.limbo import Limbo
from ermpoll.moves import Held, Move
from ermpoll.parts import Parts
from ermpoll.records import EventKind

logger = logging.getLogger(__name__)

#: Which count and which event a written move is.
_KINDS: Mapping[str, tuple[str, EventKind]] = {
    "complete": ("completed", "completed"),
    "fail": ("failed", "failed"),
    "retry later": ("retried", "failed"),
    "release": ("released", "released"),
    "rescue": ("rescued", "rescued"),
}


class Settler:
    """Takes note of what became of each row of one agent's writes."""

    def __init__(self, parts: Parts, limbo: Limbo, park: list[Move]) -> None:
        self._parts = parts
        self._limbo = limbo
        self._spec = parts.jobs.spec
        self._catalog = parts.jobs.catalog
        self._park = park

    def settle(self, done: Done, ended: Sequence[Finished], sent_at: float) -> int:
        """Take note of what became of each row; returns how many were claimed."""
        parts, written = self._parts, done.written
        causes = {one.held.rid: one for one in ended}
        open_ = {*written.unsent, *written.unknown}
        parts.hand.put_back(causes[rid] for rid in open_ if rid in causes)
        claimed = held_rows(parts.jobs, done, sent_at)
        self._limbo.add(done, sent_at)
        claimed.update(self._limbo.found())
        for rid in written.missed:
            self._missed(done.moves[rid])
        for rid, reason in written.refused.items():
            self._refused(done.moves[rid], reason, causes.get(rid))
        for move in done.won():
            cause = causes.get(move.rid)
            # the version of a write by token covers an edit that we haven't seen
            rmt = "" if move.rid in done.edited else written.won[move.rid]
            self._won(move, rmt, sent_at, cause)
        self._start(claimed, self._waited_s(done))
        return len(claimed)

    def _waited_s(self, done: Done) -> float:
        """Return for how long the longest waiting of the claimed rows was ready."""
        now = self._catalog.now()
        ready = [parse_time(move.change.rmt) for move in done.won("claim")]
        waited = ((now - at).total_seconds() for at in ready if at is not None)
        return max(waited, default=0.0)

    def _start(self, claimed: Mapping[str, Held], waited_s: float) -> None:
        parts = self._parts
        parts.tally.add("claimed", len(claimed))
        for rid in claimed:
            parts.emit("claimed", rid=rid)
        if claimed:
            logger.info(
                "%s: claimed %d rows",
                parts.name,
                len(claimed),
                extra={
                    "event": "claimed",
                    "rows": len(claimed),
                    "queue_age_s": waited_s,
                },
            )
        parts.hand.take(claimed.values(), parts.execution.submit)

    def _won(
        self, move: Move, rmt: str, sent_at: float, cause: Finished | None = None
    ) -> None:
        parts = self._parts
        if move.act == "renew":
            for held in parts.hand.held([move.rid]):
                lease_end = sent_at + self._spec.lease_s
                parts.hand.renewed(replace(held, rmt=rmt, deadline=lease_end))
            return
        kind = _KINDS.get(move.act)
        if kind is None:
            return
        parts.hand.drop([move.rid])
        field, event = kind
        parts.tally.add(field)
        reason = str(move.change.after.get(self._spec.error or "") or "")
        if cause and cause.fault:
            reason = f"the executor did not do it: {cause.fault}"
        worked_s = cause.worked_s if cause else None
        parts.emit(event, reason, move.rid)
        told = {"event": event, "rid": move.rid, "work_s": worked_s}
        logger.debug("%s: %s %s", parts.name, event, move.rid, extra=told)

    def _missed(self, move: Move) -> None:
        if move.act in ("claim", "rescue"):
            self._parts.tally.add("lost", move.act == "claim")
            return
        if move.rid in self._parts.hand:
            # an earlier copy of this write may have been the one that counted
            row = read_rows(self._catalog, self._parts.jobs.queries, [move.rid])
            now = row.get(move.rid)
            if now and moves.is_marked(self._spec, move, now) and move.act != "renew":
                self._won(move, str(now["RMT"]), time.monotonic())
                return
            self.lost(move.rid, "somebody else took the row over")
            self._parts.hand.drop([move.rid])

    def _refused(self, move: Move, reason: str, cause: Finished | None) -> None:
        if move.act == "claim":
            failed = replace(move.change, kind="problem", reason=reason)
            self._park.append(moves.park(self._spec, failed))
        elif cause is not None and move.act not in ("fail", "release"):
            told = Finished(held=cause.held, error=reason, final=True)
            self._parts.hand.put_back([told])
        else:
            act = "release" if move.act == "release" else "failure"
            self.lost(move.rid, f"the catalog refuses even its {act}: {reason}")
            self._parts.hand.drop([move.rid])

    def lost(self, rid: str, reason: str) -> None:
        """Tell that a row is not ours any more."""
        self._parts.tally.add("lost")
        self._parts.emit("lost", reason, rid)
        logger.warning(
            "%s: lost %s: %s", self._parts.name, rid, reason, extra={"event": "lost"}
        )

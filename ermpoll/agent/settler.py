"""What came of a write: rows that are held now, finished, lost or refused."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ermpoll.agent.context import AgentContext
from ermpoll.agent.held_jobs import Finished
from ermpoll.agent.unconfirmed import UnconfirmedClaims
from ermpoll.catalog.clock import parse_time
from ermpoll.queue import transitions
from ermpoll.queue.guarded_put import Fate
from ermpoll.queue.operations import held_rows
from ermpoll.queue.transitions import Held, Transition
from ermpoll.queue.writer import WriteResult
from ermpoll.records import JSON, EventKind, Failure, Row
from ermpoll.redact import clipped

logger = logging.getLogger(__name__)

#: Which count and which event a written move is.
_KINDS: Mapping[str, tuple[str, EventKind]] = {
    "complete": ("completed", "completed"),
    "fail": ("failed", "failed"),
    "retry later": ("retried", "failed"),
    "release": ("released", "released"),
    "rescue": ("rescued", "rescued"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What a write came to."""

    #: Rows that are worked on from now on.
    claimed: int
    #: Rows of which it could not be read what became of them: a later look will.
    unread: int


@dataclass(frozen=True, slots=True)
class _News:
    event: EventKind
    rid: str
    reason: str
    #: Seconds that the work took, where it was work that ended.
    worked_s: float | None = None
    #: The count it is in.
    field: str = "lost"


#: What a log says of rows that did not go well.
_WORDS = {"lost": "lost", "failed": "failed", "retried": "failed, to be tried again,"}


class Settler:
    """Takes note of what became of each row of one agent's writes."""

    def __init__(
        self, parts: AgentContext, limbo: UnconfirmedClaims, park: list[Transition]
    ) -> None:
        self._parts = parts
        self._limbo = limbo
        self._spec = parts.jobs.definition
        self._catalog = parts.jobs.catalog
        self._park = park
        self._news: list[_News] = []

    def settle(
        self, done: WriteResult, ended: Sequence[Finished], sent_at: float
    ) -> Settled:
        """Take note of what became of each row.

        What has to be read is read first: where that fails, the rows it is about
        are left for a later look, and what the answer said of all others stands.
        """
        hand, missed = self._parts.hand, done.rids(Fate.MISSED)
        self._limbo.add(done, sent_at)
        asked = [rid for rid in missed if self._is_doubted(done.transitions[rid])]
        now = self._read([*self._limbo.rids, *asked])
        # from here on nothing can fail: half of a write must not be forgotten
        open_ = (*done.rids(Fate.UNSENT), *done.rids(Fate.UNKNOWN))
        left = {*open_, *(asked if now is None else ())}
        causes = {one.held.rid: one for one in ended}
        hand.put_back(causes[rid] for rid in left if rid in causes)
        claimed = held_rows(self._spec, done, sent_at)
        claimed.update(self._limbo.found(now) if now is not None else {})
        for rid in missed:
            if rid not in left:
                self._missed(done.transitions[rid], now.get(rid) if now else None)
        for rid, reason in done.reasons(Fate.REFUSED).items():
            self._refused(done.transitions[rid], reason, causes.get(rid))
        for rid, move in done.written().items():
            self._won(move, done.rows[rid].rmt, sent_at, causes.get(rid))
        self._parts.tally.add("claimed", len(claimed))
        hand.take(claimed.values(), self._parts.execution.submit)
        self._tell_claimed(claimed, done)
        self._tell()
        return Settled(
            claimed=len(claimed), unread=0 if now is not None else len(asked)
        )

    def lose(self, rid: str, reason: str) -> None:
        """Hold a row no more, since it is not ours any more, and tell it."""
        self._lose(rid, reason)
        self._tell()

    def _is_doubted(self, move: Transition) -> bool:
        """Whether only the row itself can tell why its write was missed."""
        return move.kind not in ("claim", "rescue") and move.rid in self._parts.hand

    def _read(self, rids: Sequence[str]) -> dict[str, dict[str, JSON]] | None:
        if not rids:
            return {}
        return self._parts.jobs.try_rows(rids)

    def _waited_s(self, done: WriteResult) -> float:
        """Return for how long the longest waiting of the claimed rows was ready."""
        now = self._catalog.now()
        ready = [parse_time(move.change.rmt) for move in done.written("claim").values()]
        waited = ((now - at).total_seconds() for at in ready if at is not None)
        return max(waited, default=0.0)

    def _won(
        self, move: Transition, rmt: str, sent_at: float, cause: Finished | None = None
    ) -> None:
        parts = self._parts
        if move.kind == "renew":
            for held in parts.hand.held([move.rid]):
                lease_end = sent_at + self._spec.lease_s
                parts.hand.renewed(replace(held, rmt=rmt, deadline=lease_end))
            return
        kind = _KINDS.get(move.kind)
        if kind is None:
            return
        parts.hand.drop([move.rid])
        field, event = kind
        parts.tally.add(field)
        reason = clipped(move.reason)
        if cause and cause.fault:
            reason = f"the executor did not do it: {cause.fault}"
        if event == "failed":
            spec, row = self._spec, move.change.before
            attempt = transitions.attempts_of(spec, row) if spec.attempts else None
            at = datetime.now(UTC)
            failure = Failure(rid=move.rid, reason=reason, attempt=attempt, at=at)
            parts.tally.failed(failure)
        worked_s = cause.worked_s if cause else None
        self._news.append(_News(event, move.rid, reason, worked_s, field))

    def _missed(self, move: Transition, now: Row | None) -> None:
        if move.kind in ("claim", "rescue"):
            self._parts.tally.add("lost", move.kind == "claim")
            return
        if move.rid in self._parts.hand:
            # an earlier copy of this write may have been the one that counted
            if (
                now
                and transitions.is_marked(self._spec, move, now)
                and move.kind != "renew"
            ):
                self._won(move, str(now["RMT"]), time.monotonic(), None)
            else:
                self._lose(move.rid, "somebody else took the row over")

    def _refused(self, move: Transition, reason: str, cause: Finished | None) -> None:
        if move.kind == "claim":
            failed = replace(move.change, kind="problem", reason=reason)
            self._park.append(transitions.reject(self._spec, failed))
        elif cause is not None and move.kind not in ("fail", "release"):
            told = Finished(held=cause.held, error=reason, final=True)
            self._parts.hand.put_back([told])
        else:
            act = "release" if move.kind == "release" else "failure"
            self._lose(move.rid, f"the catalog refuses even its {act}: {reason}")

    def _lose(self, rid: str, reason: str) -> None:
        self._parts.hand.drop([rid])
        self._parts.tally.add("lost")
        self._news.append(_News("lost", rid, reason))

    # telling: last, since a listener is a stranger

    def _tell_claimed(self, claimed: Mapping[str, Held], done: WriteResult) -> None:
        for rid in claimed:
            self._parts.emit("claimed", rid=rid)
        if claimed:
            extra = {
                "event": "claimed",
                "rows": len(claimed),
                "queue_age_s": self._waited_s(done),
            }
            logger.info(
                "%s: claimed %d rows", self._parts.name, len(claimed), extra=extra
            )

    def _tell(self) -> None:
        news, self._news = self._news, []
        for one in news:
            self._parts.emit(one.event, one.reason, one.rid)
            _log(self._parts.name, one)


def _log(name: str, news: _News) -> None:
    extra = {"event": news.event, "rid": news.rid, "work_s": news.worked_s}
    told = (name, _WORDS.get(news.field, news.event), news.rid)
    if news.field in _WORDS:
        # a job that fails is the owner's affair, a row that is lost ours as well
        level = logging.WARNING if news.field == "lost" else logging.INFO
        logger.log(level, "%s: %s %s: %s", *told, news.reason, extra=extra)
    else:
        logger.debug("%s: %s %s", *told, extra=extra)

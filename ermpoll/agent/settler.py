"""What came of a write: rows that are held now, finished, lost or refused.

What has to be read is read first. Then `effect_of` decides, purely, what each row's
fate comes to; all of it is taken note of in memory, where nothing can fail; and at
last it is told.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ermpoll.agent.context import AgentContext
from ermpoll.agent.execution import Report
from ermpoll.agent.held_jobs import Finished
from ermpoll.agent.memory.metrics import waits_s_of
from ermpoll.agent.unconfirmed import Doubts, UnconfirmedClaims
from ermpoll.errors import Fault
from ermpoll.polling.status import News
from ermpoll.queue import edits, transitions
from ermpoll.queue.definition import QueueDefinition
from ermpoll.queue.guarded_put import Fate
from ermpoll.queue.transitions import Held, Transition
from ermpoll.queue.writer import WriteResult
from ermpoll.records import JSON, EventKind, Failure, KeptEdit, Row, rows
from ermpoll.redact import clipped

logger = logging.getLogger(__name__)

#: After what part of a lease a renewal that was refused is asked for again.
RENEW_AGAIN = 0.05

#: Which count and which event a written step is.
_KINDS: Mapping[str, tuple[str, EventKind]] = {
    "complete": ("completed", "completed"),
    "fail": ("failed", "failed"),
    "retry later": ("retried", "failed"),
    "release": ("released", "released"),
    "rescue": ("rescued", "rescued"),
}
#: The events by which the work of a row was over.
_ENDS = ("completed", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFate:
    """What became of one row of a write, and what is known of it."""

    step: Transition
    fate: Fate
    #: Of a row won: its version, as a guard; empty where it can't be had.
    rmt: str = ""
    #: Of a row refused: why, and whose fault that is.
    reason: str = ""
    fault: Fault | None = None
    #: Of a row won: the columns that keep a person's edit.
    kept: tuple[str, ...] = ()
    #: How it is held, where it is.
    held: Held | None = None
    #: The job that was written with it, where one was.
    finished: Finished | None = None
    #: The row as it is now, where it was read; None also where it is gone.
    row: Row | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """A row that the catalog refuses to write."""

    rid: str
    #: Its version; ``own``: of a write of ours.
    rmt: str
    own: bool = False
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What the fate of a row comes to. One without a field changes nothing."""

    #: It is ours from now on, and its work is to begin.
    claimed: Held | None = None
    #: It is held under this from now on.
    renewed: Held | None = None
    #: RID of a row that is held no more.
    gone: str = ""
    #: To be written again by the next look.
    finished: Finished | None = None
    #: A candidate to be marked as failed by the next look.
    reject: Transition | None = None
    #: To be left alone for a growing time.
    aside: Aside | None = None
    #: The count that it is in.
    count: str = ""
    #: What is told of it, why, and how many seconds its work took.
    event: EventKind | None = None
    reason: str = ""
    worked_s: float | None = None
    failure: Failure | None = None
    kept: KeptEdit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A write, and what it came to."""

    done: WriteResult
    #: Rows that are worked on from now on.
    claimed: int = 0
    #: Results that the catalog refuses to write, and that wait for their time.
    waiting: int = 0
    #: Rows of which it could not be read what became of them: a later look will.
    unread: int = 0
    #: Candidates that can't be worked on, to be marked as failed.
    rejects: tuple[Transition, ...] = ()
    #: Whether there are claims of which it is not known whether they were written.
    unconfirmed: bool = False


class Settler:
    """Takes note of what became of each row of one agent's writes.

    Parameters
    ----------
    hand_out
        Called once rows are held, before any of it is told: their work may begin.
    """

    def __init__(
        self, context: AgentContext, hand_out: Callable[[WriteResult], None]
    ) -> None:
        self._context, self._hand_out = context, hand_out
        self._spec = context.jobs.definition
        self.unconfirmed = UnconfirmedClaims()
        self.doubts = Doubts()

    def settle(
        self, done: WriteResult, ended: Sequence[Finished], sent_at: float
    ) -> Settled:
        """Take note of what became of each row.

        Where a read fails the rows it is about are left for a later look, and what
        the answer said of all others stands.
        """
        context, spec = self._context, self._spec
        unconfirmed = self.unconfirmed.after(spec, done, sent_at)
        # of these only the row itself can tell why its write was missed
        doubted = [
            rid
            for rid in done.rids(Fate.MISSED)
            if done.transitions[rid].kind not in ("claim", "rescue")
            and rid in context.held
        ]
        asked, jobs = [*unconfirmed.claims, *doubted], context.jobs
        now_rows = jobs.try_rows(asked) if asked else {}
        now, at = context.clocks.monotonic(), context.clocks.utc()
        found: list[Held] = []
        if now_rows is not None:
            found, unconfirmed = unconfirmed.sorted_out(spec, now_rows, now)
        unread = set(doubted) if now_rows is None else set()
        effects = [Effect(claimed=held, count="claimed") for held in found] + [
            effect_of(spec, fate, sent_at, at)
            for fate in self._fates(done, ended, now_rows or {}, unread)
        ]
        waits_s = waits_s_of(done, context.jobs.catalog.now())
        doubts = self.doubts.asked(spec, jobs.try_rows, now).after(spec, done, at)
        # from here on nothing can fail: half of a write must not be forgotten
        self.unconfirmed, self.doubts = unconfirmed, doubts
        self._apply(effects)
        self._hand_out(done)
        took_s = [e.worked_s for e in effects if e.event in _ENDS and e.worked_s]
        context.counters.settled(len(context.held), waits_s, took_s)
        self._tell(effects, max(waits_s, default=0.0))
        return Settled(
            done=done,
            claimed=sum(e.claimed is not None for e in effects),
            waiting=sum(bool(e.aside and e.finished) for e in effects),
            unread=len(unread),
            rejects=tuple(e.reject for e in effects if e.reject),
            unconfirmed=bool(unconfirmed),
        )

    def lose(self, reasons: Mapping[str, str]) -> None:
        """Hold rows no more, since they are not ours any more, and tell it."""
        effects = [_lost(rid, reason) for rid, reason in reasons.items()]
        self._apply(effects)
        self._tell(effects)

    def _fates(
        self,
        done: WriteResult,
        ended: Sequence[Finished],
        now_rows: Mapping[str, dict[str, JSON]],
        unread: set[str],
    ) -> Iterator[RowFate]:
        finished = {one.held.rid: one for one in ended}
        held = {one.rid: one for one in self._context.held.held(done.transitions)}
        for rid, step in done.transitions.items():
            result = done.rows[rid]
            yield RowFate(
                step=step,
                fate=Fate.UNSENT if rid in unread else result.fate,
                rmt=result.rmt,
                reason=result.reason,
                fault=result.fault,
                kept=result.kept,
                held=held.get(rid),
                finished=finished.get(rid),
                row=now_rows.get(rid),
            )

    def _apply(self, effects: Sequence[Effect]) -> None:
        held, counters = self._context.held, self._context.counters
        rights = self._context.jobs.rights
        held.requeue_finished(e.finished for e in effects if e.finished)
        for effect in effects:
            if effect.renewed:
                held.renew(effect.renewed)
            if effect.failure:
                counters.failed(effect.failure)
            if effect.kept:
                counters.kept(effect.kept)
            if effect.aside:
                one = effect.aside
                rights.refused(one.rid, one.rmt, one.reason, own=one.own)
        rights.set_aside.forget(
            e.gone for e in effects if e.gone and e.event != "lost" and not e.aside
        )
        for count, n in Counter(e.count for e in effects if e.count).items():
            counters.add(count, n)
        held.forget(e.gone for e in effects if e.gone)
        claimed = [e.claimed for e in effects if e.claimed]
        rights.set_aside.tried(one.rid for one in claimed)
        held.hold(claimed)

    # telling: last, since a listener is a stranger

    def _tell(self, effects: Iterable[Effect], waited_s: float = 0.0) -> None:
        name = self._context.name
        claimed = [e.claimed.rid for e in effects if e.claimed]
        news: list[News] = [("claimed", "", rid) for rid in claimed]
        news += [(e.event, e.reason, e.gone) for e in effects if e.event]
        self._context.tell(news)
        if claimed:
            n = len(claimed)
            extra = {"event": "claimed", "rows": n, "queue_age_s": waited_s}
            logger.info("%s: claimed %s", name, rows(n), extra=extra)
        for one in effects:
            if one.event:
                _log(name, one)
        for one in effects:
            if one.renewed and one.reason:
                logger.warning("%s: %s: %s", name, one.renewed.rid, one.reason)
        self._tell_refused([e.aside for e in effects if e.aside])
        lost = [one for one in effects if one.event == "lost"]
        for reason in dict.fromkeys(one.reason for one in lost):
            rids = " ".join(one.gone for one in lost if one.reason == reason)
            extra = {"event": "lost", "rid": rids}
            logger.warning("%s: lost %s: %s", name, rids, reason, extra=extra)

    def _tell_refused(self, refused: Sequence[Aside]) -> None:
        for reason in dict.fromkeys(one.reason for one in refused):
            rids = " ".join(one.rid for one in refused if one.reason == reason)
            told = (self._context.name, rids, clipped(reason))
            extra = {"event": "refused", "rid": rids}
            logger.warning("%s: refused, left alone: %s: %s", *told, extra=extra)


def effect_of(
    spec: QueueDefinition, row: RowFate, sent_at: float, at: datetime
) -> Effect:
    """Decide what the fate of a row of a write comes to. Pure.

    A lease counts from ``sent_at``, on the clock; ``at`` is for people.
    """
    if row.fate is Fate.WON:
        return _won(spec, row, sent_at, at)
    if row.fate is Fate.MISSED:
        return _missed(spec, row, at)
    if row.fate is Fate.REFUSED:
        return _refused(spec, row, sent_at)
    return Effect(finished=row.finished)


def _won(spec: QueueDefinition, row: RowFate, sent_at: float, at: datetime) -> Effect:
    step, lease_end = row.step, sent_at + spec.lease_s
    if step.kind == "claim":
        ours = transitions.held_of(spec, step, row.rmt, lease_end)
        return Effect(claimed=ours, count="claimed")
    if step.kind == "renew":
        held = row.held and replace(row.held, rmt=row.rmt, deadline=lease_end)
        return Effect(renewed=held)
    if step.kind not in _KINDS:
        return Effect()
    count, event = _KINDS[step.kind]
    refused = row.finished.refused if row.finished else ""
    aside = None
    if refused:
        aside = Aside(rid=step.rid, rmt=row.rmt, own=True, reason=refused)
    reason, failure = _why_won(row), None
    if event == "failed":
        before = step.change.before
        attempt = transitions.attempts_of(spec, before) if spec.attempts else None
        failure = Failure(rid=step.rid, reason=reason, attempt=attempt, at=at)
    worked_s = row.finished.worked_s if row.finished else None
    return Effect(
        gone=step.rid,
        count=count,
        event=event,
        reason=reason,
        worked_s=worked_s,
        failure=failure,
        kept=KeptEdit(rid=step.rid, columns=row.kept, at=at) if row.kept else None,
        aside=aside,
    )


def _why_won(row: RowFate) -> str:
    """Say of a row that was written what there is to say of it. Pure."""
    ended = row.finished
    if ended and ended.refused:
        return f"the catalog refuses to write how it ended: {clipped(ended.refused)}"
    if ended and ended.report.fault:
        return f"the executor did not do it: {ended.report.fault}"
    if row.kept:
        columns = ", ".join(row.kept)
        return f"edited during the work, and kept as edited: {columns}"
    return clipped(row.step.reason)


def _missed(spec: QueueDefinition, row: RowFate, at: datetime) -> Effect:
    step = row.step
    if step.kind == "claim":
        return Effect(count="lost")
    if step.kind == "rescue" or row.held is None:
        return Effect()
    # an earlier copy of this write may have been the one that counted
    if row.row and step.kind != "renew" and transitions.is_marked(spec, step, row.row):
        return _won(spec, replace(row, finished=None), 0.0, at)
    return _lost(step.rid, edits.why_lost(spec, step, row.row))


def _refused(spec: QueueDefinition, row: RowFate, sent_at: float) -> Effect:
    step, reason, held = row.step, row.reason, row.held
    aside = Aside(rid=step.rid, rmt=step.change.rmt, reason=reason)
    if step.kind == "renew":
        # its work goes on, and so does its lease: it is asked for again, not at once
        later = sent_at + spec.lease_s * RENEW_AGAIN
        refused = f"its renewal was refused: {clipped(reason)}"
        return Effect(renewed=held and replace(held, renew_at=later), reason=refused)
    if held is None:
        if step.kind != "claim" or row.fault is not Fault.ROW:
            return Effect(aside=aside)
        failed = replace(step.change, kind="problem", reason=reason)
        return Effect(reject=transitions.reject(spec, failed))
    if step.kind == "release" or row.finished is None:
        even = f"the catalog refuses even its release: {reason}"
        return replace(_lost(step.rid, even), aside=aside)
    if step.kind == "complete" and row.fault is Fault.ROW:
        told = Report(error=reason, final=True)
        return Effect(finished=Finished(held=held, report=told))
    if row.finished.last_try:
        given_back = replace(row.finished, given_back=True, refused=reason)
        return Effect(finished=given_back)
    # not of the row, or its failure can't be written either: kept, and tried later
    return Effect(finished=row.finished, aside=replace(aside, own=True))


def _lost(rid: str, reason: str) -> Effect:
    return Effect(gone=rid, count="lost", event="lost", reason=reason)


def _log(name: str, one: Effect) -> None:
    extra = {"event": one.event, "rid": one.gone, "work_s": one.worked_s}
    if one.event == "failed":
        # a job that fails is the owner's affair
        again = ", to be tried again," if one.count == "retried" else ""
        told = (name, again, one.gone, one.reason)
        logger.info("%s: failed%s %s: %s", *told, extra=extra)
    elif one.event != "lost":
        level = logging.INFO if one.reason else logging.DEBUG
        why = one.reason and f": {one.reason}"
        logger.log(level, "%s: %s %s%s", name, one.event, one.gone, why, extra=extra)

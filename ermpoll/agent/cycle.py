"""One look of an agent: write what has finished, claim what can start, in one PUT.

Three phases, each of which gives a record to the next: `Finishing` (what ended, and is
to be written for it), `Fetch` (what can begin), `Settled` (what came of it all). Knows
no thread: whoever calls `Cycle.look` is the agent's one claimer.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from ermpoll.agent.context import AgentContext
from ermpoll.agent.execution import Report, finishing_step
from ermpoll.agent.fetcher import Fetch, Fetcher, Spread
from ermpoll.agent.held_jobs import Finished, JobState
from ermpoll.agent.prefetch import Prefetch
from ermpoll.agent.settler import Settled, Settler
from ermpoll.catalog.shared import shared_of
from ermpoll.catalog.write_lock import LONGEST_WAIT_S
from ermpoll.errors import Unavailable
from ermpoll.queue import transitions
from ermpoll.queue.guarded_put import Fate
from ermpoll.queue.plan import BATCH
from ermpoll.queue.transitions import Transition
from ermpoll.queue.writer import WriteResult
from ermpoll.records import Doubt, LookResult, rows
from ermpoll.redact import one_line

logger = logging.getLogger(__name__)

#: A doubtful write is asked about for that long, in seconds, then the look fails.
PATIENCE_S = 20.0
#: Seconds between two looks while every write is refused.
REFUSED_S = 5.0
#: Results that wait to be written, while the catalog refuses them, at most: with more
#: of them nothing is claimed.
WAITING_MOST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Finishing:
    """What a look has to write of its own, whatever it finds."""

    ended: tuple[Finished, ...] = ()
    #: What finishes, what is renewed, and candidates that can't be worked on.
    steps: tuple[Transition, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What the last look has left, for who would end a run with it."""

    #: There may be candidates that were not read, or something is unsettled.
    unread: bool = True
    #: Seconds until a row of the queue is to be tried again, or None.
    retry_s: float | None = None
    #: Seconds until the first claim of others ends, or None.
    lease_s: float | None = None
    #: Whether the executor is to be tried, or a row that it had is passed over.
    executor: bool = False


class Cycle:
    """The looks of one agent."""

    def __init__(
        self, context: AgentContext, prefetch: Prefetch, spread: Spread = None
    ) -> None:
        self._context = context
        self._spec = context.jobs.definition
        self.prefetch = prefetch
        self._fetcher = Fetcher(context, spread)
        self._settler = Settler(context)
        #: Candidates that can't be worked on, to be marked as failed.
        self._rejects: tuple[Transition, ...] = ()
        #: Whether the last look that read the candidates found some.
        self._contested = False
        #: Whether the last look may have left candidates unread, or is unsettled.
        self._unread = True
        #: Results that wait, since the catalog refuses to write them.
        self.waiting = 0
        #: Why nothing could be read or written lately, or "".
        self._trouble = ""

    def look(
        self,
        *,
        claiming: bool = True,
        ending: bool = False,
        conditional: bool = False,
        rids: Sequence[str] | None = None,
    ) -> LookResult:
        """Do one look.

        Parameters
        ----------
        claiming
            False: only write what is finished, and keep what is held.
        ending
            True: what the catalog refuses to write is tried once more, and else given
            back.
        conditional
            True: the catalog may answer that nothing has changed.
        rids
            Claim these candidates instead of the first ones.
        """
        held, clocks = self._context.held, self._context.clocks
        held.wait_for_finished(self.prefetch.batch_wait_s if held.busy else 0)
        begun = clocks.monotonic()
        self._lose_lapsed(begun)
        ended = held.pop_finished()
        try:
            finish = self._finish(self._writable(ended, ending), begun)
            claiming = claiming and self._context.dispatcher.ready()
            with self._turn(writes=bool(finish.steps)):
                fetch = self._fetch(finish, claiming, conditional, rids)
                done = self._send([*finish.steps, *fetch.claims, *fetch.rescues])
            if done.transitions:
                ran_dry = held.busy < self.prefetch.workers
                took_s = clocks.monotonic() - begun
                self.prefetch = self.prefetch.cycled(took_s, ran_dry)
            write = self._settler.settle(done, finish.ended, begun)
            if done.error is not None and not isinstance(done.error, Unavailable):
                # what came of it all is taken note of
                raise done.error
        except BaseException as error:
            # nothing is forgotten, whatever failed
            held.requeue_finished(ended)
            self._trouble = one_line(error)
            raise
        looked = self._result(fetch, write)
        if done.doubt is not None and Fate.WON not in done.fates:
            # all is taken note of; what gets no answer is not asked again at once
            raise done.doubt
        return looked

    @property
    def doubts(self) -> tuple[Doubt, ...]:
        """The rows that may be claimed by us, and nothing tells."""
        return self._settler.doubts

    def left(self) -> Left:
        """Return what the last look has left."""
        return Left(
            unread=self._unread,
            retry_s=self._fetcher.retry_s(),
            lease_s=self._fetcher.lease_s(),
            executor=self._context.dispatcher.due_s() is not None,
        )

    def forget(self) -> None:
        """Look at everything again: what was read before may be another login's."""
        self._fetcher.forget()

    def _lose_lapsed(self, now: float) -> None:
        """Let go of rows past their lease: they may be another's by now."""
        lapsed = self._context.held.lapsed(now)
        if lapsed:
            why = {state: lapse_reason(state, self._trouble) for state in JobState}
            self._settler.lose({rid: why[state] for rid, state in lapsed.items()})

    def _writable(self, ended: list[Finished], ending: bool) -> list[Finished]:
        """Return what may be written now; of the rest the rows stay held till then."""
        rights = self._context.jobs.rights
        waiting = rights.waiting(one.held.rid for one in ended)
        refused = [one for one in ended if one.held.rid in waiting]
        left = [one for one in ended if one.held.rid not in waiting]
        self.waiting = 0 if ending else len(refused)
        if ending:
            return [*left, *(replace(one, last_try=True) for one in refused)]
        self._context.held.requeue_finished(refused)
        return left

    def _finish(self, ended: list[Finished], now: float) -> Finishing:
        """Decide what is written for what ended, is held for long, or can't be done."""
        context, spec = self._context, self._spec
        for one in ended:
            if not one.given_back:
                context.dispatcher.learn(one)
                if not one.report.fault:
                    self.prefetch = self.prefetch.worked(one.worked_s)
        # a row has one step in a write: its finish counts, and is a renewal as well
        rids = {one.held.rid for one in ended}
        limit_s = context.time_limit_s
        late = Report(error=f"timed out after {limit_s or 0:g} s")
        overtime = context.held.overtime(limit_s, now) if limit_s else []
        over = [held for held in overtime if held.rid not in rids]
        ended = [*ended, *(Finished(held=held, report=late) for held in over)]
        rids.update(held.rid for held in over)
        catalog_now, random = context.jobs.catalog.now(), context.clocks.random
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
        steps = (*finishing, *renewals, *self._rejects)
        return Finishing(ended=tuple(ended), steps=steps)

    def _fetch(
        self,
        finish: Finishing,
        claiming: bool,
        conditional: bool,
        rids: Sequence[str] | None,
    ) -> Fetch:
        """Find what can begin: what finishes and what is claimed goes in one PUT."""
        context = self._context
        if not claiming or self.waiting >= WAITING_MOST:
            return Fetch(full=True)
        room = self.prefetch.capacity - context.held.busy - context.held.stuck
        if room > 0 and len(finish.steps) >= BATCH:
            # that PUT is full: what there is to take is for the next look
            return Fetch(full=True, looked=True)
        room = min(room, BATCH - len(finish.steps))
        if rids is not None:
            return self._fetcher.fetch_these(room, rids)
        conditional = conditional and not (finish.steps or self._settler.unconfirmed)
        skip = {step.rid for step in self._rejects}
        return self._fetcher.fetch(room, conditional=conditional, skip=skip)

    def _turn(self, *, writes: bool) -> AbstractContextManager[None]:
        """Have the catalog's write lane from the read on, where a write is likely.

        What was read before others of this machine wrote would be gone by the time
        it is our turn.
        """
        if not (writes or self._contested):
            return nullcontext()
        # a courtesy must not cost the lease of what is held
        longest_s = min(LONGEST_WAIT_S, self._spec.lease_s / 8)
        url = self._context.jobs.catalog.url
        return shared_of(url).write_lock.hold(longest_s=longest_s)

    def _send(self, steps: Sequence[Transition]) -> WriteResult:
        if not steps:
            return WriteResult()
        context = self._context
        held = context.held.held(step.rid for step in steps)
        until = context.clocks.monotonic() + PATIENCE_S
        until = min([until, *(one.deadline for one in held)])
        done = context.writer.write(steps, until=until)
        context.counters.add("writes", done.sent)
        context.counters.add("wasted", done.wasted)
        context.counters.add("unknown", len(done.rids(Fate.UNKNOWN)))
        if Fate.WON in done.fates:
            context.wrote()
        if done.wasted:
            logger.info(
                "%s: %d writes came to nothing, sent again",
                context.name,
                done.wasted,
                extra={"event": "wasted", "writes": done.wasted},
            )
        return done

    def _result(self, fetch: Fetch, write: Settled) -> LookResult:
        done, context = write.done, self._context
        self._trouble = trouble_of(done)
        self._unread = not (fetch.unchanged or is_idle(fetch, write))
        self._rejects = (*fetch.rejects, *write.rejects)
        self._fetcher.keep(fetch, idle=is_idle(fetch, write))
        if fetch.looked:
            self._contested = bool(write.claimed or Fate.MISSED in done.fates)
        unread = is_unread(fetch, done)
        more = fetch.looked and unread and context.held.busy < self.prefetch.capacity
        return LookResult(
            # where all writes are refused there is no hurry
            more=more and not context.writer.is_refused,
            found=bool(write.claimed or Fate.WON in done.fates),
            due_s=self._due_s(fetch, write),
            outcome=(
                "unchanged"
                if fetch.unchanged
                else "rows"
                if done.transitions
                else "empty"
            ),
            etag_moved=fetch.moved,
            detail=words(fetch, write, context.dispatcher.reason),
        )

    def _due_s(self, fetch: Fetch, write: Settled) -> float | None:
        """Return in how many seconds the next look is due by itself."""
        if self._context.writer.is_refused:
            return REFUSED_S
        if write.unread:
            return 1.0
        context, now = self._context, self._context.clocks.monotonic()
        # what was put back wakes nobody by itself
        waiting = write.waiting + self.waiting
        left = context.held.finished > waiting or is_unsettled(fetch, write)
        due = [
            self._fetcher.due_s(),
            context.jobs.rights.due_s() if waiting else None,
            context.held.renewal_due_s(self._spec.lease_s, now),
            context.time_limit_s if context.held.busy else None,
            1.0 if left else None,
            context.dispatcher.due_s(),
        ]
        return min((s for s in due if s is not None), default=None)


def is_unsettled(fetch: Fetch, write: Settled) -> bool:
    """Whether something of a look is still to be written or found out. Pure."""
    unsure = Fate.UNKNOWN in write.done.fates or write.unread or write.unconfirmed
    return bool(unsure or write.rejects or fetch.rejects)


def is_idle(fetch: Fetch, write: Settled) -> bool:
    """Whether a look that read the candidates has left nothing to do. Pure.

    A row that was missed, freed or made ready just now is one that it did not read.
    """
    unread = is_unread(fetch, write.done)
    return fetch.looked and not (unread or is_unsettled(fetch, write))


def is_unread(fetch: Fetch, done: WriteResult) -> bool:
    """Whether there may be candidates that a look has not read. Pure."""
    freed = done.written("rescue", "retry later")
    left = done.fates & {Fate.MISSED, Fate.UNSENT}
    return bool(fetch.full or left or freed)


def lapse_reason(state: JobState, trouble: str) -> str:
    """Say why a row's lease was over too soon, and what kept it from a write. Pure."""
    over = state in (JobState.ENDED, JobState.CANCELLED)
    if not trouble:
        before = "its result was written" if over else "the work was"
        return f"its lease was over before {before}"
    what = "its result could not be written" if over else "it could not be renewed"
    return f"the catalog was away ({trouble}): {what} before its lease was over"


def trouble_of(done: WriteResult) -> str:
    """Say why some rows of a write were not written, or "". Pure."""
    if Fate.UNSENT in done.fates and done.error:
        return one_line(done.error)
    return "a write got no answer" if Fate.UNKNOWN in done.fates else ""


def words(fetch: Fetch, write: Settled, trouble: str) -> str:
    """Say what a look did, for the log of looks. Pure."""
    if fetch.unchanged:
        return "304, nothing new"
    counts = {
        "took": write.claimed,
        "finished": len(write.done.written("complete", "fail", "retry later")),
        "lost": len(write.done.rids(Fate.MISSED)) - write.unread,
        "could not read back": write.unread,
    }
    parts = [f"{word} {n}" for word, n in counts.items() if n]
    if parts:
        return ("looked, " if fetch.looked else "") + ", ".join(parts)
    if fetch.looked:
        if fetch.refused:
            return f"nothing to take but {rows(fetch.refused)} that the catalog refuses"
        return "nothing to take"
    if write.done.transitions:
        return "wrote what was due"
    return "the executor does no work" if trouble else "holds all that it can"

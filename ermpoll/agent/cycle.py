"""One look of an agent: write what has finished, claim what can start, in one PUT.

Three phases, each of which gives a record to the next: `Finishing` (what ended, and is
to be written for it), `Fetch` (what can begin), `Settled` (what came of it all). Knows
no thread: whoever calls `Cycle.look` is the agent's one claimer.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial

from ermpoll.agent.context import AgentContext
from ermpoll.agent.fetcher import Fetch, Fetcher
from ermpoll.agent.finishing import Finishing, finish
from ermpoll.agent.held_jobs import Finished, JobState
from ermpoll.agent.prefetch import Prefetch
from ermpoll.agent.settler import Settled, Settler
from ermpoll.agent.sharing.slot_keeper import SlotKeeper
from ermpoll.agent.sharing.spread import Spread
from ermpoll.agent.verdict import (
    Left,
    is_idle,
    is_unread,
    is_unsettled,
    lapse_reason,
    trouble_of,
    unwritten,
    words,
)
from ermpoll.catalog.shared import shared_of
from ermpoll.catalog.write_lock import patience_s
from ermpoll.errors import Unavailable
from ermpoll.queue.guarded_put import Fate
from ermpoll.queue.transitions import Transition
from ermpoll.queue.writer import WriteResult
from ermpoll.records import Doubt, LookResult
from ermpoll.redact import one_line

logger = logging.getLogger(__name__)

#: A doubtful write is asked about for that long, in seconds, then the look fails.
PATIENCE_S = 20.0
#: Seconds between two looks while every write is refused.
REFUSED_S = 5.0
#: Who has come too late for all its rows so often begins further behind, while
#: machines are about that know nothing of it.
IN_VAIN = 2
#: Room for claims where a PUT is full of what finishes.
FULL = -1
#: Results that wait to be written, while the catalog refuses them, at most: with more
#: of them nothing is claimed.
WAITING_MOST = 100


class Cycle:
    """The looks of one agent."""

    def __init__(
        self, context: AgentContext, prefetch: Prefetch, spread: Spread = None
    ) -> None:
        self._context = context
        self._spec = context.jobs.definition
        self.prefetch = prefetch
        self._fetcher = Fetcher(context, spread)
        self._slots = SlotKeeper(context, spread)
        self._settler = Settler(context, self._hand_out)
        #: Candidates that can't be worked on, to be marked as failed.
        self._rejects: tuple[Transition, ...] = ()
        #: Whether the last look that read the candidates found some.
        self._contested = False
        #: Looks in a row that came too late for all rows that they tried to claim.
        self._in_vain = 0
        #: Whether the last look may have left candidates unread, or is unsettled.
        self._unread = True
        #: Results that wait, since the catalog refuses to write them.
        self.waiting = 0
        #: Why nothing could be read or written lately, or "".
        self._trouble = ""
        #: Of the write that goes on: its RIDs, how many rows to read meanwhile, and
        #: the thread that hands out work.
        self._sending: Sequence[str] = ()
        self._ahead = 0
        self._handing: Future[None] | None = None
        context.writer.put.before = self._meanwhile
        context.writer.put.slots = self._slots

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
        held = self._context.held
        self._wait_for_finished()
        begun = self._context.clocks.monotonic()
        self._lose_lapsed(begun)
        ended = held.pop_finished()
        try:
            finishing = self._finish(self._writable(ended, ending), begun)
            claiming = claiming and self._context.dispatcher.ready()
            fetch, done = self._fetch_and_send(finishing, claiming, conditional, rids)
            if done.transitions:
                self._learn_pace(done, begun)
            write = self._settler.settle(done, finishing.ended, begun)
            if done.error is not None and not isinstance(done.error, Unavailable):
                # what came of it all is taken note of
                raise done.error
        except BaseException as error:
            # nothing is forgotten, whatever failed
            held.requeue_finished(ended)
            self._context.hand_out()
            self._trouble = trouble_of(error)
            raise
        looked = self._result(fetch, write)
        if done.doubt is not None and Fate.WON not in done.fates:
            # all is taken note of; what gets no answer is not asked again at once
            raise done.doubt
        return looked

    @property
    def doubts(self) -> tuple[Doubt, ...]:
        """The rows that may be claimed by us, and nothing tells."""
        return self._settler.doubts.rows

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

    def _wait_for_finished(self) -> None:
        """Wait for a moment where others are about to finish, too."""
        held, workers = self._context.held, self._context.held.workers
        if self.prefetch.workers != workers:
            self.prefetch = replace(self.prefetch, workers=workers)
            self._context.dispatcher.resize(workers)
        pace = self.prefetch
        wait_s = pace.batch_wait_s if held.busy and not held.has_new else 0
        held.wait_for_finished(wait_s, for_all=not pace.is_alone)

    def _learn_pace(self, done: WriteResult, begun: float) -> None:
        """Take note of how long a look took whose write is answered."""
        took_s = self._context.clocks.monotonic() - begun
        ran_dry = self._context.held.busy < self.prefetch.workers
        pace = self.prefetch.wrote(len(done.transitions), done.took_s)
        writers = self._fetcher.share.n
        slotted = self._slots.last is not None
        self.prefetch = replace(
            pace.cycled(took_s, ran_dry), writers=writers, slotted=slotted
        )

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
        context = self._context
        for one in ended:
            if not one.given_back:
                context.dispatcher.learn(one)
                context.remember(one)
        done = [one for one in ended if not (one.given_back or one.report.fault)]
        self.prefetch = self.prefetch.worked([one.worked_s for one in done])
        return finish(context, ended, self._rejects, now)

    def _room(self, finishing: Finishing, claiming: bool) -> int:
        """Return how many rows to claim: they share a PUT with those that finish."""
        held, pace = self._context.held, self.prefetch
        if not claiming or self.waiting >= WAITING_MOST:
            return 0
        # workers that are stuck may leave none at all
        room = max(min(pace.capacity - held.busy - held.stuck, pace.share), 0)
        left = pace.batch - len(finishing.steps)
        return FULL if room and left <= 0 else min(room, max(left, 0))

    def _fetch_and_send(
        self,
        finishing: Finishing,
        claiming: bool,
        conditional: bool,
        rids: Sequence[str] | None,
    ) -> tuple[Fetch, WriteResult]:
        """Find what can begin, and write it together with what finishes."""
        room = self._room(finishing, claiming)
        skip = {step.rid for step in self._rejects}
        first = rids is None and not self._is_late
        ahead = self._fetcher.fetch_ahead(room, skip=skip) if first else None
        likely = bool(finishing.steps) or self._contested
        slot = self._slots.slot() if likely else None
        if ahead is None and slot is not None:
            # what is read before it would be gone by then
            self._context.writer.put.wait_for_slot()
        # who waits for a slot keeps the lane from nobody
        free = ahead is not None or slot is not None
        with self._turn() if likely and not free else nullcontext():
            fetch = ahead or self._fetch(finishing, room, skip, conditional, rids)
            if rids is None:
                fetch = self._asked_first(fetch)
                self._ahead = self._room_ahead(fetch)
            if not self._ahead:
                self._fetcher.read_no_further(stay=bool(fetch.claims) and fetch.full)
            done = self._send([*finishing.steps, *fetch.claims, *fetch.rescues])
        self._slots.saw(fetch.etag)
        return fetch, done

    def _fetch(
        self,
        finishing: Finishing,
        room: int,
        skip: Container[str],
        conditional: bool,
        rids: Sequence[str] | None,
    ) -> Fetch:
        """Find what can begin."""
        if room <= 0:
            # with a full PUT, what there is to take is for the next look
            return Fetch(full=True, looked=room == FULL)
        if rids is not None:
            return self._fetcher.fetch_these(room, rids)
        share = partial(self._fetcher.fetch_share, room, self._slots.last, skip=skip)
        late = self._is_late
        if not late and (own := share()):
            return own
        conditional = conditional and not (finishing.steps or self._settler.unconfirmed)
        fetch = self._fetcher.fetch(room, conditional=conditional, skip=skip, late=late)
        if fetch.claims and not late and self._fetcher.share.joins():
            # the first rows are what the others are about to take as well
            return share() or fetch
        return fetch

    @property
    def _is_late(self) -> bool:
        """Whether others take all rows before it is our turn, again and again."""
        return self._slots.last is not None and self._in_vain >= IN_VAIN

    def _asked_first(self, fetch: Fetch) -> Fetch:
        """Take nothing yet where the executor is to be asked before."""
        context = self._context
        free = context.held.free > 0
        # a look that only asks ends no back-off of the catalog's
        wanted = fetch.claims and not self._trouble
        if wanted and context.dispatcher.asks_first(free=free):
            # as if not looked: they are there when it has answered
            return replace(fetch, claims=(), full=True, looked=False)
        return fetch

    def _room_ahead(self, fetch: Fetch) -> int:
        """Return how many rows the next look may claim, where it comes soon; or 0."""
        pace, claims = self.prefetch, len(fetch.claims)
        if not (claims and fetch.full and pace.is_short):
            return 0
        # what is being worked on finishes in the next PUT
        return max(claims, min(pace.share, pace.batch - self._context.held.busy))

    def _meanwhile(self) -> None:
        """Begin what needs no answer of the write that is sent now."""
        ahead, self._ahead = self._ahead, 0
        if ahead:
            try:
                self._fetcher.read_ahead(ahead, self._sending, self._slots.last)
            except Exception as error:  # noqa: BLE001 - the write must not fail for it
                logger.info("nothing is read ahead: %s", one_line(error))
        if self._context.held.has_new:
            self._handing = self._context.dispatcher.beside(self._context.hand_out)

    def _hand_out(self, done: WriteResult) -> None:
        """Hand out work, or leave that to the next write, where it comes at once.

        Work on own threads would only keep this one from sending it.
        """
        context = self._context
        comes = context.held.is_pressing or (
            self._fetcher.is_ahead and context.held.busy < self.prefetch.capacity
        )
        well = not (done.error or done.doubt or context.writer.is_refused)
        alone = self.prefetch.is_alone and context.dispatcher.is_own
        if not (comes and well and alone):
            context.hand_out()

    def _turn(self) -> AbstractContextManager[None]:
        """Have the catalog's write lane from the read on, where a write is likely.

        What was read before others of this machine wrote would be gone by the time
        it is our turn.
        """
        url, longest_s = self._context.jobs.catalog.url, patience_s(self._spec.lease_s)
        return shared_of(url).write_lock.hold(longest_s=longest_s)

    def _send(self, steps: Sequence[Transition]) -> WriteResult:
        context = self._context
        if not steps:
            context.hand_out()
            return WriteResult()
        held = context.held.held(step.rid for step in steps)
        until = context.clocks.monotonic() + PATIENCE_S
        until = min([until, *(one.deadline for one in held)])
        self._sending = [step.rid for step in steps]
        self._slots.take()
        try:
            done = context.writer.write(steps, until=until)
        finally:
            if self._handing is not None:
                self._handing.result()
            self._handing, self._ahead = None, 0
        context.sent(done)
        return done

    def _result(self, fetch: Fetch, write: Settled) -> LookResult:
        done, context = write.done, self._context
        self._trouble = trouble_of(unwritten(done))
        idle = is_idle(fetch, write)
        self._unread = not (fetch.unchanged or idle)
        if not (fetch.claims or context.held.busy):
            self._slots.leave()
        self._rejects = (*fetch.rejects, *write.rejects)
        if fetch.claims:
            self._in_vain = 0 if write.claimed else self._in_vain + 1
        self._fetcher.keep(fetch, idle=idle)
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

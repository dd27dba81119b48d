"""One look of an agent: write what has finished, claim what can start, in one PUT.

Knows no thread: whoever calls `Cycle.look` is the agent's one claimer. What ended
is decided in `finishing`, what can begin in `picking`, what came of it in
`settling`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from ermpoll.agent.context import AgentContext
from ermpoll.agent.fetcher import Fetch, Fetcher
from ermpoll.agent.finishing import finishing_move
from ermpoll.agent.held_jobs import Finished
from ermpoll.agent.prefetch import Prefetch
from ermpoll.agent.settler import Settled, Settler
from ermpoll.agent.unconfirmed import UnconfirmedClaims
from ermpoll.catalog.shared import shared_of
from ermpoll.catalog.write_lock import LONGEST_WAIT_S
from ermpoll.errors import Unavailable
from ermpoll.queue import transitions
from ermpoll.queue.guarded_put import Fate
from ermpoll.queue.plan import BATCH
from ermpoll.queue.transitions import Held, Transition
from ermpoll.queue.writer import WriteResult, by_then
from ermpoll.records import LookResult

logger = logging.getLogger(__name__)

#: A doubtful write is asked about for that long, in seconds, then the look fails.
PATIENCE_S = 20.0


class Cycle:
    """The looks of one agent."""

    def __init__(self, parts: AgentContext, pace: Prefetch) -> None:
        self._parts = parts
        self._spec = parts.jobs.definition
        self.pace = pace
        self._limbo = UnconfirmedClaims(parts.jobs)
        self._picker = Fetcher(parts, self._limbo)
        self._settler = Settler(parts, self._limbo, self._picker.park)
        #: Whether the last look that read the candidates found some.
        self._busy = False

    def look(
        self,
        *,
        claiming: bool = True,
        conditional: bool = False,
        rids: Sequence[str] | None = None,
    ) -> LookResult:
        """Do one look.

        Parameters
        ----------
        claiming
            False: only write what is finished, and keep what is held.
        conditional
            True: the catalog may answer that nothing has changed.
        rids
            Claim these candidates instead of the first ones.
        """
        parts = self._parts
        parts.hand.gather(self.pace.linger_s if parts.hand.busy else 0)
        begun = time.monotonic()
        ended = self._take_ended()
        try:
            own = [*self._finishing(ended), *self._keeping(begun, ended)]
            held = len(parts.hand) - len(ended) + parts.hand.stuck
            # what finishes and what is claimed goes in one PUT
            claiming = claiming and parts.execution.ready()
            room = min(self.pace.capacity - held, BATCH - len(own)) if claiming else 0
            with self._turn(writes=bool(own)):
                choice = self._picker.choose(room, conditional and not own, rids)
                done = self._write([*own, *choice.moves])
        except BaseException:
            parts.hand.put_back(ended)
            raise
        if own or choice.moves:
            # what ended before this write is in hand until it is settled
            ran_dry = parts.hand.busy - len(ended) < self.pace.workers
            self.pace = self.pace.cycled(time.monotonic() - begun, ran_dry)
        noted = self._settler.settle(done, ended, begun)
        if done.error is not None and not isinstance(done.error, Unavailable):
            raise done.error
        return self._looked(choice, done, noted)

    def give_back(self, held: Sequence[Held]) -> None:
        """Release rows; the attempt does not count."""
        done = self._write([transitions.release(self._spec, one) for one in held])
        self._settler.settle(done, [], time.monotonic())

    def forget(self) -> None:
        """Look at everything again: what was read before may be another login's."""
        self._picker.forget()

    def _turn(self, *, writes: bool) -> AbstractContextManager[None]:
        """Have the catalog's write lane from the read on, where a write is likely.

        What was read before others of this machine wrote would be gone by the time
        it is our turn.
        """
        if not (writes or self._busy):
            return nullcontext()
        # a courtesy must not cost the lease of what is held
        longest_s = min(LONGEST_WAIT_S, self._spec.lease_s / 8)
        return shared_of(self._parts.jobs.catalog.url).write_lock.hold(
            longest_s=longest_s
        )

    def _take_ended(self) -> list[Finished]:
        hand, limit_s = self._parts.hand, self._parts.time_limit_s
        for held in hand.lapsed(time.monotonic()):
            # past its lease a holder writes nothing: the row may be another's
            self._settler.lose(held.rid, "its lease was over before the work was")
        ended = [self._parts.execution.opened(one) for one in hand.take_ended()]
        for one in ended:
            if not one.fault:
                self.pace = self.pace.worked(one.worked_s)
        if limit_s is not None:
            error = f"timed out after {limit_s:g} s"
            late = hand.overtime(limit_s, time.monotonic())
            ended += [Finished(held=held, error=error) for held in late]
        return ended

    def _finishing(self, ended: Sequence[Finished]) -> list[Transition]:
        now, rng = self._parts.jobs.catalog.now(), self._parts.rng
        return [
            transitions.release(self._spec, one.held)
            if one.fault
            else finishing_move(self._spec, one, now, rng)
            for one in ended
        ]

    def _keeping(self, now: float, ended: Sequence[Finished]) -> list[Transition]:
        """Renew what is held for long, and mark candidates that can't be worked on."""
        spec, hand = self._spec, self._parts.hand
        # a row has one move in a write: its finish counts, and is a renewal as well
        finishing = {one.held.rid for one in ended}
        renewals = [
            transitions.renew(spec, held)
            for held in hand.to_renew(spec.lease_s, now)
            if held.rid not in finishing
        ]
        return renewals + self._picker.parked()

    def _write(self, chosen: Sequence[Transition]) -> WriteResult:
        if not chosen:
            return WriteResult()
        deadlines = [
            held.deadline for held in self._parts.hand.held(m.rid for m in chosen)
        ]
        until = min([by_then(PATIENCE_S), *deadlines])
        done = self._parts.writer.write(chosen, until=until)
        self._parts.tally.wrote(done)
        if done.written():
            self._parts.wrote()
        if done.wasted:
            logger.info(
                "%s: %d writes came to nothing, sent again",
                self._parts.name,
                done.wasted,
                extra={"event": "wasted", "writes": done.wasted},
            )
        return done

    def _looked(self, choice: Fetch, done: WriteResult, noted: Settled) -> LookResult:
        claimed = noted.claimed
        settled = not (
            done.rids(Fate.UNKNOWN) or noted.unread or self._limbo or self._picker.park
        )
        # a row that was freed just now is a candidate that this look did not read
        unread = choice.full or done.rids(Fate.MISSED) or done.written("rescue")
        moved = self._picker.settle(choice, idle=settled and not unread)
        hand = self._parts.hand
        if choice.looked:
            self._busy = bool(claimed or done.rids(Fate.MISSED))
        due = [
            self._picker.due_s(),
            hand.renewal_due_s(self._spec.lease_s, time.monotonic()),
            self._parts.time_limit_s if hand.busy else None,
            # what was put back wakes nobody by itself
            1.0 if hand.ended or not settled else None,
            self._parts.execution.due_s(),
        ]
        if noted.unread:
            # a renewal may be among them, due at once and again at once
            due = [1.0]
        return LookResult(
            more=choice.looked and bool(unread) and hand.busy < self.pace.capacity,
            found=bool(claimed or done.written()),
            due_s=min((s for s in due if s is not None), default=None),
            outcome=(
                "unchanged"
                if choice.unchanged
                else "rows"
                if done.transitions
                else "empty"
            ),
            etag_moved=moved,
            detail=_words(choice, done, noted, self._parts.execution.reason),
        )


def _words(choice: Fetch, done: WriteResult, noted: Settled, trouble: str) -> str:
    if choice.unchanged:
        return "304, nothing new"
    parts = [f"took {noted.claimed}"] if noted.claimed else []
    finished = len(done.written("complete", "fail", "retry later"))
    parts += [f"finished {finished}"] if finished else []
    missed = len(done.rids(Fate.MISSED)) - noted.unread
    parts += [f"lost {missed}"] if missed else []
    parts += [f"could not read back {noted.unread}"] if noted.unread else []
    if parts:
        return ("looked, " if choice.looked else "") + ", ".join(parts)
    if choice.looked:
        return "nothing to take"
    if done.transitions:
        return "wrote what was due"
    return "the executor does no work" if trouble else "holds all that it can"

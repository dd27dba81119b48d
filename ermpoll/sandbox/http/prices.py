"""Answers that take as long as on a real service, and writers that abort each other."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from dataclasses import dataclass

from ermpoll.sandbox.http.messages import Answer, Probe, Request
from ermpoll.sandbox.price import costs
from ermpoll.sandbox.price.machine import Machine, Work
from ermpoll.sandbox.price.rivals import Rivals, Target, Turn

WRITES = ("PUT", "POST", "DELETE")
#: What a request takes here on its way in and out, in seconds.
_WAY_S = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class _Write:
    """A write that is under way; times are the machine's."""

    request: Request
    work: Work
    target: Target
    rows: int
    #: When it took its snapshot; infinite for one that nothing aborts.
    seen: float
    #: How much work it is.
    price_s: float


class Prices:
    """Answers at a price.

    Made on the event loop that it serves.

    Parameters
    ----------
    answer
        Does what a request asks, at once.
    probe
        What can be said of a write before it is done.
    """

    def __init__(
        self,
        answer: Callable[[Request], Answer],
        probe: Callable[[Request], Probe] = lambda request: Probe(),
    ) -> None:
        self._answer = answer
        self._probe = probe
        self._machine = Machine()
        self._rivals = Rivals()
        self._unlocked = asyncio.Event()
        #: What a row of a write takes here anyhow, in seconds.
        self._own_row_s = 0.0
        #: Connections whose last transaction was aborted.
        self._aborted: set[int] = set()

    async def respond(self, request: Request, *, aborts: bool = True) -> Answer | None:
        """Return the answer in the time it takes; None: the write was aborted.

        `aborts`: False lets writers overlap.
        """
        is_late = request.connection in self._aborted
        self._aborted.discard(request.connection)
        late_s = costs.AFTER_ABORT_S if is_late else 0.0
        with Work(self._machine, _WAY_S) as work:
            if request.method not in WRITES:
                return await self._read(request, work, late_s)
            answer = await self._written(request, work, late_s, aborts)
        if answer is None:
            self._aborted.add(request.connection)
        return answer

    async def _read(self, request: Request, work: Work, late_s: float) -> Answer:
        # What is read is how it was at the start, as in a transaction there.
        answer = self._answer(request)
        price_s = costs.READ.seconds(rows=answer.rows, columns=answer.columns)
        if answer.status == 304:
            price_s = costs.UNCHANGED_S
        await work.until(late_s + price_s)
        return answer

    async def _written(
        self, request: Request, work: Work, late_s: float, aborts: bool
    ) -> Answer | None:
        snapshot_s = late_s / 2 + costs.SNAPSHOT_S
        await work.until(snapshot_s)
        probe = self._probe(request)
        if probe.refusal is not None:
            return probe.refusal
        rows = _rows_in(request)
        write = _Write(
            request=request,
            work=work,
            target=Target.of(request.path),
            rows=rows,
            seen=work.at(snapshot_s) if aborts else math.inf,
            price_s=late_s + costs.WRITE.seconds(rows=rows, columns=probe.columns),
        )
        lock_s = late_s / 2 + (write.price_s - late_s / 2) * costs.LOCK_AT
        await work.until(lock_s)
        if not aborts:
            answer = await self._committed(write)
        elif await self._is_locked(write):
            try:
                answer = await self._committed(write)
            finally:
                self._unlock(write.target)
        else:
            return None
        if answer is not None:
            await work.until(write.price_s)
        return answer

    async def _is_locked(self, write: _Write) -> bool:
        """Wait for a write's lock; return whether it got that."""
        while True:
            turn = self._rivals.turn(write.target, write.seen)
            if turn is not Turn.WAIT:
                return turn is Turn.GO
            with write.work.paused():
                await self._unlocked.wait()

    def _unlock(self, target: Target) -> None:
        self._rivals.unlock(target)
        self._unlocked.set()
        self._unlocked = asyncio.Event()

    async def _committed(self, write: _Write) -> Answer | None:
        """Do a write when its time has come, unless another was done meanwhile."""
        commit_s = write.price_s - costs.AFTER_COMMIT_S
        own_s = self._own_row_s * write.rows
        await write.work.until(commit_s - own_s)
        # Beside others, what it takes here is less of its work.
        await write.work.until(commit_s - own_s * self._machine.speed)
        if self._rivals.is_lost(write.target, write.seen):
            return None
        answer = self._timed(write)
        if answer.changed:
            self._rivals.commit(write.target, self._machine.read())
        return answer

    def _timed(self, write: _Write) -> Answer:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        answer = self._answer(write.request)
        if write.rows:
            took_s = (loop.time() - begun) / write.rows
            self._own_row_s += 0.3 * (took_s - self._own_row_s)
        return answer


def _rows_in(request: Request) -> int:
    try:
        rows = json.loads(request.body) if request.body else []
    except ValueError:
        return 0
    return len(rows) if isinstance(rows, list) else 1

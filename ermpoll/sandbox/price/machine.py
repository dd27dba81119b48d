"""Two processors that share themselves among all requests that work."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

_PROCESSORS = 2
#: How many one request keeps busy: its service, its database, its client.
_BUSY = 1.5


class Machine:
    """A clock of work: how much each request could have done until now, in seconds.

    It goes as fast as time while there are processors for all who work, else slower.
    Since it goes on while the sandbox works out an answer, the time for that is part
    of a request's work, and nothing that comes on top.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._active = 0
        self._read_at = self._loop.time()
        self._done_s = 0.0
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def speed(self) -> float:
        """Work per time, at most 1."""
        return min(1.0, _PROCESSORS / (_BUSY * max(self._active, 1)))

    def read(self) -> float:
        """Return the clock."""
        now = self._loop.time()
        self._done_s += (now - self._read_at) * self.speed
        self._read_at = now
        return self._done_s

    async def until(self, done_s: float) -> None:
        """Wait until the clock has come to `done_s`."""
        if self.read() >= done_s:
            return
        reached = self._loop.create_future()
        heapq.heappush(self._waiting, (done_s, next(self._numbers), reached))
        self._set_timer()
        await reached

    def join(self, count: int) -> None:
        """Let so many more work, or less."""
        self.read()
        self._active += count
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            left_s = (self._waiting[0][0] - self._done_s) / self.speed
            self._timer = self._loop.call_at(self._read_at + left_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        # What is left is less than a clock can tell.
        now = self.read() + 1e-9
        while self._waiting and self._waiting[0][0] <= now:
            _, _, reached = heapq.heappop(self._waiting)
            if not reached.done():
                reached.set_result(None)
        self._set_timer()


class Work:
    """The work of one request; a ``with`` around all that it does.

    Parameters
    ----------
    done_s
        How much of it is done already, in seconds.

    Examples
    --------
    >>> async def respond(machine):
    ...     with Work(machine) as work:
    ...         await work.until(0.012)
    """

    def __init__(self, machine: Machine, done_s: float = 0.0) -> None:
        self._machine = machine
        self._from_s = machine.read() - done_s

    def __enter__(self) -> Work:
        self._machine.join(1)
        return self

    def __exit__(self, *_: object) -> None:
        self._machine.join(-1)

    async def until(self, done_s: float) -> None:
        """Return when so much of it is done since its begin, in seconds."""
        await self._machine.until(self.at(done_s))

    def at(self, done_s: float) -> float:
        """Return the machine's clock when so much of it was done."""
        return self._from_s + done_s

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do nothing of it meanwhile."""
        begun_s = self._machine.read()
        self._machine.join(-1)
        try:
            yield
        finally:
            self._from_s += self._machine.read() - begun_s
            self._machine.join(1)

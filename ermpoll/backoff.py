"""Waiting before a next try or request: how long, until when, by which clock.

Time, chance and waiting come from outside, so that a test can give its own.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ermpoll.errors import Unavailable

#: The first wait of a `Deadline`, in seconds; it doubles with each try ...
FIRST_WAIT_S = 0.04
#: ... up to this.
LONGEST_WAIT_S = 5.0


def at_once(call: Callable[[], Any]) -> Future[Any]:
    """Call a function now, where time is not this machine's."""
    future: Future[Any] = Future()
    try:
        future.set_result(call())
    except Exception as error:  # noqa: BLE001 - it is raised to who asks
        future.set_exception(error)
    return future


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """What is taken from outside."""

    #: Rising seconds.
    monotonic: Callable[[], float] = time.monotonic
    #: A number in [0, 1).
    random: Callable[[], float] = random.random
    #: Waits for an event, so many seconds at most; says whether it was set.
    wait: Callable[[threading.Event, float], bool] = threading.Event.wait
    #: Calls a function while something else goes on; None: on a thread.
    beside: Callable[[Callable[[], Any]], Future[Any]] | None = None
    #: The time of day, UTC, for people.
    utc: Callable[[], datetime] = lambda: datetime.now(UTC)


#: Those of this machine.
REAL = Clocks()


def later(at: datetime, seconds: float | None) -> datetime | None:
    """Return the time so many seconds after another; None: never."""
    # a century is as good as never, and fits into a datetime
    return None if seconds is None else at + timedelta(seconds=min(seconds, 3e9))


def backoff_s(failures: int, base_s: float, cap_s: float) -> float:
    """Give the longest wait after so many failures in a row: doubling, capped."""
    # bounded before the power, which overflows at 1,024
    return min(cap_s, base_s * 2.0 ** min(max(failures, 1) - 1, 64))


def jittered_s(failures: int, base_s: float, cap_s: float, rand: float) -> float:
    """Give a wait with full jitter: ``rand``, in [0, 1), of the longest one."""
    return rand * backoff_s(failures, base_s, cap_s)


class Deadline:
    """Until when something is tried, with a longer wait before each next try.

    Parameters
    ----------
    within_s
        Seconds from now.
    cap_s
        The longest wait, in seconds.
    stop
        Set: nothing is tried any more.
    """

    def __init__(
        self,
        within_s: float,
        *,
        cap_s: float = LONGEST_WAIT_S,
        stop: threading.Event | None = None,
        clocks: Clocks = REAL,
    ) -> None:
        self._until = clocks.monotonic() + within_s
        self._cap_s = cap_s
        self._stop = stop or threading.Event()
        self._clocks = clocks
        self._tries = 0

    def wait(self, after: BaseException | None = None, cap_s: float = math.inf) -> bool:
        """Wait before the next try; False, at once, when no time is left for one.

        ``after``: what failed; an answer may ask for a longer wait. ``cap_s``: the
        longest wait this time.
        """
        self._tries += 1
        cap_s = min(cap_s, self._cap_s)
        asked_s = after.retry_after_s if isinstance(after, Unavailable) else 0.0
        rand = self._clocks.random()
        wait_s = max(jittered_s(self._tries, FIRST_WAIT_S, cap_s, rand), asked_s)
        if self._clocks.monotonic() + wait_s >= self._until:
            return False
        return not self._clocks.wait(self._stop, wait_s)


class Pace:
    """Turns of requests: so many a second at most, whoever sends them. For one thread.

    Parameters
    ----------
    per_second
        None: as fast as they are answered.
    patience_s
        For so long a catalog that is busy or away is asked again before that is an
        error.
    """

    def __init__(
        self, per_second: float | None, *, patience_s: float, clocks: Clocks = REAL
    ) -> None:
        self.patience_s = patience_s
        #: Turns so far.
        self.turns = 0
        self._gap_s = 0.0 if per_second is None else 1 / per_second
        self._clocks = clocks
        self._next_at = float("-inf")

    def wait(self, stop: threading.Event) -> None:
        """Wait for the next turn, or until ``stop`` is set."""
        now = self._clocks.monotonic()
        wait_s = self._next_at - now
        if wait_s > 0:
            self._clocks.wait(stop, wait_s)
        self._next_at = max(now, self._next_at) + self._gap_s
        self.turns += 1

"""Waiting before a next try: how long, until when, and by which clock.

Time, chance and waiting come from outside, so that a test can give its own.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from ermpoll.errors import Unavailable

#: The first wait of a `Deadline`, in seconds; it doubles with each try ...
FIRST_WAIT_S = 0.04
#: ... up to this.
LONGEST_WAIT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """What is taken from outside."""

    #: Rising seconds.
    monotonic: Callable[[], float] = time.monotonic
    #: A number in [0, 1).
    random: Callable[[], float] = random.random
    #: Waits for an event, so many seconds at most; says whether it was set.
    wait: Callable[[threading.Event, float], bool] = threading.Event.wait
    #: The time of day, UTC, for people.
    utc: Callable[[], datetime] = lambda: datetime.now(UTC)


#: Those of this machine.
REAL = Clocks()


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

    def wait(self, after: BaseException | None = None) -> bool:
        """Wait before the next try; False, at once, when no time is left for one.

        ``after``: what failed; an answer may ask for a longer wait.
        """
        self._tries += 1
        rand = self._clocks.random()
        asked_s = after.retry_after_s if isinstance(after, Unavailable) else 0.0
        wait_s = max(jittered_s(self._tries, FIRST_WAIT_S, self._cap_s, rand), asked_s)
        if self._clocks.monotonic() + wait_s >= self._until:
            return False
        return not self._clocks.wait(self._stop, wait_s)

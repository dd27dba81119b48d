"""Who may change states at a catalog now, within this process, and for how long.

Knows no catalog but by its address.
"""

from __future__ import annotations

import random
import threading
import time
from weakref import WeakValueDictionary

FIRST_WAIT_S, LONGEST_WAIT_S = 0.02, 2.0


class Patience:
    """Waits with full jitter, longer each time, until `patience_s` seconds are over."""

    def __init__(self, patience_s: float) -> None:
        self._pause = threading.Event()
        self._deadline = time.monotonic() + patience_s
        self._tries = 0

    def wait(self) -> bool:
        """Wait before the next try; False when there is no time for one."""
        self._tries += 1
        longest = min(FIRST_WAIT_S * 2 ** min(self._tries, 10), LONGEST_WAIT_S)
        self._pause.wait(longest * random.random())
        return time.monotonic() < self._deadline


class Turn:
    """One turn at a time; reentrant, so that a transform may itself change states."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


_turns: WeakValueDictionary[str, Turn] = WeakValueDictionary()
_turns_lock = threading.Lock()


def turn_of(url: str) -> Turn:
    """Return whose turn it is at a catalog, in this process.

    Taken from reading to the certain answer: within one process no race is lost,
    and a row found written after a lost answer can't be another thread's.
    """
    with _turns_lock:
        return _turns.setdefault(url, Turn())

"""One thread at a time, but nobody behind one that hangs.

A courtesy between the threads of one process, no lock to rely on. Knows no catalog.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

#: Nobody waits longer for a turn, in seconds: some of the largest writes take less.
LONGEST_WAIT_S = 2.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Held:
    """One turn; compared by identity, so that a turn that is over ends no other."""

    thread: int
    since: float


class Turns:
    """Whose turn it is.

    A turn that has lasted for `LONGEST_WAIT_S` is passed over: the next one begins,
    and nobody waits for that one again.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._held: Held | None = None

    def begin(self, longest_s: float = LONGEST_WAIT_S) -> Held | None:
        """Wait for a turn, and return it.

        Parameters
        ----------
        longest_s
            Seconds to wait at most.

        Returns
        -------
        Held or None
            For `end`. None: it is this thread's turn already, or the wait was in
            vain; then go without.
        """
        me, until = threading.get_ident(), self._monotonic() + longest_s
        with self._changed:
            while self._held is not None:
                if self._held.thread == me:
                    return None
                now = self._monotonic()
                hangs_at = self._held.since + LONGEST_WAIT_S
                if now >= hangs_at:
                    break
                if now >= until:
                    return None
                self._changed.wait(min(until, hangs_at) - now)
            self._held = Held(thread=me, since=self._monotonic())
            return self._held

    def end(self, held: Held) -> None:
        """End a turn, unless it was passed over."""
        with self._changed:
            if self._held is held:
                self._held = None
                self._changed.notify()

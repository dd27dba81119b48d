"""One write at a time to a catalog: overlapping writes abort each other there.

ERMrest runs writes serializable and reads the newest change of all tables in each,
so the later of two overlapping writes fails with 503, even on different tables. The
writers of one process take turns, and by two files in the temporary folder also
those of one user's other processes on this machine. It is a courtesy that saves
failed writes, never what keeps a claim safe: whoever waits too long goes without,
and who hangs is not waited for again.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ermpoll.catalog.machine.lock_file import LockFile

#: Nobody waits longer for a turn, in seconds: some of the largest writes take less.
LONGEST_WAIT_S = 2.5
#: How often somebody who waits looks whether it was told to stop, in seconds.
STOP_SLICE_S = 0.05


def patience_s(lease_s: float) -> float:
    """Return how long to wait for a turn: a courtesy must not cost a lease."""
    return min(LONGEST_WAIT_S, lease_s / 8)


class Turns:
    """Whose turn it is, of the threads of this process: theirs who waited longest.

    A turn that has lasted for `LONGEST_WAIT_S` is passed over: the next one begins,
    and nobody waits for that one again.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._changed = threading.Condition()
        #: Who waits, the first one first.
        self._waiting: list[object] = []
        #: The thread whose turn it is, and since when; a new value for each turn.
        self._turn: tuple[int, float] | None = None

    @contextmanager
    def take(self, longest_s: float = LONGEST_WAIT_S) -> Iterator[bool]:
        """Wait for a turn, ``longest_s`` seconds at most.

        Yields False when it is this thread's turn already, or when the wait was in
        vain: then go without.
        """
        turn = self._begin(longest_s)
        try:
            yield turn is not None
        finally:
            with self._changed:
                # unless it was passed over
                if turn is not None and self._turn is turn:
                    self._turn = None
                    self._changed.notify_all()

    def _begin(self, longest_s: float) -> tuple[int, float] | None:
        me, until = threading.get_ident(), self._monotonic() + longest_s
        with self._changed:
            if self._turn is not None and self._turn[0] == me:
                return None
            place = object()
            self._waiting.append(place)
            try:
                return self._wait_for_turn(me, place, until)
            finally:
                self._waiting.remove(place)
                self._changed.notify_all()

    def _wait_for_turn(
        self, me: int, place: object, until: float
    ) -> tuple[int, float] | None:
        while self._turn is not None or self._waiting[0] is not place:
            now, wake_at = self._monotonic(), until
            if self._turn is not None and self._waiting[0] is place:
                hangs_at = self._turn[1] + LONGEST_WAIT_S
                if now >= hangs_at:
                    break
                wake_at = min(until, hangs_at)
            if now >= until:
                return None
            self._changed.wait(wake_at - now)
        self._turn = (me, self._monotonic())
        return self._turn


class WriteLock:
    """The right to write to a catalog, shared by all that do so in this process."""

    def __init__(self, url: str) -> None:
        self._turns = Turns()
        self._gate = _Gate(url)

    @contextmanager
    def hold(
        self, stop: threading.Event | None = None, *, longest_s: float = LONGEST_WAIT_S
    ) -> Iterator[None]:
        """Hold it for a while; a hold within a hold of this thread is the same.

        Parameters
        ----------
        stop
            Set: don't wait for other processes any longer.
        longest_s
            Seconds to wait at most; after that it is entered all the same.
        """
        until = time.monotonic() + longest_s
        with self._turns.take(longest_s) as mine:
            file = self._gate.enter(until, stop or threading.Event()) if mine else None
            try:
                yield
            finally:
                if file is not None:
                    self._gate.leave(file)


class _Gate:
    """The part of a write lock that other processes see.

    Two files: who has locked ``next`` waits for ``lane`` and has it before anybody
    who comes later, the one that just left it included. Who enters sets the time of
    ``lane``, so that one that hangs is told from one that is busy. Who leaves, and
    leaves nobody waiting, takes both files away.
    """

    def __init__(self, url: str) -> None:
        self._next, self._lane = LockFile(url, "next"), LockFile(url, "lane")
        #: When the hold began that was waited for in vain.
        self._hung: int | None = None

    def enter(self, until: float, stop: threading.Event) -> int | None:
        """Return the locked file, to be left; None: go without."""
        began, first = self._lane.touched(), self._next.try_lock()
        file = self._lane.try_lock() if first is not None else None
        if file is None and (began is None or began != self._hung):
            file = _Wait(lambda: self._wait_for(first), self.leave).file(until, stop)
        elif first is not None:
            self._next.unlock(first)
        if file is not None:
            os.utime(file)
        elif time.monotonic() >= until and self._lane.touched() == began:
            self._hung = began
        return file

    def _wait_for(self, first: int | None) -> int | None:
        """Wait for the lane; ``first`` is ``next``, where it is locked already."""
        first = self._next.lock() if first is None else first
        if first is None:
            return None
        file = self._lane.lock()
        self._next.unlock(first)
        return file

    def leave(self, file: int) -> None:
        """Let the next one in."""
        first = self._next.try_lock()
        if first is None:
            self._lane.unlock(file)
            return
        self._lane.remove(file)
        self._next.remove(first)


class _Wait:
    """A wait for a file that others have locked, on a thread of its own.

    The system lets in who waits for a lock at once, but knows no longest wait: a thread
    that was given up lets go of what it gets.
    """

    def __init__(
        self, lock: Callable[[], int | None], let_go: Callable[[int], None]
    ) -> None:
        self._lock, self._let_go = lock, let_go
        self._decided = threading.Lock()
        self._over = threading.Event()
        self._given_up = False
        self._file: int | None = None

    def file(self, until: float, stop: threading.Event) -> int | None:
        """Return the locked file; None where that takes too long."""
        threading.Thread(target=self._wait, name="ermpoll-lane", daemon=True).start()
        while (left_s := until - time.monotonic()) > 0 and not stop.is_set():
            if self._over.wait(min(left_s, STOP_SLICE_S)):
                break
        with self._decided:
            self._given_up = True
            return self._file

    def _wait(self) -> None:
        file = self._lock()
        with self._decided:
            if not self._given_up:
                self._file, file = file, None
        self._over.set()
        if file is not None:
            self._let_go(file)

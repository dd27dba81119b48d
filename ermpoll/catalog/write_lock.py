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
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

if sys.platform != "win32":
    import fcntl

#: Nobody waits longer for a turn, in seconds: some of the largest writes take less.
LONGEST_WAIT_S = 2.5
#: How often a file's lock is asked for, in seconds: little beside a write's 16 ms.
ASK_S = 0.002


class Turns:
    """Whose turn it is, of the threads of this process.

    A turn that has lasted for `LONGEST_WAIT_S` is passed over: the next one begins,
    and nobody waits for that one again.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._changed = threading.Condition()
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
                    self._changed.notify()

    def _begin(self, longest_s: float) -> tuple[int, float] | None:
        me, until = threading.get_ident(), self._monotonic() + longest_s
        with self._changed:
            while self._turn is not None:
                thread, since = self._turn
                now, hangs_at = self._monotonic(), since + LONGEST_WAIT_S
                if now >= hangs_at and thread != me:
                    break
                if now >= until or thread == me:
                    return None
                self._changed.wait(min(until, hangs_at) - now)
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
                    _unlock(file)


class _Gate:
    """The part of a write lock that other processes see.

    Two files: who has locked ``next`` waits for ``lane`` and has it before anybody
    who comes later, the one that just left it included. Who enters sets the time of
    ``lane``, so that one that hangs is told from one that is busy.
    """

    def __init__(self, url: str) -> None:
        user = os.getuid() if hasattr(os, "getuid") else 0
        name = f"ermpoll-{user}-{sha256(url.encode()).hexdigest()[:16]}"
        folder = Path(tempfile.gettempdir())
        self._next, self._lane = folder / f"{name}.next", folder / f"{name}.lane"
        #: When the hold began that was waited for in vain.
        self._hung: int | None = None

    def enter(self, until: float, stop: threading.Event) -> int | None:
        """Return the locked file, to be unlocked; None: go without."""
        file, began = None, self._began()
        if began is not None and began == self._hung:
            file = _locked(self._lane, 0.0, stop)
        elif (first := _locked(self._next, until, stop)) is not None:
            try:
                file = _locked(self._lane, until, stop)
            finally:
                _unlock(first)
        if file is not None:
            os.utime(file)
        elif time.monotonic() >= until and self._began() == began:
            self._hung = began
        return file

    def _began(self) -> int | None:
        try:
            return self._lane.stat().st_mtime_ns
        except OSError:
            return None


def _locked(path: Path, until: float, stop: threading.Event) -> int | None:
    """Lock a file and return its descriptor, or None where that takes too long."""
    if sys.platform == "win32":  # there the writers of one process take turns, no more
        return None
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        file = os.open(path, flags, 0o600)
    except OSError:
        return None
    locked = False
    try:
        while not (locked := _is_free(file)):
            if time.monotonic() >= until or stop.wait(ASK_S):
                break
    finally:
        if not locked:
            os.close(file)
    return file if locked else None


def _is_free(file: int) -> bool:
    """Lock an open file if nobody has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _unlock(file: int) -> None:
    # closing is not enough: a process forked meanwhile has the same open file
    fcntl.flock(file, fcntl.LOCK_UN)
    os.close(file)

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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from ermpoll.catalog.turns import LONGEST_WAIT_S, Turns

if sys.platform != "win32":
    import fcntl

#: How often a file's lock is asked for, in seconds: little beside a write's 16 ms.
ASK_S = 0.002


class WriteLock:
    """The right to write to a catalog, shared by all that do so in this process."""

    def __init__(self, url: str) -> None:
        self._turns = Turns()
        self._gate = _Gate(url)

    @contextmanager
    def hold(
        self,
        stop: threading.Event | None = None,
        *,
        longest_s: float = LONGEST_WAIT_S,
    ) -> Iterator[None]:
        """Hold it for a while; a hold within a hold of this thread is the same.

        Parameters
        ----------
        stop
            Set: don't wait for other processes any longer.
        longest_s
            Seconds to wait at most.

        Notes
        -----
        Not a lock to rely on: after ``longest_s`` it is entered all the same.
        """
        until = time.monotonic() + longest_s
        turn = self._turns.begin(longest_s)
        if turn is None:
            yield
            return
        file = None
        try:
            file = self._gate.enter(until, stop or threading.Event())
            yield
        finally:
            if file is not None:
                _unlock(file)
            self._turns.end(turn)


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
        began = self._began()
        if began is not None and began == self._hung:
            file = _locked(self._lane, 0.0, stop)
        else:
            file = self._in_order(until, stop)
        if file is not None:
            os.utime(file)
        elif time.monotonic() >= until and self._began() == began:
            self._hung = began
        return file

    def _in_order(self, until: float, stop: threading.Event) -> int | None:
        first = _locked(self._next, until, stop)
        if first is None:
            return None
        try:
            return _locked(self._lane, until, stop)
        finally:
            _unlock(first)

    def _began(self) -> int | None:
        with suppress(OSError):
            return self._lane.stat().st_mtime_ns
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

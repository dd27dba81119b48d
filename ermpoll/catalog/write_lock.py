"""One write at a time to a catalog: overlapping writes abort each other there.

ERMrest runs writes serializable and reads the newest change of all tables in each,
so the later of two overlapping writes fails with 503, even on different tables.
A lane makes the writers of one process take turns, and by two files in the
temporary folder also those of one user's other processes on this machine. It is a
courtesy that saves failed writes, never what keeps a claim safe: whoever waits too
long goes without.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from weakref import WeakValueDictionary

if sys.platform != "win32":
    import fcntl

#: Nobody waits longer for a turn, in seconds: some of the largest writes take less.
LONGEST_WAIT_S = 2.5
#: After a wait in vain others' turns are passed over for that long, in seconds:
#: who holds the lane may be frozen.
DISTRUST_S = 5.0
#: How often a file's lock is asked for, in seconds: little beside a write's 16 ms.
ASK_S = 0.002


class WriteLock:
    """The write lane of a catalog, shared by all that write to it in this process."""

    def __init__(self, url: str) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._gate = _Gate(url)

    @contextmanager
    def turn(
        self,
        stop: threading.Event | None = None,
        *,
        longest_s: float = LONGEST_WAIT_S,
    ) -> Iterator[None]:
        """Have the lane for a while; a turn within a turn of this thread is the same.

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
        if not self._lock.acquire(timeout=longest_s):
            yield
            return
        try:
            self._depth += 1
            if self._depth == 1:
                self._gate.enter(until, stop or threading.Event())
            yield
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._gate.leave()
            self._lock.release()


class _Gate:
    """The part of a lane that other processes see.

    Two files: who holds ``next`` waits for ``lane`` and has it before anybody who
    comes later, the one that just left it included.
    """

    def __init__(self, url: str) -> None:
        user = os.getuid() if hasattr(os, "getuid") else 0
        name = f"ermpoll-{user}-{sha256(url.encode()).hexdigest()[:16]}"
        folder = Path(tempfile.gettempdir())
        self._next, self._lane = folder / f"{name}.next", folder / f"{name}.lane"
        self._held: int | None = None
        self._distrusted_until = 0.0

    def enter(self, until: float, stop: threading.Event) -> None:
        if time.monotonic() < self._distrusted_until:
            return
        first = _locked(self._next, until, stop)
        if first is not None:
            try:
                self._held = _locked(self._lane, until, stop)
            finally:
                _unlock(first)
        if time.monotonic() >= until:
            self._distrusted_until = time.monotonic() + DISTRUST_S

    def leave(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            _unlock(held)


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


_lanes: WeakValueDictionary[str, WriteLock] = WeakValueDictionary()
_lock = threading.Lock()


def write_lock_of(url: str) -> WriteLock:
    """Return the lane of the catalog at an address."""
    with _lock:
        lane = _lanes.get(url)
        if lane is None:
            lane = _lanes[url] = WriteLock(url)
        return lane

"""Files in the temporary folder by which processes of one user take turns.

The system lets go of the locks of a process that ends, however it does. A file stays
only for as long as somebody has it: who unlocks it last takes it away, and what a
killed process has left goes with the next one who comes.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

if sys.platform != "win32":
    import fcntl

#: All files that are open here.
_open: set[int] = set()


def _close_all() -> None:
    for file in list(_open):
        _open.discard(file)
        os.close(file)


# a fork has the same open files: a lock would outlive who took it
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_all)


class LockFile:
    """A file that one at a time has locked; a locked one is known by its descriptor.

    Parameters
    ----------
    of
        What it is about: an address, whose hash is in its name.
    part
        The end of its name.
    """

    def __init__(self, of: str, part: str) -> None:
        user = os.getuid() if hasattr(os, "getuid") else 0
        name = f"ermpoll-{user}-{sha256(of.encode()).hexdigest()[:16]}.{part}"
        self._path = Path(tempfile.gettempdir()) / name

    def try_lock(self) -> int | None:
        """Lock it; None where somebody has it, or where there can be no such file."""
        return self._locked(fcntl.LOCK_NB) if sys.platform != "win32" else None

    def lock(self) -> int | None:
        """Wait for it as long as it takes; None where there can be no such file."""
        return self._locked(0) if sys.platform != "win32" else None

    def touched(self) -> int | None:
        """Return when it was last set the time of; None: there is none."""
        try:
            return self._path.stat().st_mtime_ns
        except OSError:
            return None

    def write(self, file: int, text: str) -> None:
        """Say in a locked file who has it."""
        if file not in _open:  # in a fork that number is another file's
            return
        with suppress(OSError):
            os.ftruncate(file, 0)
            os.pwrite(file, text.encode(), 0)

    def text(self) -> str:
        """Return what stands in it, or ""."""
        try:
            return self._path.read_text(errors="replace")
        except OSError:
            return ""

    def unlock(self, file: int) -> None:
        """Let the next one have it."""
        with suppress(OSError):
            # closing is not enough: a process forked meanwhile may have it open
            fcntl.flock(file, fcntl.LOCK_UN)
        self._close(file)

    def remove(self, file: int) -> None:
        """Take it away, and unlock it: who waits for it makes a new one."""
        if file not in _open:  # it is of the process that this one is a fork of
            return
        with suppress(OSError):
            self._path.unlink()
        self.unlock(file)

    def _locked(self, how: int) -> int | None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        while True:
            try:
                file = os.open(self._path, flags, 0o600)
            except OSError:
                return None
            _open.add(file)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | how)
                # one that was taken away meanwhile is nobody's
                if os.fstat(file).st_nlink:
                    return file
            except OSError:
                self._close(file)
                return None
            self._close(file)

    @staticmethod
    def _close(file: int) -> None:
        # a fork has closed it already
        if file in _open:
            _open.discard(file)
            os.close(file)

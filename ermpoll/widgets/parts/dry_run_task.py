"""One dry run, in a thread that can be given up.

Makes a plan while the catalog refuses every write, counts the rows it has passed,
and ends when it is asked to even if the user's function hangs. Knows no widget.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ermpoll.records import JSON, Row, Transform

if TYPE_CHECKING:
    from ermpoll.catalog import Catalog
    from ermpoll.queue.results import Plan

#: How long a cancelled function may take to notice, in seconds.
_GRACE_S = 1.0


class Cancelled(BaseException):
    """The run was cancelled: no `Exception`, which a transform might handle."""


class _Noting(dict[str, JSON]):
    """A row that takes note of which columns are asked for, one by one."""

    def __init__(self, row: Row, noted: set[str]) -> None:
        super().__init__(row)
        self._noted = noted

    def __getitem__(self, name: str) -> JSON:
        self._noted.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Give the value of a column, or the default."""
        self._noted.add(name)
        return super().get(name, default)


class DryRunTask:
    """A dry run under way.

    Parameters
    ----------
    catalog
        What refuses writes meanwhile.
    make
        Makes the plan; it calls the user's function only inside `entered` or as
        `watched`.
    moved
        Called after each row.
    name
        What its thread is called.
    """

    def __init__(
        self,
        catalog: Catalog,
        make: Callable[[DryRunTask], Plan],
        *,
        moved: Callable[[], None],
        name: str,
    ) -> None:
        self._catalog, self._make, self._moved = catalog, make, moved
        self._lock = threading.Lock()
        self._inside = False
        self._cancelled = threading.Event()
        self._ended = threading.Event()
        self._over = threading.Event()
        self._error: BaseException | None = None
        self.plan: Plan | None = None
        #: What the function itself tried to write: lines like "would PUT ...".
        self.would: list[str] = []
        #: The columns that the function asked for, as far as that can be seen.
        self.read: set[str] = set()
        #: How many rows wait in all, or None when that was not asked for.
        self.waiting: int | None = None
        self.total = 0
        self.passed = 0
        #: True when it was cancelled and its function did not come back.
        self.is_abandoned = False
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def run(self) -> Plan | None:
        """Run to the end and return the plan, or None when it was cancelled.

        Raises
        ------
        ErmpollError
            The candidates can't be read.
        """
        self.thread.start()
        # The thread's end or a function that was given up, whichever is first.
        self._over.wait()
        if self._error is not None:
            raise self._error
        return None if self._cancelled.is_set() else self.plan

    @property
    def is_over(self) -> bool:
        """Whether `run` has returned or is about to."""
        return self._over.is_set()

    @property
    def is_cancelled(self) -> bool:
        """Whether `cancel` was called before the end."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """End it; nothing of it is kept.

        A function that computes or waits in Python is ended. One that hangs in a
        call of the system can't be: it is given up, its writes go on being refused,
        and what it returns is dropped.
        """
        if self._over.is_set():
            return
        self._cancelled.set()
        with self._lock:
            if self._inside and self.thread.ident is not None:
                # The documented way to raise in another thread; it takes effect at
                # the next Python instruction, and only while the function runs.
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self.thread.ident), ctypes.py_object(Cancelled)
                )
        if not self._ended.wait(_GRACE_S):
            self.is_abandoned = True
        self._over.set()

    def _run(self) -> None:
        try:
            with self._catalog.dry_run() as would:
                self.would = would
                self.plan = self._make(self)
        except Cancelled:
            self._cancelled.set()
        except Exception as error:  # noqa: BLE001  the top of the thread: raised again by run()
            self._error = None if self._cancelled.is_set() else error
        finally:
            self._ended.set()
            self._over.set()

    def begin(self, total: int, waiting: int | None = None) -> None:
        """Say how many rows it is tried on, and how many wait."""
        self.total, self.waiting = total, waiting
        self._moved()

    def watched(self, transform: Transform) -> Transform:
        """Give the transform that counts its rows and ends when this is cancelled."""

        def watch(row: Row) -> Row | None:
            if self._cancelled.is_set():
                raise Cancelled
            try:
                with self.entered():
                    return transform(_Noting(row, self.read))
            finally:
                self.passed += 1
                self._moved()

        return watch

    @contextmanager
    def entered(self) -> Iterator[None]:
        """While the user's function runs it may be ended from outside."""
        with self._lock:
            self._inside = True
        try:
            yield
        finally:
            with self._lock:
                self._inside = False

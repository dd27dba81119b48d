"""One thread of control at a time: begin, stop, go on, end.

Knows nothing of polling. A thread and the event that ends it are one value, so
an old thread can never wait on a new thread's event.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ermpoll.errors import UsageError
from ermpoll.redact import one_line, traceback_places

logger = logging.getLogger(__name__)

#: Loops until the event is set, which it gets, and looks at it whenever it is woken.
Body: TypeAlias = Callable[[threading.Event], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Run:
    thread: threading.Thread
    stop: threading.Event
    #: Set at the end of a run on its caller's thread, which lives on after it.
    over: threading.Event | None = None


#: What a start did: begin a thread, take back a stop, nothing, or nothing since
#: another one runs in its place.
Started: TypeAlias = Literal["begun", "resumed", "running", "replaced"]


class ControlledThread:
    """Runs a body on a daemon thread, or on the caller's, never two at a time.

    Parameters
    ----------
    wake
        Wakes the body from whatever it waits for.
    begun, ended
        Called before the body and after it, for each run; ``ended`` with the reason
        when the body left its thread (a SystemExit), else "".
    may_run
        Asked at each start, after ``begun``; False: another one runs in its place.
    late
        Called when a stop did not end the run in time.
    told
        Called when a run is over; may call whom it likes. The others must not wait,
        nor call anything that might: they are called under a lock.
    """

    def __init__(
        self,
        *,
        wake: Callable[[], None],
        begun: Callable[[], None],
        ended: Callable[[str], None],
        may_run: Callable[[], bool] = lambda: True,
        late: Callable[[], None] = lambda: None,
        told: Callable[[], None] = lambda: None,
    ) -> None:
        self._wake = wake
        self._begun = begun
        self._ended = ended
        self._may_run = may_run
        self._late = late
        self._told = told
        self._lock = threading.RLock()
        self._run: _Run | None = None

    @property
    def running(self) -> bool:
        """True from the beginning of a run to its end, a stop under way included."""
        return self._run is not None

    def start(self, name: str, body: Body) -> Started:
        """Run on a thread of this name.

        A run that was told to stop and has not ended yet goes on instead.
        """
        with self._lock:
            if self._run is not None:
                if not self._may_run():
                    return "replaced"
                stopping = self._run.stop.is_set()
                self._run.stop.clear()
                return "resumed" if stopping else "running"
            thread = threading.Thread(
                target=self._thread, args=(body,), name=name, daemon=True
            )
            if self._begin(thread) is not None:
                thread.start()
                return "begun"
        self._told()
        return "replaced"

    def run(self, name: str, body: Body) -> None:
        """Run on the caller's thread until stopped; not if another one runs.

        Raises
        ------
        UsageError
            When a run is going on already.
        """
        with self._lock:
            if self._run is not None:
                raise UsageError(f"{name} is running already: stop() it first.")
            run = self._begin(threading.current_thread(), over=threading.Event())
        if run is None:
            self._told()
            return
        why = ""
        try:
            body(run.stop)
        except BaseException as error:
            why = _why(error)
            raise
        finally:
            run.stop.set()
            self._end(run, why)

    def stop(self, timeout_s: float) -> bool:
        """Stop, and wait; False when it has not ended within ``timeout_s`` seconds.

        From within the run it can't wait: False, and the run ends soon after.
        """
        with self._lock:
            run = self._run
            if run is None:
                return True
            run.stop.set()
        self._wake()
        if run.over:
            run.over.wait(0 if run.thread is threading.current_thread() else timeout_s)
        elif run.thread is not threading.current_thread():
            run.thread.join(timeout_s)
        with self._lock:
            if self._run is not run:
                return True
            # under the lock: it may end at this moment, and must have the last word
            if run.stop.is_set():
                self._late()
            return False

    def _begin(
        self, thread: threading.Thread, over: threading.Event | None = None
    ) -> _Run | None:
        # first, so that nobody takes it for one that need not be stopped
        self._begun()
        if not self._may_run():
            self._ended("another one of its name was started")
            return None
        self._run = _Run(thread=thread, stop=threading.Event(), over=over)
        return self._run

    def _end(self, run: _Run, why: str = "") -> bool:
        """End the run, unless it was started again meanwhile."""
        with self._lock:
            if not run.stop.is_set():
                return False
            self._run = None
            # Under the lock, so that it can't overwrite what a next run's beginning
            # has said.
            self._ended(why)
        self._told()
        if run.over:
            run.over.set()
        return True

    def _thread(self, body: Body) -> None:
        run = self._run
        assert run is not None
        try:
            body(run.stop)
            while not self._end(run):
                body(run.stop)
        except BaseException as error:  # noqa: BLE001 - the edge: the top of the thread
            # Raised past the body's own handlers: the thread must not seem to run.
            logger.error(
                "%s left its thread: %s", run.thread.name, traceback_places(error)
            )
            run.stop.set()
            self._end(run, _why(error))


def _why(error: BaseException) -> str:
    """Say why a body was left; an interrupt is a stop like any other."""
    return "" if isinstance(error, KeyboardInterrupt) else f"ended by {one_line(error)}"

"""What the looks of an agent share: who holds, works, writes and tells; its counts."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ermpoll.agent.dispatcher import Dispatcher
from ermpoll.agent.held_jobs import HeldJobs
from ermpoll.backoff import REAL, Clocks
from ermpoll.polling.status import PerMinute
from ermpoll.queue import Queue
from ermpoll.queue.writer import GuardedWriter
from ermpoll.records import EventKind, Failure, OnEdit, Status, Transform

#: How many failures a status tells of.
FAILURES = 20


class Counters:
    """The counts of one agent."""

    def __init__(self, clocks: Clocks = REAL) -> None:
        self._clocks = clocks
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._per_min = PerMinute()
        self._failures: deque[Failure] = deque(maxlen=FAILURES)

    def add(self, what: str, n: int = 1) -> None:
        """Count ``n`` more of something that Status has a field for."""
        with self._lock:
            self._counts[what] += n
            if what in ("completed", "failed"):
                self._per_min.add(self._clocks.monotonic(), n)

    def failed(self, failure: Failure) -> None:
        """Remember a failure; the oldest is forgotten when there are many."""
        with self._lock:
            self._failures.appendleft(failure)

    def of_now(self) -> Counter[str]:
        """Return the counts as they are now."""
        with self._lock:
            return Counter(self._counts)

    @property
    def finished(self) -> int:
        """Rows that were completed or have failed."""
        return self._counts["completed"] + self._counts["failed"]

    def fill(self, status: Status) -> Status:
        """Return the status with the counts filled in."""
        with self._lock:
            counts: dict[str, Any] = dict(self._counts)
            per_min = self._per_min.counts(self._clocks.monotonic())
            failures = tuple(self._failures)
        return replace(status, **counts, jobs_per_min=per_min, failures=failures)


class Emit(Protocol):
    """Tells listeners what happened."""

    def __call__(
        self, kind: EventKind, reason: str = "", rid: str | None = None
    ) -> None:
        """Tell it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentContext:
    """What the pieces of a cycle work with, handed from one to the next."""

    jobs: Queue
    name: str
    transform: Transform | None
    held: HeldJobs
    counters: Counters
    writer: GuardedWriter
    dispatcher: Dispatcher
    emit: Emit
    wrote: Callable[[], None]
    log_in: Callable[[str | None, float | None], None]
    #: When the news came that made it look, on the clock.
    news_at: Callable[[], float]
    time_limit_s: float | None = None
    on_edit: OnEdit = "keep"
    clocks: Clocks = REAL

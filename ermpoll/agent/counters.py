"""What an agent has done so far: counts, and the rate. Safe from any thread."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import replace
from typing import Any

from ermpoll.agent.held_jobs import HeldJobs
from ermpoll.polling.status import PerMinute
from ermpoll.queue.guarded_put import Fate
from ermpoll.queue.writer import WriteResult
from ermpoll.records import Failure, Status

#: How many failures a status tells of.
FAILURES = 20


class Counters:
    """The counts of one agent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._per_min = PerMinute()
        self._failures: deque[Failure] = deque(maxlen=FAILURES)

    def add(self, what: str, n: int = 1) -> None:
        """Count ``n`` more of something that Status has a field for."""
        with self._lock:
            self._counts[what] += n
            if what in ("completed", "failed"):
                self._per_min.add(time.monotonic(), n)

    def failed(self, failure: Failure) -> None:
        """Remember a failure; the oldest is forgotten when there are many."""
        with self._lock:
            self._failures.appendleft(failure)

    def wrote(self, done: WriteResult) -> None:
        """Count the PUTs of a write."""
        with self._lock:
            self._counts["writes"] += done.sent
            self._counts["wasted"] += done.wasted
            self._counts["unknown"] += len(done.rids(Fate.UNKNOWN))

    def __getitem__(self, what: str) -> int:
        return self._counts[what]

    def fill(self, status: Status, hand: HeldJobs, attempts: str | None) -> Status:
        """Return the status with an agent's half filled in."""
        with self._lock:
            counts: dict[str, Any] = dict(self._counts)
            per_min = self._per_min.counts(time.monotonic())
            failures = tuple(self._failures)
        return replace(
            status,
            **counts,
            running=hand.running(attempts),
            held=len(hand),
            jobs_per_min=per_min,
            failures=failures,
        )

"""What the looks of an agent share: who holds, works, writes and tells; its counts."""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ermpoll.agent.current import attempt_of
from ermpoll.agent.dispatcher import Dispatcher
from ermpoll.agent.held_jobs import Finished, HeldJobs
from ermpoll.agent.memory.attempts import Attempts, FailedAttempt
from ermpoll.agent.memory.durations import DurationCounts
from ermpoll.agent.memory.metrics import COUNTED, Metrics, phases_of
from ermpoll.backoff import REAL, Clocks
from ermpoll.polling.status import News, PerMinute
from ermpoll.queue import Queue
from ermpoll.queue.guarded_put import Fate
from ermpoll.queue.reading.course import Course
from ermpoll.queue.writer import GuardedWriter, WriteResult
from ermpoll.records import Failure, KeptEdit, OnEdit, Status, Transform
from ermpoll.redact import clipped

logger = logging.getLogger(__name__)

#: How many failures a status tells of.
FAILURES = 20


class Counters:
    """The counts of one agent."""

    def __init__(self, clocks: Clocks = REAL) -> None:
        self._clocks = clocks
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._per_min = PerMinute()
        # the span that is running tells no speed: one more than are told
        self._per_5s = PerMinute(spans=13, span_s=5.0)
        self._failures: deque[Failure] = deque(maxlen=FAILURES)
        self._edits: deque[KeptEdit] = deque(maxlen=FAILURES)
        self._begun_at = clocks.utc()
        self._course = Course()
        self._waiting, self._working = DurationCounts(), DurationCounts()

    def add(self, what: str, n: int = 1) -> None:
        """Count ``n`` more of something that Status has a field for."""
        with self._lock:
            self._counts[what] += n
            if what in ("completed", "failed"):
                now = self._clocks.monotonic()
                self._per_min.add(now, n)
                self._per_5s.add(now, n)

    def kept(self, edit: KeptEdit) -> None:
        """Remember an edit of a person's that was kept."""
        with self._lock:
            self._edits.appendleft(edit)

    def failed(self, failure: Failure) -> None:
        """Remember a failure; the oldest is forgotten when there are many."""
        with self._lock:
            self._failures.appendleft(failure)

    def settled(
        self, held: int, waited_s: Iterable[float], worked_s: Iterable[float]
    ) -> None:
        """Remember where the counts are, and how long rows waited and work took."""
        with self._lock:
            for seconds in waited_s:
                self._waiting.add(seconds)
            for seconds in worked_s:
                self._working.add(seconds)
            self._note(held)

    def metrics(self, name: str, jobs: Queue, held: int) -> Metrics:
        """Return what the life so far came to."""
        with self._lock:
            self._note(held)
            return Metrics(
                name=name,
                since=self._begun_at,
                until=self._clocks.utc(),
                jobs=self._course.moments,
                depth=jobs.depth.moments,
                phases=phases_of(jobs.definition),
                waiting=self._waiting.of_now(),
                working=self._working.of_now(),
            )

    def _note(self, held: int) -> None:
        counts = {word: self._counts[word] for word in COUNTED} | {"held": held}
        self._course.add(self._clocks.utc(), counts)

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
            now = self._clocks.monotonic()
            counts["jobs_per_min"] = self._per_min.counts(now)
            counts["jobs_per_5s"] = self._per_5s.counts(now)[:-1]
            counts["failures"] = tuple(self._failures)
            counts["edits"] = tuple(self._edits)
        return replace(status, **counts)


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
    #: Tells listeners what happened.
    tell: Callable[[Sequence[News]], None]
    wrote: Callable[[], None]
    log_in: Callable[[str | None, float | None], None]
    #: When the news came that made it look, on the clock.
    news_at: Callable[[], float]
    time_limit_s: float | None = None
    on_edit: OnEdit = "keep"
    clocks: Clocks = REAL
    attempts: Attempts = field(default_factory=Attempts)

    def sent(self, done: WriteResult) -> None:
        """Count a write, and say what of it came to nothing."""
        self.counters.add("writes", done.sent)
        self.counters.add("wasted", done.wasted)
        self.counters.add("unknown", len(done.rids(Fate.UNKNOWN)))
        if Fate.WON in done.fates:
            self.wrote()
        if done.wasted:
            logger.info(
                "%s: %d writes came to nothing, sent again",
                self.name,
                done.wasted,
                extra={"event": "wasted", "writes": done.wasted},
            )

    def hand_out(self) -> None:
        """Hand out the work of rows that are new."""
        self.held.hand_out(
            self.dispatcher.submit, tells_running=self.dispatcher.tells_running
        )

    def remember(self, ended: Finished) -> None:
        """Keep how a job failed, if it did, for whoever asks of its row."""
        held, report, column = ended.held, ended.report, self.jobs.definition.attempts
        if report.error:
            made = FailedAttempt(
                rid=held.rid,
                at=self.clocks.utc(),
                reason=clipped(report.error),
                attempt=attempt_of(held.row, column) if column else None,
                worked_s=ended.worked_s,
                traceback=report.traceback,
            )
            self.attempts.add(held.token or "", made)


def default_name(jobs: Queue) -> str:
    """Name an agent by its catalog, table, ready words and filter."""
    address = jobs.catalog.url.split("://", 1)[-1].replace("/ermrest/catalog", "")
    ready = "|".join(jobs.definition.label(word) for word in jobs.definition.ready)
    narrow = jobs.definition.path or jobs.definition.where
    return f"{address} {jobs.title} {jobs.definition.state}={ready} {narrow}".strip()

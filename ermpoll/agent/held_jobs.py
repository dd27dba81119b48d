"""The rows an agent holds, from the claim to the last write. Safe from any thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ermpoll.queue.plan import copied
from ermpoll.queue.transitions import Held
from ermpoll.records import Row, Running
from ermpoll.redact import one_line


@dataclass(slots=True)
class Job:
    """A held row and the work on it."""

    held: Held
    future: Future[Any] | None = None
    #: When a worker had room for it: on the monotonic clock, and for people.
    since: float | None = None
    started_at: datetime | None = None
    #: True once the work ended, or the row is held no more.
    over: bool = False
    #: True while a worker is still at a row that is held no more.
    stuck: bool = False
    #: True once we took it back ourselves: then a cancelled future is no fault.
    recalled: bool = False
    shown: Row | None = field(default=None, repr=False)

    def show(self) -> Row:
        """Return the row for whoever looks: theirs to change, and never written."""
        if self.shown is None:
            self.shown = copied(self.held.row)
        return self.shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A job that ended: with a result or with an error."""

    held: Held
    result: object = field(default=None, repr=False)
    error: str = ""
    #: The exception itself, where there is one.
    cause: BaseException | None = field(default=None, repr=False)
    #: Seconds that the work took.
    worked_s: float = 0.0
    #: True where the catalog refused what the work returned: no retry helps.
    final: bool = False
    #: Why the executor did not do it: no fault of the row, which goes back. Or "".
    fault: str = ""


class HeldJobs:
    """The held rows of one agent.

    Parameters
    ----------
    workers
        Jobs that run at a time; further ones wait in the executor.
    changed
        Called, from any thread, when a job ended: not again before that is taken.
    """

    def __init__(self, workers: int, changed: Callable[[], None]) -> None:
        self._room = workers
        self._stuck = 0
        self._changed = changed
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}
        self._waiting: deque[Job] = deque()
        self._ended: deque[Finished] = deque()
        self._ripe = threading.Event()
        #: True from a call of ``changed`` until what ended is taken.
        self._called = False

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, rid: str) -> bool:
        return rid in self._jobs

    @property
    def busy(self) -> int:
        """Rows whose work has not ended."""
        with self._lock:
            return len(self._jobs) - len(self._ended)

    @property
    def stuck(self) -> int:
        """Workers that are still at a row which is held no more."""
        return self._stuck

    @property
    def ended(self) -> int:
        """Jobs that ended and are not taken yet."""
        return len(self._ended)

    def held(self, rids: Iterable[str]) -> list[Held]:
        """Return how those of the rows are held that are."""
        with self._lock:
            return [self._jobs[rid].held for rid in rids if rid in self._jobs]

    def take(
        self, rows: Iterable[Held], submit: Callable[[dict[str, Any]], Future[Any]]
    ) -> None:
        """Hold rows and hand each to the executor.

        One that takes no work is asked no further: what is left has its fault.
        """
        jobs = [Job(held) for held in rows]
        with self._lock:
            # all are held before the first can end, or an exit comes in between
            self._jobs.update({job.held.rid: job for job in jobs})
            self._waiting.extend(jobs)
            self._promote()
        fault = ""
        for job in jobs:
            held = job.held
            try:
                future = None if fault else submit(copied(held.row))
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001
                future, fault = None, one_line(error)
            if future is None:
                self._end(job, fault=fault)
                continue
            job.future = future
            future.add_done_callback(partial(self._done, job))

    def gather(self, seconds: float) -> None:
        """Wait, that long at most, until half of the jobs ended or none is left."""
        with self._lock:
            if self._is_ripe():
                return
            self._ripe.clear()
        self._ripe.wait(seconds)

    def hurry(self) -> None:
        """End a wait in `gather`."""
        self._ripe.set()

    def take_ended(self) -> list[Finished]:
        """Return the jobs that ended since; their rows stay held until dropped."""
        with self._lock:
            ended = [one for one in self._ended if one.held.rid in self._jobs]
            self._ended.clear()
            self._called = False
        # a renewal may have replaced what is held meanwhile
        return [replace(one, held=self._jobs[one.held.rid].held) for one in ended]

    def put_back(self, ended: Iterable[Finished]) -> None:
        """Keep jobs that ended for the next write: this one did not happen."""
        with self._lock:
            self._ended.extendleft(one for one in ended if one.held.rid in self._jobs)
            self._called = False

    def renewed(self, held: Held) -> None:
        """Hold a row under its new version and deadline."""
        with self._lock:
            if held.rid in self._jobs:
                self._jobs[held.rid].held = held

    def drop(self, rids: Iterable[str]) -> None:
        """Hold these rows no more."""
        with self._lock:
            for rid in rids:
                job = self._jobs.pop(rid, None)
                if job is not None and not job.over:
                    self._abandon(job)
            self._promote()

    def cancel(self, *, running: bool = False) -> list[Held]:
        """Take back what no worker has begun; with ``running`` whatever is left.

        Returns the rows to give back; their jobs' later results are passed over.
        """
        with self._lock:
            jobs = list(self._jobs.values())
            ended = {one.held.rid for one in self._ended}
        back = []
        for job in jobs:
            if job.held.rid in ended:
                continue
            if running or job.future is None or _recall(job.future, job):
                back.append(job.held)
        return back

    def overtime(self, limit_s: float, now: float) -> list[Held]:
        """Return rows whose work runs for longer than allowed."""
        with self._lock:
            return [
                job.held
                for job in self._jobs.values()
                if job.since and not job.over and now - job.since > limit_s
            ]

    def to_renew(self, lease_s: float, now: float) -> list[Held]:
        """Return rows of whose lease a third has passed, but not all."""
        with self._lock:
            return [
                job.held
                for job in self._jobs.values()
                if now < job.held.deadline <= now + lease_s * 2 / 3
            ]

    def lapsed(self, now: float) -> list[Held]:
        """Return rows whose lease is over: they may be somebody else's."""
        with self._lock:
            return [job.held for job in self._jobs.values() if job.held.deadline <= now]

    def renewal_due_s(self, lease_s: float, now: float) -> float | None:
        """Return in how many seconds the next renewal is due, or None."""
        with self._lock:
            first = min(
                (job.held.deadline for job in self._jobs.values()), default=None
            )
        if first is None or first == float("inf"):
            return None
        return max(first - lease_s * 2 / 3 - now, 0.0)

    def running(self, attempts: str | None) -> tuple[Running, ...]:
        """Return what workers are busy with, the longest first."""
        with self._lock:
            jobs = [
                job for job in self._jobs.values() if job.started_at and not job.over
            ]
        return tuple(
            Running(
                rid=job.held.rid,
                since=job.started_at or datetime.now(UTC),
                attempt=_attempt(job.held.row, attempts),
                row=job.show(),
            )
            for job in jobs
        )

    def _done(self, job: Job, future: Future[Any]) -> None:
        if future.cancelled() and job.recalled:
            return
        fault = fault_of(future)
        result = None if fault else future.result()
        self._end(job, fault=fault, result=result)

    def _end(self, job: Job, **how: Any) -> None:
        with self._lock:
            if job.stuck:
                job.stuck = False
                self._stuck -= 1
                self._room += 1
            elif job.over:
                return
            else:
                self._leave(job)
                begun = job.since if job.future else None
                worked_s = time.monotonic() - begun if begun else 0.0
                self._ended.append(Finished(held=job.held, worked_s=worked_s, **how))
            self._promote()
            if self._is_ripe():
                self._ripe.set()
            # once is enough: short jobs end by the hundred while a write goes on
            called, self._called = self._called, True
        if not called:
            self._changed()

    def _is_ripe(self) -> bool:
        return len(self._ended) * 2 >= len(self._jobs)

    def _promote(self) -> None:
        """Note which jobs have a worker by now: the oldest ones that have not ended."""
        while self._room > 0 and self._waiting:
            job = self._waiting.popleft()
            if not job.over:
                self._room -= 1
                job.since, job.started_at = time.monotonic(), datetime.now(UTC)

    def _leave(self, job: Job) -> None:
        job.over = True
        self._room += job.since is not None

    def _abandon(self, job: Job) -> None:
        """Let go of a row; its worker has room again only when it comes back."""
        future = job.future
        if job.since and future and not (future.done() or _recall(future, job)):
            job.over = job.stuck = True
            self._stuck += 1
        else:
            self._leave(job)


def _recall(future: Future[Any], job: Job) -> bool:
    """Cancel what was not begun; whoever hears of it finds that it was us."""
    job.recalled = True
    job.recalled = future.cancel()
    return job.recalled


def fault_of(future: Future[Any]) -> str:
    """Return what an executor says of a call that it did not do; "" of one it did."""
    try:
        error = future.exception()
    except (CancelledError, asyncio.CancelledError):
        return "the call was cancelled by somebody else"
    return "" if error is None else one_line(error)


def _attempt(row: Mapping[str, Any], attempts: str | None) -> int | None:
    value = row.get(attempts) if attempts else None
    return value if isinstance(value, int) else None

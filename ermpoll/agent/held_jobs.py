"""The rows an agent holds, from the claim to the last write. Safe from any thread."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from functools import partial
from typing import Any

from ermpoll.agent.current import attempt_of
from ermpoll.agent.execution import Report, report_of
from ermpoll.backoff import REAL, Clocks, later
from ermpoll.queue.plan import copied
from ermpoll.queue.transitions import Held
from ermpoll.records import Row, Running
from ermpoll.redact import one_line


class JobState(Enum):
    """How far the work of a row is."""

    #: Held; no worker has room for it yet.
    WAITING = "waiting"
    #: A worker is at it, as far as can be told: the oldest that have not ended are.
    RUNNING = "running"
    #: The work is over; the row is held until that is written.
    ENDED = "ended"
    #: The row is to be given back; the work was not begun, or is not waited for.
    CANCELLED = "cancelled"
    #: The row is held no more, and a worker is still at it.
    ABANDONED = "abandoned"


@dataclass(slots=True, eq=False)
class HeldJob:
    """A held row and the work on it."""

    held: Held
    state: JobState = JobState.WAITING
    future: Future[Any] | None = None
    #: When a worker had room for it: on the clock, and for people.
    since: float | None = None
    started_at: datetime | None = None
    shown: Row | None = field(default=None, repr=False)
    #: How far the work says that it is, from 0 to 1, and what it does.
    progress: float | None = None
    doing: str = ""

    def show(self) -> Row:
        """Return the row for whoever looks: theirs to change, and never written."""
        if self.shown is None:
            self.shown = copied(self.held.row)
        return self.shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A job that is over, and whose row is to be written."""

    held: Held
    report: Report
    #: Seconds that the work took.
    worked_s: float = 0.0
    #: True where it was taken back: the row is released.
    given_back: bool = False
    #: True where its row is given back if this is refused: there is no later try.
    last_try: bool = False
    #: Why the catalog refuses to write how it ended, so that it is given back; or "".
    refused: str = ""


class HeldJobs:
    """The held rows of one agent.

    Parameters
    ----------
    workers
        Jobs that run at a time; further ones wait in the executor.
    changed
        Called, from any thread, when a job ended: not again before that is taken.

    Notes
    -----
    Which jobs run is an estimate: the executor begins them in order, and has
    ``workers`` workers. What has begun is known from futures that say so. An
    executor whose futures never do (dask's) may be at work on all that it was
    handed, so that none of it is given back before its work is over.
    """

    def __init__(
        self, workers: int, changed: Callable[[], None], clocks: Clocks = REAL
    ) -> None:
        self._workers = workers
        self._changed = changed
        self._clocks = clocks
        self._lock = threading.RLock()
        self._jobs: dict[str, HeldJob] = {}
        #: The jobs of each state, in the order in which they came into it.
        self._by_state: dict[JobState, dict[HeldJob, None]] = {s: {} for s in JobState}
        #: Those whose work is to be handed out.
        self._new: list[HeldJob] = []
        #: What is over and was not taken yet, by RID.
        self._finished: dict[str, Finished] = {}
        self._ripe = threading.Event()
        #: Whether all have to end before that is so, or half of them.
        self._for_all = False
        #: True from a call of ``changed`` until what ended is taken.
        self._called = False
        self._tells_running = False

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, rid: str) -> bool:
        return rid in self._jobs

    @property
    def busy(self) -> int:
        """Rows whose work is not over."""
        return len(self._by_state[JobState.WAITING]) + len(
            self._by_state[JobState.RUNNING]
        )

    @property
    def stuck(self) -> int:
        """Workers that are still at a row which is held no more."""
        return len(self._by_state[JobState.ABANDONED])

    @property
    def free(self) -> int:
        """Workers that are at no row."""
        return self._workers - len(self._by_state[JobState.RUNNING]) - self.stuck

    @property
    def finished(self) -> int:
        """Jobs that are over and not taken yet."""
        return len(self._finished)

    def held(self, rids: Iterable[str] | None = None) -> list[Held]:
        """Return how rows are held: all, or those of these that are."""
        with self._lock:
            wanted = self._jobs if rids is None else rids
            return [self._jobs[rid].held for rid in wanted if rid in self._jobs]

    def hold(self, rows: Iterable[Held]) -> None:
        """Hold rows; their work is to be handed out."""
        with self._lock:
            # all are held before the first can end, or an exit comes in between
            for held in rows:
                job = self._jobs[held.rid] = HeldJob(held)
                self._enter(job, JobState.WAITING)
                self._new.append(job)

    def hand_out(
        self,
        call: Callable[[dict[str, Any]], Future[Any]],
        *,
        tells_running: bool = False,
    ) -> None:
        """Hand the work of rows that are new to the executor.

        One that takes no work is asked no further: what is left has its fault.

        Parameters
        ----------
        tells_running
            Whether the executor's futures are known to say what has begun; else
            that is found out.
        """
        with self._lock:
            self._tells_running = self._tells_running or tells_running
            # some may have gone back already, or are lost
            mine = (job for job in self._new if self._jobs.get(job.held.rid) is job)
            jobs = [job for job in mine if job.state in _UNFINISHED]
            self._new = []
            self._promote()
        fault = ""
        for job in jobs:
            try:
                future = None if fault else call(copied(job.held.row))
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001
                future, fault = None, one_line(error)
            if future is None:
                self._end(job, Report(fault=fault))
                continue
            job.future = future
            future.add_done_callback(partial(self._done, job))

    @property
    def has_new(self) -> bool:
        """Whether there is work to hand out."""
        return bool(self._new)

    @property
    def is_pressing(self) -> bool:
        """Whether a look was asked for since the last, and has enough to write."""
        with self._lock:
            return self._called and self._is_ripe()

    def wait_for_finished(self, seconds: float, *, for_all: bool = False) -> None:
        """Wait, that long at most, until half of the jobs or all of them ended."""
        with self._lock:
            self._for_all = for_all
            if self._is_ripe():
                return
            self._ripe.clear()
        self._clocks.wait(self._ripe, seconds)

    def wake(self) -> None:
        """End a wait in `wait_for_finished`."""
        self._ripe.set()

    def pop_finished(self) -> list[Finished]:
        """Return the jobs that are over; their rows stay held until forgotten."""
        with self._lock:
            over, self._finished = self._finished, {}
            self._called = False
            # a renewal may have replaced what is held meanwhile
            jobs = [(one, self._jobs.get(rid)) for rid, one in over.items()]
            return [
                one if one.held is job.held else replace(one, held=job.held)
                for one, job in jobs
                if job is not None
            ]

    def requeue_finished(self, finished: Iterable[Finished]) -> None:
        """Keep jobs that are over for the next write: this one did not happen."""
        with self._lock:
            again = {one.held.rid: one for one in finished}
            again = {rid: one for rid, one in again.items() if rid in self._jobs}
            self._finished = {**again, **self._finished}
            self._called = False

    def renew(self, held: Held) -> None:
        """Hold a row under its new version and deadline."""
        with self._lock:
            if held.rid in self._jobs:
                self._jobs[held.rid].held = held

    def forget(self, rids: Iterable[str]) -> None:
        """Hold these rows no more; a worker that is still at one stays taken."""
        with self._lock:
            for rid in rids:
                job = self._jobs.pop(rid, None)
                self._finished.pop(rid, None)
                if job is None:
                    continue
                if (job.future and job.future.done()) or self._taken_back(job):
                    self._by_state[job.state].pop(job)
                else:
                    self._enter(job, JobState.ABANDONED)
            self._promote()

    def give_back(self, *, running: bool = False) -> None:
        """Take back what no worker has begun; with ``running`` whatever is left.

        Those rows are over: what is written for them is their release.
        """
        left: list[Future[Any]] = []
        with self._lock:
            jobs = [j for j in self._jobs.values() if j.state in _UNFINISHED]
            if not self._tells_running:
                self._tells_running = any(j.future and j.future.running() for j in jobs)
            for job in jobs:
                # a call that can't be cancelled may end right now, and is then over
                if self._taken_back(job) or (running and job.state in _UNFINISHED):
                    self._enter(job, JobState.CANCELLED)
                    self._finished[job.held.rid] = Finished(
                        held=job.held, report=Report(), given_back=True
                    )
                    left += [job.future] if job.future else []
        for future in reversed(left):
            # what waits in a cluster is begun no more: the last ones first, lest one
            # begin in the place of another. Without the lock: it may be waited for by
            # the thread of the cluster that does it
            future.cancel()

    def overtime(self, limit_s: float, now: float) -> list[Held]:
        """Return rows whose work runs for longer than allowed."""
        with self._lock:
            running = self._by_state[JobState.RUNNING]
            return [j.held for j in running if now - (j.since or now) > limit_s]

    def to_renew(self, lease_s: float, now: float) -> list[Held]:
        """Return rows of whose lease a third has passed, but not all."""
        soon = now + lease_s * 2 / 3
        due = [held for held in self.held() if now < held.deadline <= soon]
        return [held for held in due if held.renew_at <= now]

    def lapsed(self, now: float) -> dict[str, JobState]:
        """Return the rows whose lease is over, and how far their work is."""
        with self._lock:
            jobs = self._jobs.items()
            return {rid: job.state for rid, job in jobs if job.held.deadline <= now}

    def first_lapse_s(self) -> float:
        """Return the seconds that the first claim has left; infinite without any."""
        first = min((held.deadline for held in self.held()), default=math.inf)
        return first - self._clocks.monotonic()

    def renewal_due_s(self, lease_s: float, now: float) -> float | None:
        """Return in how many seconds the next renewal is due, or None."""
        due = (max(h.deadline - lease_s * 2 / 3, h.renew_at) for h in self.held())
        first = min(due, default=math.inf)
        return None if first == math.inf else max(first - now, 0)

    def left_s(self, rid: str, token: str | None) -> float | None:
        """Return the seconds that a claim has left; None: nobody waits for its work."""
        with self._lock:
            job = self._jobs.get(rid)
            if job is None or job.state not in _UNFINISHED or job.held.token != token:
                return None
            return job.held.deadline - self._clocks.monotonic()

    def show_progress(self, rid: str, fraction: float, text: str) -> None:
        """Take note of how far the work of a row says that it is."""
        with self._lock:
            if rid in self._jobs:
                self._jobs[rid].progress, self._jobs[rid].doing = fraction, text

    @property
    def workers(self) -> int:
        """Jobs that run at a time."""
        return self._workers

    @workers.setter
    def workers(self, count: int) -> None:
        with self._lock:
            self._workers = count
            self._promote()

    def running(
        self, attempts: str | None, limit_s: float | None = None
    ) -> tuple[Running, ...]:
        """Return what workers are busy with, the longest first.

        ``limit_s``: how long each may take.
        """
        utc = self._clocks.utc()
        with self._lock:
            return tuple(
                Running(
                    rid=job.held.rid,
                    since=job.started_at or utc,
                    limit_at=later(job.started_at or utc, limit_s),
                    attempt=attempt_of(job.held.row, attempts),
                    row=job.show(),
                    progress=job.progress,
                    doing=job.doing,
                )
                for job in self._by_state[JobState.RUNNING]
            )

    def _done(self, job: HeldJob, future: Future[Any]) -> None:
        # what we cancel ourselves was taken back under the lock
        with self._lock:
            if job.state is JobState.CANCELLED and future.cancelled():
                return
        self._end(job, report_of(future))
        # a cluster keeps what a call gave while anybody has its future, and calls it
        # again where that is lost with a worker
        job.future = None

    def _end(self, job: HeldJob, report: Report) -> None:
        with self._lock:
            if job.state in _UNFINISHED:
                begun = job.since if job.future else None
                worked_s = 0.0 if begun is None else self._clocks.monotonic() - begun
                self._enter(job, JobState.ENDED)
                self._finished[job.held.rid] = Finished(
                    held=job.held, report=report, worked_s=worked_s
                )
            elif job.state is JobState.ABANDONED:
                self._by_state[job.state].pop(job, None)
            else:
                return
            self._promote()
            if self._is_ripe():
                self._ripe.set()
            # once is enough: short jobs end by the hundred while a write goes on
            called, self._called = self._called, True
        if not called:
            self._changed()

    def _enter(self, job: HeldJob, state: JobState) -> None:
        self._by_state[job.state].pop(job, None)
        self._by_state[state][job] = None
        job.state = state

    def _is_ripe(self) -> bool:
        return len(self._finished) * (1 if self._for_all else 2) >= len(self._jobs)

    def _promote(self) -> None:
        """Note which jobs have a worker by now: the oldest ones that wait."""
        waiting = self._by_state[JobState.WAITING]
        while waiting and self.free > 0:
            job = next(iter(waiting))
            self._enter(job, JobState.RUNNING)
            job.since, job.started_at = self._clocks.monotonic(), self._clocks.utc()

    def _taken_back(self, job: HeldJob) -> bool:
        """Cancel a call, if it is certain that nobody has begun it."""
        future = job.future
        if future is None:
            return True
        if not self._tells_running or future.done():
            return False
        # before the call: whoever hears of it finds that it was us
        before, job.state = job.state, JobState.CANCELLED
        cancelled = future.cancel()
        job.state = before
        return cancelled


#: A job that may still come to its end.
_UNFINISHED = (JobState.WAITING, JobState.RUNNING)

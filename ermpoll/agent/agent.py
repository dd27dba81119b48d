"""The agent: looks, claims, works, completes, until stopped.

A poller around a cycle, and an executor for the work. The poller's thread is the
agent's one claimer and writer; the executor's threads do the work alone.
"""

from __future__ import annotations

import importlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import replace

from ermpoll.agent import shutdown
from ermpoll.agent.context import AgentContext, default_name
from ermpoll.agent.counters import Counters
from ermpoll.agent.cycle import Cycle
from ermpoll.agent.daemon_pool import DaemonThreadPool
from ermpoll.agent.dry_run import DryRun, dry_run
from ermpoll.agent.execution import Execution
from ermpoll.agent.held_jobs import HeldJobs
from ermpoll.agent.interrupts import Interrupts
from ermpoll.agent.prefetch import Prefetch
from ermpoll.agent.spread import Spread, Spreading
from ermpoll.agent.work_calls import check_options
from ermpoll.backoff import Deadline
from ermpoll.catalog import write_permission
from ermpoll.errors import ExecutorError, Unavailable, UsageError
from ermpoll.notices.base import Notices
from ermpoll.polling import Poller
from ermpoll.polling.status import Listener
from ermpoll.queue import Queue
from ermpoll.queue.rids import rids_of
from ermpoll.queue.tokens import worker_name
from ermpoll.records import LivePanel, LookResult, Status, Transform, Work

logger = logging.getLogger(__name__)

#: Seconds that the last write of a foreground run is tried again.
LAST_S = 25.0


class Agent:
    """Do the work of a queue's rows until stopped. Nothing starts by itself.

    Parameters
    ----------
    jobs
        The queue.
    work
        From a claimed row (a dict) to the changes to write with the done state, or
        None. It may take hours and may be a coroutine function. An exception makes
        the row failed, or ready again with a back-off where the queue has an
        attempts column.
    transform
        From a candidate to extra changes to write with its claim, or None to leave
        that row alone.
    workers
        Jobs that run at a time.
    prefetch
        Rows to claim beyond those that run; None adapts to how long jobs and
        writes take.
    notices, poll_s, coalesce_s
        As for `Poller`.
    executor
        Where work is done: any ``concurrent.futures.Executor``; None for threads
        of this process. One given here is not shut down. What it fails to do, since
        it is broken, closed or out of reach, goes back and does not count as an
        attempt; nothing is claimed until it answers a trial call.
    name
        Under it the agent is listed and claims; catalog, table, ready words and
        filter by default. ``start`` stops a running agent of the same name first.
    time_limit_s
        Seconds after which a job has failed. A thread can't be ended: its worker
        is free again when the work comes back.
    spread
        Where several processes compete: ``"random"`` begins at a random one of the
        first rows, ``(k, n)`` takes only the k-th of n shards (k from 0, n up to
        16; every shard wants an agent). None keeps the queue's strict order.

    Raises
    ------
    UsageError
        ``work`` can't be called or can't travel to the executor; a number that
        can't be.
    NoticeError
        The address of the notices is none.
    """

    def __init__(
        self,
        jobs: Queue,
        work: Work,
        *,
        transform: Transform | None = None,
        workers: int = 1,
        prefetch: int | None = None,
        notices: str | Notices | None = None,
        poll_s: float = 600,
        coalesce_s: float = 0.1,
        executor: Executor | None = None,
        name: str | None = None,
        time_limit_s: float | None = None,
        spread: Spread = None,
    ) -> None:
        check_options(work, executor, workers, prefetch, time_limit_s)
        self.jobs = jobs
        self.work = work
        self.transform = transform
        self.name = name or default_name(jobs)
        self._workers = workers
        self._given = executor
        self._paused = False
        self._draining = False
        #: Give back also what still runs; stop when nothing is held any more.
        self._abandoning = False
        self._ends_itself = False
        self._until_idle = False
        self._drained = threading.Event()
        self._tally = Counters()
        self._hand = HeldJobs(workers, self._job_ended)
        self._halt = threading.Event()
        self._poller = Poller(
            self._look,
            notices=notices,
            poll_s=poll_s,
            coalesce_s=coalesce_s,
            name=self.name,
            decorate=self._decorate,
            listed_as=self,
            idle=lambda: len(self._hand) == 0,
        )
        self._execution = Execution(
            work,
            executor,
            workers,
            name=self.name,
            changed=self._job_ended,
            told=lambda news: self._poller.board.emit("state", news),
        )
        holder = f"{worker_name()} {self.name}"
        parts = AgentContext(
            jobs=jobs,
            name=holder,
            transform=transform,
            hand=self._hand,
            tally=self._tally,
            writer=jobs.writer(self._halt, holder),
            execution=self._execution,
            emit=self._poller.board.emit,
            wrote=self._poller.wrote,
            log_in=self._poller.board.log_in,
            news_at=self._news_at,
            spreading=Spreading(spread),
            time_limit_s=time_limit_s,
        )
        pace = Prefetch(
            workers=workers, lease_s=jobs.definition.lease_s, prefetch=prefetch
        )
        self._cycle = Cycle(parts, pace)

    def __repr__(self) -> str:
        status = self.status
        return (
            f"<Agent {self.name!r} {status.state}: {status.completed} completed, "
            f"{status.failed} failed, {status.held} held>"
        )

    def _repr_html_(self) -> str:
        from ermpoll import render

        return render.status(self.status)

    # seeing

    @property
    def status(self) -> Status:
        """All that it says of itself at this moment, frozen."""
        return self._poller.status

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with each Event; returns what ends that.

        It is called on the agent's thread: a slow listener delays the looks. One
        that raises is logged, no more.
        """
        return self._poller.subscribe(listener)

    def panel(self) -> LivePanel:
        """Give the live view, for a notebook."""
        # by name: the widgets lie above
        made: LivePanel = importlib.import_module("ermpoll.widgets").monitor(self)
        return made

    def dry_run(self, limit: int = 5, work: bool = False) -> DryRun:
        """Show what would be claimed and changed; nothing is written.

        Parameters
        ----------
        limit
            Rows at most.
        work
            True calls work on those rows as well. Every write to the catalog is
            refused and listed, but its effects elsewhere (files, messages) are
            real.

        Raises
        ------
        ExecutorError
            The executor did not call work.
        """
        if limit < 1:
            raise UsageError(f"limit: expected 1 or more rows, found {limit}")
        pool = self._given or DaemonThreadPool(self._workers, "ermpoll-dry")
        try:
            function = self.work if work else None
            return dry_run(self.jobs, self.transform, limit, function, pool)
        finally:
            if pool is not self._given:
                pool.shutdown()

    # running

    def start(self) -> Agent:
        """Run in the background until `stop`; twice is the same as once.

        A running agent of the same name is stopped first. It claims no more once the
        program's main thread has ended. When the interpreter ends, a job has a second
        more; then its row is given back.

        Raises
        ------
        Denied
            This login has no right to write.
        WriteRefused
            The catalog is read-only here, or a dry run is on.
        """
        self._begin()
        self._poller.start()
        return self

    def stop(self, timeout_s: float = 30, *, abandon: bool = False) -> bool:
        """Claim no more, give back what was not begun, wait for what runs, stop.

        Parameters
        ----------
        timeout_s
            Seconds to wait for running jobs.
        abandon
            True gives back the rows of jobs that still run after that: only for a
            process that is about to end.

        Returns
        -------
        bool
            True when all is written and it has stopped. False when jobs still ran:
            the status says which rows are held; it stops when they end.
        """
        if self._poller.status.state == "stopped":
            return True
        self._drain()
        drained = self._drained.wait(timeout_s)
        if not drained and abandon:
            self.abandon()
            drained = self._drained.wait(max(timeout_s, 5))
        if not drained:
            self._ends_itself = True
            logger.warning(
                "%s: %d rows are still worked on", self.name, len(self._hand)
            )
            return False
        stopped = self._poller.stop(timeout_s)
        self._end_pool()
        return stopped

    def drain(self) -> None:
        """Claim no more, give back what was not begun, stop once the rest is written.

        Does not wait, unlike `stop`.
        """
        self._ends_itself = True
        self._drain()

    def abandon(self) -> None:
        """Also give back what still runs: only for a process that is about to end.

        Does not wait, and does nothing before `drain` or `stop`.
        """
        self._abandoning = True
        self._poller.wake("manual")

    def pause(self) -> None:
        """Claim no more until `resume`; what is held is finished."""
        self._paused = True
        self._poller.wake("more")

    def resume(self) -> None:
        """Claim again."""
        self._paused = False
        self._cycle.forget()
        self._poller.wake("manual")

    def look_now(self) -> None:
        """Ask for a look at once."""
        self._poller.look_now()

    def run(self, until_idle: bool = False) -> None:
        """Run in the foreground until stopped; an interrupt finishes what runs.

        Parameters
        ----------
        until_idle
            Also ends when there is nothing left to take and all is written.

        Raises
        ------
        ExecutorError
            With ``until_idle``: the executor failed again and again. What it had
            went back.
        """
        self._begin()
        self._until_idle = until_idle
        with Interrupts() as asked, self._given_back_on_exit():
            self._poller.run(stop=asked, until_idle=until_idle)
            self._finish_here(asked)
        if until_idle and not asked.is_set():
            self._check_executor()

    def run_once(self, rows: object = None) -> int:
        """Claim once, do the work, write it, all in the foreground.

        Parameters
        ----------
        rows
            Claim these, as far as they are candidates, instead of the first ones.

        Returns
        -------
        int
            Rows that were completed or have failed.

        Raises
        ------
        UsageError
            The agent is running.
        ExecutorError
            The executor failed; the rows that it did not do went back.
        """
        if self._poller.status.state != "stopped":
            raise UsageError(f"{self.name} is running: stop() it first")
        self._begin()
        before = self._tally["completed"] + self._tally["failed"]
        rids = rids_of(rows) if rows is not None else None
        if not self._execution.wait_until_ready():
            self._execution.end(wait_for_work=True)
            self._check_executor()
        with Interrupts() as asked, self._given_back_on_exit():
            try:
                with write_permission.real():
                    self._cycle.look(rids=rids)
            except Exception:
                self._finish_here(asked)
                raise
            self._finish_here(asked)
        self._check_executor()
        return self._tally["completed"] + self._tally["failed"] - before

    def __enter__(self) -> Agent:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # what the poller's thread does

    def _look(self) -> LookResult:
        # a dry run that begins beside a running agent does not hinder it
        with write_permission.real():
            if self._draining:
                return self._last_look()
            looked = self._cycle.look(
                claiming=not self._paused,
                conditional=self._poller.because in ("notice", "timer"),
            )
        if self._until_idle and self._execution.hopeless:
            self._poller.stop()
        return looked

    def _last_look(self) -> LookResult:
        try:
            self._give_back()
            return self._cycle.look(claiming=False)
        finally:
            # also where the catalog does not answer: nothing is left to be written
            if not self._hand:
                self._drained.set()
                if self._ends_itself:
                    self._poller.stop()
                    self._end_pool()

    def _give_back(self) -> None:
        held = self._hand.cancel(running=self._abandoning)
        if held:
            self._cycle.give_back(held)

    def _news_at(self) -> float:
        """When the news came that made it look: an answer since then will do."""
        noticed_at = self._poller.board.noticed_at
        if self._poller.because == "notice" and noticed_at is not None:
            return noticed_at
        return time.monotonic()

    def _job_ended(self) -> None:
        self._poller.wake("more")

    def _decorate(self, status: Status) -> Status:
        status = self._tally.fill(status, self._hand, self.jobs.definition.attempts)
        status = replace(status, workers=self._workers)
        if status.state == "stopped":
            return status
        if self._draining:
            reason = f"{status.held} rows are still worked on" if status.held else ""
            return replace(status, state="stopping", reason=reason)
        trouble = self._execution.reason
        if self._paused:
            return replace(status, state="paused", reason=trouble)
        if trouble and status.state != "backing off":
            return replace(status, state="backing off", reason=trouble)
        if status.state in ("waiting", "looking") and status.held:
            return replace(status, state="working")
        return status

    # beginning and ending

    def _begin(self) -> None:
        self.jobs.check_right()
        self.jobs.catalog.check_permit(f"run {self.name}")
        self._draining = self._abandoning = self._ends_itself = self._paused = False
        self._until_idle = False
        self._drained.clear()
        self._halt.clear()
        self._execution.begin()
        shutdown.watch(self)

    def _check_executor(self) -> None:
        if self._execution.reason:
            raise ExecutorError(f"{self.name}: {self._execution.reason}")

    def _drain(self) -> None:
        self._draining = True
        self._hand.hurry()
        # a back-off is not waited out: who stops an agent is a person
        self._poller.wake("manual")

    def _finish_here(self, asked: Interrupts) -> None:
        """Write what is finished, on the caller's thread, until nothing is held.

        The first interrupt gives back what was not begun, the second what runs.
        """
        try:
            with write_permission.real():
                while self._hand:
                    if asked.count:
                        back = self._hand.cancel(running=asked.count > 1)
                        self._cycle.give_back(back)
                    self._write_what_ended()
        finally:
            self._end_pool()
        if asked.count > 1:
            raise KeyboardInterrupt

    @contextmanager
    def _given_back_on_exit(self) -> Iterator[None]:
        """Give back what is held where a SystemExit leaves a run in the foreground.

        A signal handler of the user's may raise one at any line.
        """
        try:
            yield
        except Exception:
            raise
        except BaseException:
            with write_permission.real():
                self._cycle.give_back(self._hand.cancel(running=True))
            self._execution.end(wait_for_work=False)
            raise

    def _write_what_ended(self) -> None:
        deadline = Deadline(LAST_S, stop=self._halt)
        while True:
            self._hand.gather(0.2)
            try:
                self._cycle.look(claiming=False)
                return
            except Unavailable:
                if not deadline.wait():
                    raise

    def _end_pool(self) -> None:
        self._execution.end(wait_for_work=not self._hand.stuck)

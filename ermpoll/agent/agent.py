"""The agent: looks, claims, works, completes, until stopped.

A poller around a cycle, and an executor for the work. The poller's thread is the
agent's one claimer and writer; the executor's threads do the work alone. How it runs
and ends is `shutdown`'s.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from secrets import token_hex
from typing import Literal

from ermpoll import audit
from ermpoll.agent.context import AgentContext, Counters, default_name
from ermpoll.agent.current import Desk, open_desk
from ermpoll.agent.cycle import Cycle
from ermpoll.agent.dispatcher import Dispatcher
from ermpoll.agent.dry_run import DryRun, dry_run
from ermpoll.agent.execution import check_options, longest_retry_s
from ermpoll.agent.executor.daemon_pool import DaemonThreadPool
from ermpoll.agent.held_jobs import HeldJobs
from ermpoll.agent.memory.attempts import FailedAttempt
from ermpoll.agent.memory.metrics import Metrics
from ermpoll.agent.prefetch import Prefetch
from ermpoll.agent.sharing.spread import Spread
from ermpoll.agent.shutdown import (
    ENDING,
    NO_WAIT,
    Lifecycle,
    Patience,
    Phase,
    Until,
    patience_of,
    still_worked_on,
)
from ermpoll.arguments import whole
from ermpoll.backoff import REAL, Clocks, later
from ermpoll.errors import ExecutorError, UsageError
from ermpoll.notices.base import Notices
from ermpoll.polling import Poller
from ermpoll.polling.status import Listener
from ermpoll.queue import Queue
from ermpoll.queue.edits import check_on_edit
from ermpoll.queue.queue import checked_queue
from ermpoll.queue.rids import rids_of
from ermpoll.queue.tokens import worker_name
from ermpoll.records import (
    LivePanel,
    OnEdit,
    RunSummary,
    Status,
    Transform,
    Work,
    doubted,
)
from ermpoll.redact import hidden, printable
from ermpoll.shown import Shown


class Agent(Shown):
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
    notices
        As for `Poller`.
    poll_s
        As for `Poller`, in seconds.
    coalesce_s
        As for `Poller`, in seconds.
    executor
        Where work is done: any ``concurrent.futures.Executor``; None for threads
        of this process. One given here is not shut down. What it fails to do, since
        it is broken, closed or out of reach, goes back and does not count as an
        attempt; nothing is claimed until it answers a trial call. One that does not
        tell what it has begun (dask's) is asked by such a call before it gets more.
    name
        Under it the agent is listed and claims; catalog, table, ready words and
        filter by default. ``start`` stops a running agent of the same name first.
    on_edit
        What becomes of a column that a person edited while the work went on: "keep"
        the edit (event and log name it), "overwrite" it, or "fail" the row; see
        `Queue.complete`.
    time_limit_s
        Seconds after which a job has failed. A thread can't be ended: its worker
        is free again when the work comes back.
    spread
        Where several processes compete: ``"random"`` begins at a random one of the
        first rows, ``(k, n)`` takes only the k-th of n shards (k from 0, n up to
        16; every shard wants an agent), and writes in the k-th of n slots of time
        while others write. None keeps the queue's strict order, as long as nobody
        else writes much.
    clocks
        Time, chance and waiting, for tests.

    Raises
    ------
    UsageError
        ``jobs`` is no queue; ``work`` can't be called or can't travel to the
        executor; a number that can't be.
    NoticeError
        The address of the notices is none.

    Notes
    -----
    Each call of a coroutine function has an event loop of its own: what belongs to
    a loop can't be shared between calls. A child of ``os.fork()`` has no agent, and
    rows that were claimed stay the parent's.

    Calls block: in a coroutine, use ``await asyncio.to_thread(agent.stop)``. What it
    writes it writes with the queue's login, on one thread, whatever thread or process
    did the work. A queue on a snapshot can't be worked on: `start` refuses.

    Examples
    --------
    >>> def work(row):
    ...     if not row["Bytes"]:
    ...         raise ValueError("empty file")
    ...     return {"Priority": 1}
    >>> agent = ermpoll.Agent(jobs, work, workers=2, notices=box.amqp_url)
    >>> leave = agent.subscribe(lambda event: None)
    >>> len(agent.dry_run(3).plan.changes)
    3
    >>> agent.run_once(rows=jobs.candidates(2))
    2
    >>> summary = agent.run(until_idle=True)
    >>> agent.summary == summary, summary.failed
    (True, 0)

    In the background:

    >>> agent.start()
    <Agent ...>
    >>> agent.pause(), agent.resume(), agent.look_now()
    (None, None, None)
    >>> agent.workers = 3
    >>> agent.stop()
    True
    >>> agent.status.state, agent.status.workers
    ('stopped', 3)
    >>> agent.attempts("S6")  # none of it failed here
    ()
    >>> panel, metrics = agent.panel(), agent.metrics
    >>> panel.close(), leave()
    (None, None)
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
        on_edit: OnEdit = "keep",
        time_limit_s: float | None = None,
        spread: Spread = None,
        clocks: Clocks = REAL,
    ) -> None:
        check_options(work, executor, workers, prefetch, time_limit_s)
        check_on_edit(on_edit)
        self.jobs = checked_queue(jobs)
        self.work = work
        self.transform = transform
        self.name = printable(name or default_name(jobs))
        notices = hidden(notices)
        self._given = executor
        self._time_limit_s = time_limit_s
        self._clocks = clocks
        self._life: Lifecycle
        self._counters = Counters(clocks)
        #: The counts before the last run in the foreground.
        self._before = self._counters.of_now()
        changed = lambda: self._life.wake("more")  # noqa: E731
        self._held = HeldJobs(workers, changed, clocks)
        self._poller = Poller(
            lambda: self._life.look(),
            notices=notices,
            poll_s=poll_s,
            coalesce_s=coalesce_s,
            name=self.name,
            decorate=self._decorate,
            listed_as=self,
            left_s=self._held.first_lapse_s,
            clocks=clocks,
        )
        self._desk = open_desk(
            Desk(
                name=token_hex(8),
                url=jobs.catalog.url,
                definition=jobs.definition,
                left_s=self._held.left_s,
                show=self._held.show_progress,
                read=jobs.catalog.rows,
            )
        )
        self._dispatcher = Dispatcher(
            work,
            executor,
            workers,
            name=self.name,
            ticket=self._desk.ticket,
            changed=changed,
            told=lambda news: self._poller.board.emit("state", news),
            clocks=clocks,
        )
        halt = threading.Event()
        holder = f"{worker_name(jobs.definition.worker)} {self.name}"
        context = AgentContext(
            jobs=jobs,
            name=holder,
            transform=transform,
            held=self._held,
            counters=self._counters,
            writer=jobs.writer(halt, holder, clocks),
            dispatcher=self._dispatcher,
            tell=self._poller.board.tell,
            wrote=self._poller.wrote,
            log_in=self._poller.board.log_in,
            news_at=lambda: self._life.news_at(),
            time_limit_s=time_limit_s,
            on_edit=on_edit,
            clocks=clocks,
        )
        ahead = Prefetch(
            workers=workers, lease_s=jobs.definition.lease_s, prefetch=prefetch
        )
        self._attempts = context.attempts
        self._cycle = Cycle(context, ahead, spread)
        self._life = Lifecycle(
            self._poller, self._cycle, self._held, self._dispatcher, halt, clocks
        )

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

    @property
    def workers(self) -> int:
        """Jobs that run at a time; may be set at any time, also while it runs.

        With fewer, what runs ends first. With an ``executor`` of your own it is how
        many workers that is taken to have.
        """
        return self._held.workers

    @workers.setter
    def workers(self, count: int) -> None:
        self._held.workers = whole("workers", count)
        audit.record("workers", self.name, came=f"{count}")
        self.look_now()

    @property
    def metrics(self) -> Metrics:
        """Its life so far in numbers and drawings: how much, how fast, how long.

        Bounded memory, and no request: rows per state are those that `Queue.counts`
        or an open panel has counted. Times are of what this agent claimed and did.
        """
        return self._counters.metrics(self.name, self.jobs, len(self._held))

    def attempts(self, rid: str) -> tuple[FailedAttempt, ...]:
        """Tell how the work of a row failed here, the oldest attempt first.

        With tracebacks. Of the newest 500 rows that failed, five attempts each; in
        memory, so nothing of before this process, or of other agents.
        """
        return self._attempts.of(rid)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with each Event; returns what ends that.

        It is called on the agent's thread: a slow listener delays the looks. One
        that raises is logged, no more; one that exits (SystemExit) ends the agent,
        which gives back what it holds.
        """
        return self._poller.subscribe(self._life.guarded(listener))

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
        limit = whole("limit", limit, "rows")
        pool = self._given or DaemonThreadPool(self.workers, "ermpoll-dry")
        try:
            function = self.work if work else None
            ticket = partial(self._desk.ticket, dry=True)
            return dry_run(self.jobs, self.transform, limit, function, pool, ticket)
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
        self._check()
        self._life.begin(self._poller)
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
            the status says which rows are held; it stops when they end. False at
            once where it is called from a listener, a transform or the work of a
            row: it stops after that.
        """
        return self._life.stop(timeout_s, abandon)

    def pause(self) -> None:
        """Claim no more until `resume`; what is held is finished."""
        self._life.pause(True)

    def resume(self) -> None:
        """Claim again."""
        self._cycle.forget()
        self._life.pause(False)

    def look_now(self) -> None:
        """Ask for a look at once."""
        self._poller.look_now()

    def run(
        self,
        until_idle: bool = False,
        *,
        wait_s: float | None = None,
        wait_for: Literal["mine", "all"] = "mine",
        stop_timeout_s: float | None = None,
    ) -> RunSummary:
        """Run in the foreground until stopped; an interrupt finishes what runs.

        A second one gives back what runs, a third gives up what can't be given back
        now: its claims end with their leases. So it does by itself where there is
        nothing left but to write, and the catalog stays away.

        Parameters
        ----------
        until_idle
            Also ends when there is nothing left to take, all is written, and no row
            of this queue becomes due within ``wait_s``.
        wait_s
            Seconds; None for the longest wait of a retry that ``max_attempts``
            gives, 60 at most. The summary says what is due later.
        wait_for
            "all" waits also for the claims of others, as long as they last; rows
            that they give back, or don't finish within their lease, are done then.
        stop_timeout_s
            Seconds that running jobs have after an interrupt; then they are given
            back. None: as long as they take.

        Returns
        -------
        RunSummary
            What was done, what is left, and when it is due.

        Raises
        ------
        UsageError
            The agent is running, or an option can't be.
        ExecutorError
            With ``until_idle``: the executor failed again and again. What it had
            went back.
        """
        until = Until.IDLE if until_idle else Until.STOPPED
        longest_s = longest_retry_s(self.jobs.definition)
        patience = patience_of(wait_s, wait_for, longest_s)
        interrupts = self._run(self._poller, until, None, stop_timeout_s, patience)
        if until_idle and not interrupts:
            self._check_executor()
        return self.summary

    def run_once(
        self, rows: object = None, *, stop_timeout_s: float | None = None
    ) -> int:
        """Claim once, do the work, write it, all in the foreground.

        Parameters
        ----------
        rows
            Claim these, as far as they are candidates, instead of the first ones.
        stop_timeout_s
            As for `run`.

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
        rids = rids_of(rows) if rows is not None else None
        before = self._counters.finished
        # one of its own: it is not listed, and stops no other agent of this name
        driver = Poller(lambda: self._life.look())
        self._run(driver, Until.ONCE, rids, stop_timeout_s)
        self._check_executor()
        return self._counters.finished - before

    def _run(
        self,
        driver: Poller,
        until: Until,
        rids: tuple[str, ...] | None,
        stop_timeout_s: float | None,
        patience: Patience = NO_WAIT,
    ) -> int:
        if self._life.is_running:
            raise UsageError(f"{self.name} is running: stop() it first")
        self._check()
        self._dispatcher.begin()
        if until is Until.ONCE and not self._dispatcher.wait_until_ready():
            self._dispatcher.end(wait_for_work=True)
            self._check_executor()
        self._before = self._counters.of_now()
        begin = partial(self._life.begin, driver, until, rids, patience)
        interrupts = self._life.run_here(begin, stop_timeout_s)
        if interrupts > 1:
            raise KeyboardInterrupt
        return interrupts

    @property
    def summary(self) -> RunSummary:
        """What the last run in the foreground came to, or comes to so far."""
        counts = self._counters.of_now() - self._before
        left, now = self._cycle.left(), self._clocks.utc()
        return RunSummary(
            name=self.name,
            done=counts["completed"],
            failed=counts["failed"],
            retried=counts["retried"],
            refused=len(self.jobs.rights.set_aside),
            doubtful=len(self._cycle.doubts),
            lost=counts["lost"],
            held=len(self._held),
            running=self._held.busy + self._held.stuck,
            more=left.unread,
            due_at=later(now, left.retry_s),
            others_until=later(now, left.lease_s),
        )

    def __enter__(self) -> Agent:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _decorate(self, status: Status) -> Status:
        attempts = self.jobs.definition.attempts
        running = self._held.running(attempts, self._time_limit_s)
        status = replace(
            self._counters.fill(status),
            workers=self.workers,
            running=running,
            held=len(self._held),
            refused=len(self.jobs.rights.set_aside),
            doubts=self._cycle.doubts,
        )
        if status.state == "stopped":
            return status
        if self._life.phase in ENDING:
            reason = still_worked_on(status.held) if status.held else ""
            return replace(status, state="stopping", reason=reason)
        trouble = self._dispatcher.reason
        if self._life.phase is Phase.PAUSED:
            return replace(status, state="paused", reason=trouble)
        if trouble and status.state != "backing off":
            return replace(status, state="backing off", reason=trouble)
        if not status.reason and status.state in ("waiting", "looking"):
            refused = self.jobs.rights.summary()
            doubts = doubted(len(status.doubts)) if status.doubts else ""
            told = "; ".join(text for text in (refused, doubts) if text)
            status = replace(status, reason=told)
        if status.state in ("waiting", "looking") and status.held:
            return replace(status, state="working")
        return status

    def _check(self) -> None:
        self.jobs.check_right()
        self.jobs.catalog.check_permit(f"run {self.name}")

    def _check_executor(self) -> None:
        if self._dispatcher.reason:
            raise ExecutorError(f"{self.name}: {self._dispatcher.reason}")

"""Handing work to an agent's executor, and whether that can be relied on.

An executor that is broken, closed or far away is no fault of a row: what it did
not do goes back, and it gets no more until a trial call is answered.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
from collections.abc import Callable
from concurrent.futures import (
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from dataclasses import replace
from typing import Any

from ermpoll.agent import execution
from ermpoll.agent.breaker import TRIAL_LIMIT_S, Breaker, Circuit
from ermpoll.agent.current import Ticket
from ermpoll.agent.daemon_pool import DaemonThreadPool
from ermpoll.agent.held_jobs import Finished
from ermpoll.backoff import REAL, Clocks, backoff_s
from ermpoll.records import Row, Work
from ermpoll.redact import one_line

logger = logging.getLogger(__name__)

#: So many faults in a row, and a run that is to end by itself does.
PATIENCE = 3
#: A row that was at work at more than one fault may be what ends the workers: once
#: the executor works again, others go before it for so many seconds, doubling. Then
#: it is the only such one, or it would take an innocent one down with it for ever.
PASS_OVER_FIRST_S, PASS_OVER_LONGEST_S = 10.0, 3600.0


class Dispatcher:
    """Hands the work of one agent to its executor. Only the claimer may call it.

    Parameters
    ----------
    work
        What is called with each row.
    given
        The user's executor, which is never shut down; None for own threads.
    count
        Own threads at most.
    changed
        Called, from any thread, when a trial was answered.
    name
        The agent's, for the log, and for work that asks whose it is.
    told
        Called with what is new about the executor, in words.
    """

    def __init__(
        self,
        work: Work,
        given: Executor | None,
        count: int,
        *,
        name: str,
        ticket: Callable[[Row], Ticket | None] = lambda row: None,
        changed: Callable[[], None],
        told: Callable[[str], None],
        clocks: Clocks = REAL,
    ) -> None:
        self._work = work
        self._given = given
        self._count = count
        self._name = name
        self._ticket = ticket
        self._changed = changed
        self._told = told
        self._clocks = clocks
        self._own: DaemonThreadPool | None = None
        self._breaker = Breaker()
        self._trial: Future[Any] | None = None
        self._trial_over = threading.Event()
        self._trials = itertools.count(1)
        #: Rows that were at work at a fault: how often, and until when to pass over.
        self._suspects: dict[str, tuple[int, float]] = {}

    @property
    def reason(self) -> str:
        """Why it gets no work, and what to do; "" while it does."""
        if self._breaker.circuit is Circuit.CLOSED:
            return ""
        return (
            f"the executor does no work ({self._breaker.reason}): nothing is claimed,"
            " what it had went back; it is tried again by itself. If it is closed or"
            " broken for good, start an agent with a new executor"
        )

    @property
    def hopeless(self) -> bool:
        """Whether it has failed so often that nobody should wait for it."""
        return bool(self.reason) and self._breaker.faults >= PATIENCE

    def begin(self) -> None:
        """Be ready to take work."""
        # who begins anew does not wait for the end of an old back-off
        self._breaker = replace(self._breaker, at=self._clocks.monotonic())

    def end(self, *, wait_for_work: bool) -> None:
        """Let go of own threads."""
        self._drop_trial()
        pool, self._own = self._own, None
        if pool is not None:
            pool.shutdown(wait=wait_for_work)

    @property
    def tells_running(self) -> bool:
        """Whether its futures are known to say that a call has begun."""
        kinds = (ThreadPoolExecutor, ProcessPoolExecutor)
        return self._given is None or isinstance(self._given, kinds)

    def submit(self, row: dict[str, Any]) -> Future[Any]:
        """Have the work of a row done.

        Raises
        ------
        Exception
            Whatever the executor raises when it takes no work.
        """
        call = (self._work, row, execution.here(), self._name, self._ticket(row))
        return self._pool().submit(execution.do, *call)

    def learn(self, one: Finished) -> None:
        """Take note of what came back for a row: it tells of the executor as well."""
        if one.report.fault:
            self._failed(one.report.fault)
            self._suspect(one)
        else:
            self._breaker = self._breaker.worked()
            self._suspects.pop(one.held.rid, None)

    def ready(self) -> bool:
        """Whether to claim; begins a trial, or judges it, when it is time to."""
        now = self._clocks.monotonic()
        if self._breaker.circuit is Circuit.OPEN and now >= self._breaker.at:
            self._try(now)
        if self._breaker.circuit is Circuit.TRYING:
            self._judge(now)
        return self._breaker.circuit is Circuit.CLOSED

    def wait_until_ready(self) -> bool:
        """Whether to claim; waits for the answer of a trial where one is needed."""
        if not self.ready() and self._trial is not None:
            self._clocks.wait(self._trial_over, TRIAL_LIMIT_S)
        return self.ready()

    def is_suspect(self, rid: str) -> bool:
        """Whether a row was at work at more than one fault."""
        return self._suspects.get(rid, (0, 0.0))[0] > 1

    def passes_over(self, rid: str) -> bool:
        """Whether a candidate is to wait, and let others go before it."""
        return self._suspects.get(rid, (0, 0.0))[1] > self._clocks.monotonic()

    def due_s(self) -> float | None:
        """Return the seconds until there is something to do here, or None."""
        now = self._clocks.monotonic()
        waits = [until - now for _, until in self._suspects.values() if until > now]
        trial_s = self._breaker.due_s(now)
        return min([*waits, *([] if trial_s is None else [trial_s])], default=None)

    def _pool(self) -> Executor:
        if self._given is not None:
            return self._given
        if self._own is None:
            self._own = DaemonThreadPool(self._count, "ermpoll-work")
        return self._own

    def _failed(self, reason: str) -> None:
        before = self._breaker
        self._breaker = before.failed(
            self._clocks.monotonic(), self._clocks.random(), reason
        )
        if self._breaker is not before:
            self._drop_trial()
        if before.circuit is Circuit.CLOSED:
            told = {"event": "executor failed"}
            logger.warning("%s: %s", self._name, self.reason, extra=told)
            self._told(self.reason)

    def _suspect(self, one: Finished) -> None:
        if not one.worked_s:
            return
        now = self._clocks.monotonic()
        self._suspects = {
            rid: (times, until)
            for rid, (times, until) in self._suspects.items()
            if until + PASS_OVER_LONGEST_S > now
        }
        times = self._suspects.get(one.held.rid, (0, 0.0))[0] + 1
        self._suspects[one.held.rid] = (times, now)

    def _answered(self, now: float) -> None:
        self._trial = None
        self._breaker = self._breaker.answered()
        for rid, (times, until) in self._suspects.items():
            if times > 1:
                first, longest = PASS_OVER_FIRST_S, PASS_OVER_LONGEST_S
                wait_s = backoff_s(times - 1, first, longest)
                self._suspects[rid] = (times, max(until, now + wait_s))
        told = {"event": "executor works"}
        logger.info("%s: the executor works again", self._name, extra=told)
        self._told("the executor works again")

    def _try(self, now: float) -> None:
        self._breaker = self._breaker.trying(now)
        try:
            self._trial_over.clear()
            self._trial = self._pool().submit(execution.here, next(self._trials))
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - anybody's
            self._failed(one_line(error))
            return
        self._trial.add_done_callback(self._end_trial)

    def _end_trial(self, _: Future[Any]) -> None:
        self._trial_over.set()
        self._changed()

    def _judge(self, now: float) -> None:
        trial = self._trial
        if trial is not None and trial.done():
            error = execution.fault_of(trial)
            if error:
                self._failed(error)
                return
            self._answered(now)
        elif now >= self._breaker.at:
            self._failed(f"no answer within {TRIAL_LIMIT_S:g} s")

    def _drop_trial(self) -> None:
        trial, self._trial = self._trial, None
        if trial is not None:
            trial.cancel()

"""Handing work to an agent's executor, and whether that can be relied on.

An executor that is broken, closed or far away is no fault of a row: what it did
not do goes back, and it gets no more until a trial call is answered.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import threading
from collections.abc import Callable
from concurrent.futures import (
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from typing import Any

from ermpoll.agent import execution
from ermpoll.agent.current import Ticket
from ermpoll.agent.executor.breaker import TRIAL_LIMIT_S, Breaker, Circuit
from ermpoll.agent.executor.daemon_pool import DaemonThreadPool
from ermpoll.agent.held_jobs import Finished
from ermpoll.backoff import REAL, Clocks, at_once, backoff_s
from ermpoll.records import Row, Work
from ermpoll.redact import one_line

logger = logging.getLogger(__name__)

#: So many faults in a row, and a run that is to end by itself does.
PATIENCE = 3
#: An executor that does not tell what it has begun is asked before it gets more, if
#: nothing was heard of it for so many seconds.
HEARD_S = 10.0
#: A look waits for that answer for so many seconds, or it would find rows in vain
#: wherever workers are there.
ANSWER_S = 0.1
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
        self._helpers: DaemonThreadPool | None = None
        self._breaker = Breaker()
        self._trial: Future[Any] | None = None
        self._trial_over = threading.Event()
        self._trials = itertools.count(1)
        #: When it last did something.
        self._heard_at = -math.inf
        #: Rows that were at work at a fault: how often, and until when to pass over.
        self._suspects: dict[str, tuple[int, float]] = {}

    @property
    def reason(self) -> str:
        """Why it gets no work, and what to do; "" while it does."""
        silent_s = self._breaker.silent_s(self._clocks.monotonic())
        silence = f"no answer for {silent_s:.0f} s" if silent_s else ""
        if fault := self._breaker.reason:
            why = "; ".join(filter(None, (fault, silence)))
            return (
                f"the executor does no work ({why}): nothing is claimed,"
                " what it had went back; it is tried again by itself. If it is closed"
                " or broken for good, start an agent with a new executor"
            )
        if silence:
            return (
                f"the executor begins no work ({silence}): it has no worker, or none"
                " that is free. Nothing more is claimed until it answers"
            )
        return ""

    @property
    def hopeless(self) -> bool:
        """Whether it has failed so often that nobody should wait for it."""
        return bool(self.reason) and self._breaker.faults >= PATIENCE

    def begin(self) -> None:
        """Be ready to take work."""
        self._breaker = self._breaker.anew(self._clocks.monotonic())

    def end(self, *, wait_for_work: bool) -> None:
        """Let go of own threads."""
        self._drop_trial()
        helpers, self._helpers = self._helpers, None
        if helpers is not None:
            helpers.shutdown(wait=False)
        pool, self._own = self._own, None
        if pool is not None:
            pool.shutdown(wait=wait_for_work)

    def beside(self, call: Callable[[], Any]) -> Future[Any]:
        """Call a function that is none of the work while the claimer waits."""
        if self._clocks.beside is not None:
            return self._clocks.beside(call)
        if self._helpers is None:
            self._helpers = DaemonThreadPool(2, "ermpoll-beside")
        try:
            return self._helpers.submit(call)
        except RuntimeError:
            # there are no more threads
            return at_once(call)

    def resize(self, count: int) -> None:
        """Have so many own threads at most from now on."""
        self._count = count
        if self._own is not None:
            self._own.resize(count)

    @property
    def is_own(self) -> bool:
        """Whether the work is done by own threads."""
        return self._given is None

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
            self._heard_at = self._clocks.monotonic()
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

    def asks_first(self, *, free: bool) -> bool:
        """Whether a claim is to wait for a trial, which is not answered soon.

        An executor that does not tell what it has begun may have no worker: what it
        got would be held and renewed for ever. With none ``free`` it has some.
        """
        now = self._clocks.monotonic()
        if self.tells_running or not free or now - self._heard_at < HEARD_S:
            return False
        self._try(now)
        self._clocks.wait(self._trial_over, ANSWER_S)
        return not self.ready()

    def wait_until_ready(self) -> bool:
        """Whether to claim; waits for the answer of a trial where one is needed."""
        if not self.ready() and self._trial is not None:
            self._clocks.wait(self._trial_over, TRIAL_LIMIT_S)
        # who waits here for one claim waits for its work as well, however long
        self._heard_at = self._clocks.monotonic()
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
        if not before.reason:
            self._tell_trouble("executor failed")

    def _tell_trouble(self, event: str) -> None:
        logger.warning("%s: %s", self._name, self.reason, extra={"event": event})
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
        troubled = self.reason
        self._trial, self._heard_at = None, now
        self._breaker = self._breaker.answered()
        if not troubled:
            return
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
        before = self._trial
        try:
            self._trial_over.clear()
            self._trial = self._pool().submit(execution.here, next(self._trials))
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - anybody's
            self._failed(one_line(error))
            return
        self._trial.add_done_callback(self._end_trial)
        if before is not None:
            # only now: a cluster that nobody asks for anything starts no worker
            before.cancel()

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
            told = self._breaker.at - self._breaker.asked_at > TRIAL_LIMIT_S
            self._try(now)
            if not told and not self._breaker.reason:
                self._tell_trouble("executor silent")

    def _drop_trial(self) -> None:
        trial, self._trial = self._trial, None
        if trial is not None:
            trial.cancel()

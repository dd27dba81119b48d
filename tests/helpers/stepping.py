"""An agent's engine in virtual time, with an executor that is stepped by hand."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import ermpoll
from ermpoll.agent.context import AgentContext, Counters
from ermpoll.agent.cycle import Cycle
from ermpoll.agent.dispatcher import Dispatcher
from ermpoll.agent.held_jobs import HeldJobs
from ermpoll.agent.prefetch import Prefetch
from ermpoll.backoff import Clocks, at_once
from ermpoll.records import Work

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


class VirtualTime:
    """Time that passes only when somebody waits or lets it."""

    def __init__(self, begun: float | None = None) -> None:
        # what is not under test counts in this machine's time
        self.begun = self.now = time.monotonic() if begun is None else begun
        self.clocks = Clocks(
            monotonic=lambda: self.now,
            random=lambda: 0.5,
            wait=self._wait,
            beside=at_once,
            utc=lambda: BEGUN + timedelta(seconds=self.passed_s),
        )

    @property
    def passed_s(self) -> float:
        return self.now - self.begun

    def pass_(self, seconds: float) -> None:
        self.now += seconds

    def _wait(self, event: threading.Event, seconds: float) -> bool:
        if not event.is_set():
            self.now += seconds
        return event.is_set()


class SteppedExecutor(Executor):
    """Does a call when it is told to, on the thread that tells it."""

    def __init__(self) -> None:
        self.calls: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        #: What it raises instead of taking calls, or None.
        self.fault: Exception | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kw: Any) -> Future[Any]:
        if self.fault is not None:
            raise self.fault
        future: Future[Any] = Future()
        self.calls.append((future, partial(fn, *args, **kw)))
        return future

    def begin(self) -> None:
        """Begin the oldest call that was not begun."""
        for future, _ in self.calls:
            if not future.running() and future.set_running_or_notify_cancel():
                return

    def fail(self, error: Exception) -> None:
        """Break at whatever it was handed."""
        calls, self.calls = self.calls, deque()
        for future, _ in calls:
            future.set_exception(error)

    def step(self) -> None:
        """Do the oldest call."""
        future, call = self.calls.popleft()
        if future.running() or future.set_running_or_notify_cancel():
            future.set_result(call())


@dataclass
class Engine:
    """The parts of an agent, without its threads."""

    jobs: ermpoll.Queue
    work: Work
    workers: int = 1
    prefetch: int | None = None
    time: VirtualTime = field(default_factory=VirtualTime)
    executor: SteppedExecutor = field(default_factory=SteppedExecutor)
    events: list[tuple[str, str, str | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        clocks = self.time.clocks
        self.held = HeldJobs(self.workers, lambda: None, clocks)
        self.counters = Counters(clocks)
        self.dispatcher = Dispatcher(
            self.work,
            self.executor,
            self.workers,
            name="engine",
            changed=lambda: None,
            told=lambda news: self.events.append(("state", news, None)),
            clocks=clocks,
        )
        # as where an agent runs once: it waits for whatever it is stepped to
        self.dispatcher.wait_until_ready()
        context = AgentContext(
            jobs=self.jobs,
            name="engine",
            transform=None,
            held=self.held,
            counters=self.counters,
            writer=self.jobs.writer(clocks=clocks),
            dispatcher=self.dispatcher,
            tell=self.events.extend,
            wrote=lambda: None,
            log_in=lambda *_: None,
            news_at=clocks.monotonic,
            clocks=clocks,
        )
        lease_s = self.jobs.definition.lease_s
        ahead = Prefetch(workers=self.workers, lease_s=lease_s, prefetch=self.prefetch)
        self.cycle = Cycle(context, ahead)

    @property
    def status(self) -> ermpoll.records.Status:
        return self.counters.fill(ermpoll.records.Status(name="engine"))

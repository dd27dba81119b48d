"""Agents, people and a catalog in one virtual time, on one thread.

The agents, the HTTP door and the sandbox are the real ones. Time passes with each
request and each wait; whoever is due meanwhile (a person, a job that ends) acts then.
"""

from __future__ import annotations

import heapq
import itertools
import json
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from datetime import timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

import ermpoll
from ermpoll.agent.shutdown import Phase
from ermpoll.catalog.clock import ServerClock
from ermpoll.sandbox.http.messages import Request
from ermpoll.sandbox.http.routes import Service
from ermpoll.sandbox.model.identifiers import Clock
from ermpoll.sandbox.store.store import Store
from tests.end_to_end.chaos.ledger import Worked, digest
from tests.end_to_end.chaos.place import Named, build
from tests.end_to_end.chaos.table import QUEUE, TABLE
from tests.helpers.memory_wire import as_bytes, served
from tests.helpers.stepping import BEGUN, VirtualTime

#: Seconds that a request takes.
REQUEST_S = 0.01
#: Looks without time passing, and an agent turns in circles.
CIRCLE = 200
_names = itertools.count(1)

Row = Mapping[str, Any]


class Wedged(AssertionError):
    """An agent looks and looks, and time does not pass; or nothing is due any more."""


class VirtualClock(Clock):
    """The catalog's clock in virtual time."""

    def __init__(self, time: VirtualTime) -> None:
        super().__init__()
        self._time = time

    def tick(self) -> int:
        passed = timedelta(seconds=self._time.passed_s)
        now = int((BEGUN + passed).timestamp() * 1_000_000)
        self.last = max(now, self.last + 1)
        return self.last


class VirtualExecutor(Executor):
    """Runs so many calls at a time; one that works on a row takes virtual time."""

    def __init__(self, world: World, workers: int) -> None:
        self._world, self._workers = world, workers
        self._waiting: deque[tuple[Future[Any], Callable[[], Any], float]] = deque()
        self._running: list[tuple[float, int, Future[Any], Any]] = []
        self._numbers = itertools.count()
        #: What it raises instead of taking calls, or None.
        self.fault: Exception | None = None
        #: Whether its process is.
        self.gone = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kw: Any) -> Future[Any]:
        if self.fault is not None:
            raise self.fault
        future: Future[Any] = Future()
        rows = [arg for arg in args if isinstance(arg, dict)]
        took_s = seconds_of(rows[0]["code"]) if rows else 0.0
        self._waiting.append((future, partial(fn, *args, **kw), took_s))
        return future

    def due(self) -> float:
        """When it has something to do next."""
        if self.gone:
            return float("inf")
        while self._waiting and self._waiting[0][0].cancelled():
            self._waiting.popleft()
        if self._waiting and len(self._running) < self._workers:
            return self._world.time.now
        return self._running[0][0] if self._running else float("inf")

    def act(self) -> None:
        """Begin calls while there is room, and end those whose time has come."""
        while self._running and self._running[0][0] <= self._world.time.now:
            _, _, future, result = heapq.heappop(self._running)
            future.set_result(result)
        while self._waiting and len(self._running) < self._workers:
            future, call, took_s = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                until = self._world.time.now + took_s
                entry = (until, next(self._numbers), future, call())
                heapq.heappush(self._running, entry)

    def break_(self, error: Exception) -> None:
        """Break at whatever it was handed."""
        running, self._running = self._running, []
        waiting, self._waiting = self._waiting, deque()
        for future in [one[2] for one in running] + [one[0] for one in waiting]:
            if not future.cancelled():
                future.set_exception(error)


def seconds_of(code: str) -> float:
    """Return how long the work of a row takes: its code ends in ``-SECONDS``."""
    return float(code.rpartition("-")[2])


class Person:
    """Edits rows of the world as people do: by their RIDs, without a guard."""

    def __init__(self, world: World, name: str = "person") -> None:
        self.catalog = world.connect(name)

    def add(self, *rows: Row) -> list[str]:
        page = self.catalog.post(f"entity/{TABLE}", [new_row(row) for row in rows])
        return [str(row["RID"]) for row in page.rows]

    def edit(self, rid: str, **values: Any) -> None:
        columns = ",".join(values)
        path = f"attributegroup/{TABLE}/RID;{columns}"
        self.catalog.put(path, [{"RID": rid, **values}])

    def rows(self) -> dict[str, dict[str, Any]]:
        page = self.catalog.get(f"entity/{TABLE}")
        assert page is not None
        return {str(row["RID"]): row for row in page.rows}


def new_row(row: Row) -> dict[str, Any]:
    return {"state": "new", "attempts": 0, "note": "", **row}


class SteppedAgent:
    """A real agent whose steps are made by whoever has it."""

    def __init__(
        self, world: World, name: str, *, lease_s: float = 60.0, **options: Any
    ) -> None:
        self.world, self.name = world, name
        self.catalog = world.connect(name)
        jobs = ermpoll.Queue(
            self.catalog, TABLE, **{**QUEUE, "max_attempts": 3, "lease_s": lease_s}
        )
        workers = options.setdefault("workers", 2)
        self.executor = VirtualExecutor(world, workers)
        self.agent = ermpoll.Agent(
            jobs,
            partial(world.work, name),
            executor=self.executor,
            name=name,
            clocks=world.time.clocks,
            **options,
        )
        self.events: list[ermpoll.Event] = []
        self.agent.subscribe(self.events.append)
        self.life, self.poller = self.agent._life, self.agent._poller
        self.life.phase = Phase.RUNNING
        #: When it looks next, and when it began and ended.
        self.due = self.began = world.time.now
        self.ended: float | None = None
        self.silent: list[str] = []
        #: The rows that were claimed under its name when it had stopped.
        self.left: list[str] = []
        #: Until when it gets to nothing.
        self.frozen_until = 0.0
        self._idle = 0
        self._looking = False

    def tick(self) -> None:
        """Do what is due, unless that goes on: an agent has one thread for it."""
        if self.ended is not None or self._looking:
            return
        if self.world.time.now < self.frozen_until:
            self.due = self.frozen_until
            return
        before = self.world.time.now
        self._looking = True
        try:
            wait_s = self.poller.tick()
        finally:
            self._looking = False
        self._idle = 0 if wait_s or self.world.time.now > before else self._idle + 1
        if self._idle > CIRCLE:
            raise Wedged(f"{self.name} looks {CIRCLE} times while no time passes")
        self.due = self.world.time.now + wait_s
        if self.life.phase is Phase.STOPPED:
            self.ended = self.world.time.now
            self.left = self.world.claimed_by(self.name)
        backs_off = self.poller.board.state == "backing off"
        if backs_off and not self.agent.status.reason:
            self.silent.append(f"{self.name} backs off at {before:.2f} without a word")

    def crash(self) -> None:
        """Do nothing any more, as if its process were gone."""
        self.ended = self.world.time.now
        self.executor.gone = True

    def told(self, kind: str) -> list[str]:
        """The rows that it told something of."""
        return [event.rid or "" for event in self.events if event.kind == kind]


class World:
    """One catalog with its time, its agents and the people who edit it."""

    def __init__(self, seed: int | None = None) -> None:
        self.random = random.Random(seed)
        self.time = VirtualTime(1_000_000.0)
        self.time.clocks = ermpoll.backoff.Clocks(
            monotonic=lambda: self.time.now,
            random=(lambda: 0.5) if seed is None else self.random.random,
            wait=self._wait,
            beside=ermpoll.backoff.at_once,
            utc=lambda: BEGUN + timedelta(seconds=self.time.passed_s),
        )
        self.store = Store()
        self.store.clock = VirtualClock(self.time)
        self.service = Service(self.store, Named("owner"))
        # what a process keeps of a catalog for ever is kept by its address
        self.id = str(next(_names))
        build(self.store, self.id)
        self.agents: list[SteppedAgent] = []
        self.ledger: list[Worked] = []
        #: Every request that left the process: who, method and path.
        self.requests: list[tuple[str, str, str]] = []
        #: Called with each request and what serves it: may spoil it.
        self.fault: Callable[[Request, Callable[[], bytes]], bytes] = (
            lambda request, serve: serve()
        )
        #: Called where a connection is made: may refuse it.
        self.connecting: Callable[[], None] = lambda: None
        self.url = ""
        #: What work calls when it begins with a row.
        self.began: Callable[[Row], None] = lambda row: None
        self._acts: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._within = False

    @classmethod
    @contextmanager
    def open(cls, seed: int | None = None) -> Iterator[World]:
        world = cls(seed)
        with served(world.answer, lambda: world.connecting()) as address:
            world.url = f"{address}/ermrest/catalog/{world.id}"
            yield world
        world.store.close()

    def connect(self, name: str) -> ermpoll.Catalog:
        """Connect as somebody: each login is believed its own name."""
        catalog = ermpoll.connect(self.url, {"bearer-token": name}, timeout_s=3)
        seconds = lambda: BEGUN.timestamp() + self.time.passed_s  # noqa: E731
        catalog.clock = ServerClock(self.time.clocks.monotonic, seconds)
        return catalog

    def add_agent(self, name: str, **options: Any) -> SteppedAgent:
        agent = SteppedAgent(self, name, **options)
        self.agents.append(agent)
        return agent

    def at(self, seconds: float, act: Callable[[], object]) -> None:
        """Do something so many seconds from now."""
        entry = (self.time.now + seconds, next(self._numbers), act)
        heapq.heappush(self._acts, entry)

    # the catalog's side

    def answer(self, request: Request) -> bytes:
        """Answer a request, unless a fault does."""
        who = request.headers.get("Authorization", "").removeprefix("Bearer ")
        path = request.path.partition(f"/catalog/{self.id}/")[2] or request.path
        self.requests.append((who, request.method, path))
        self.pass_(REQUEST_S)
        return self.fault(request, lambda: self.serve(request))

    def serve(self, request: Request, *, cut: bool = False) -> bytes:
        """Do what a request asks, and write the answer."""
        answer = self.service.answer(request)
        return as_bytes(answer, self.date, cut=cut)

    def read(self, path: str) -> list[dict[str, Any]]:
        """Read rows behind everybody's back."""
        whole = f"/ermrest/catalog/{self.id}/{path}"
        headers = {"Authorization": "Bearer owner"}
        request = Request(method="GET", path=whole, headers=headers)
        rows: list[dict[str, Any]] = json.loads(self.service.answer(request).body)
        return rows

    def claimed_by(self, name: str) -> list[str]:
        """The rows that are claimed under a name."""
        rows = self.read(f"attribute/{TABLE}/state=claimed/RID,owner")
        holders = {row["RID"]: str(row["owner"]).partition("~")[0] for row in rows}
        return [rid for rid, held in holders.items() if held.split(" ")[-1] == name]

    @property
    def date(self) -> str:
        at = BEGUN + timedelta(seconds=self.time.passed_s)
        return format_datetime(at, usegmt=True)

    # work

    def work(self, agent: str, row: Row) -> dict[str, Any] | None:
        """Do the work of a row, and write it down."""
        code, rid = str(row["code"]), str(row["RID"])
        attempt = int(row["attempts"])
        entry = Worked(
            agent=agent,
            rid=rid,
            token=row["owner"],
            attempt=attempt,
            at=self.time.now,
            until=self.time.now + seconds_of(code),
            code=code,
        )
        self.ledger.append(entry)
        self.began(row)
        kind = code.partition("-")[0]
        if kind == "fail" or (kind == "once" and attempt == 1):
            entry.error = f"no luck with {rid} {attempt}"
            raise RuntimeError(entry.error)
        # known again by its contents: whose it is, and of which claim
        mark = f"{agent} {rid} {row['owner']} {attempt}"
        number = int(digest(mark)[:6], 16)
        changes: dict[str, Any] = {
            "none": {},
            "num": {"number": number},
        }.get(kind, {"result": {"of": rid, "by": digest(mark)}, "number": number})
        entry.digests = {name: digest(value) for name, value in changes.items()}
        return changes or None

    @property
    def busy(self) -> bool:
        """Whether an agent holds a row."""
        return any(len(one.agent._held) for one in self.agents if one.ended is None)

    # time

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let so many seconds pass, or fewer."""
        end = self.time.now + seconds
        while not until():
            due = self._due()
            if due > end:
                self.time.now = max(self.time.now, end)
                return
            self.time.now = max(self.time.now, due)
            self._act()
            agents = [one for one in self.agents if one.ended is None]
            self.random.shuffle(agents)
            for agent in agents:
                agent.tick()

    def pass_(self, seconds: float) -> None:
        """Let time pass within a step of somebody: what is due then happens."""
        self._pass_until(self.time.now + seconds, lambda: False)

    def _pass_until(self, end: float, over: Callable[[], bool]) -> None:
        while not self._within and not over():
            due = min([*(a.executor.due() for a in self.agents), self._act_at()])
            if due > end:
                break
            self.time.now = max(self.time.now, due)
            self._within = True
            try:
                self._act()
            finally:
                self._within = False
        if not over():
            self.time.now = max(self.time.now, end)

    def _wait(self, event: threading.Event, seconds: float) -> bool:
        self._pass_until(self.time.now + max(seconds, 0.0), event.is_set)
        return event.is_set()

    def _act_at(self) -> float:
        return self._acts[0][0] if self._acts else float("inf")

    def _due(self) -> float:
        looks = [one.due for one in self.agents if one.ended is None]
        executors = [one.executor.due() for one in self.agents]
        return min([*looks, *executors, self._act_at()], default=float("inf"))

    def _act(self) -> None:
        for agent in self.agents:
            if agent.executor.due() <= self.time.now:
                agent.executor.act()
                agent.due = self.time.now
        while self._acts and self._acts[0][0] <= self.time.now:
            heapq.heappop(self._acts)[2]()
            for agent in self.agents:
                # it may have been asked for something
                agent.due = min(agent.due, self.time.now)

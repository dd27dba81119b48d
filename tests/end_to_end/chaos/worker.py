"""One agent process: ``python -m tests.end_to_end.chaos.worker ROLE``, as JSON."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

import ermpoll
from ermpoll.backoff import Clocks
from ermpoll.catalog.clock import ServerClock, rising_s
from ermpoll.errors import CatalogError
from tests.end_to_end.chaos.ledger import Ledger, Lines, wall_s
from tests.end_to_end.chaos.planted import PLANTED
from tests.end_to_end.chaos.table import TABLE, options
from tests.end_to_end.chaos.words import COUNTS
from tests.helpers.bad_results import BAD
from tests.helpers.conditions import let_pass

#: Shorter than the delays of the storm: some writes are given up, and then happen.
TIMEOUT_S = 0.5
#: Results that no row can take. Those that are large would only take their time.
POISON = [make for name, (make, _) in BAD.items() if "MB" not in name]
#: Part of the calls in a pool that end their whole process; and where that is the
#: point of it.
DEADLY, DEADLIER = 0.01, 0.1


class Kind(StrEnum):
    """What an agent runs on."""

    THREADS = "threads"
    #: A pool of processes, which die now and then; the pool is made anew then.
    POOL = "pool"
    #: A machine whose wall clock is set by hours now and then.
    CLOCK = "clock"
    #: A Jupyter kernel, which is restarted now and then.
    KERNEL = "kernel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """Who a worker is."""

    url: str
    name: str
    folder: str
    lease_s: float
    kind: Kind = Kind.THREADS
    #: Where it hears notices; "": nowhere.
    amqp: str = ""
    #: Whether the table says whose a row is.
    owner: bool = True
    #: The fault that it has, by its name.
    planted: str = ""

    @property
    def text(self) -> str:
        """It as one word of a command line."""
        return json.dumps(asdict(self))

    @property
    def ledger(self) -> Ledger:
        return Ledger(Path(self.folder) / f"{self.name}.ledger", self.name)

    @property
    def words(self) -> Lines:
        return Lines(Path(self.folder) / f"{self.name}.words")


class Work:
    """Jobs of all kinds: short, long, longer than the lease, failing, refused."""

    def __init__(self, role: Role) -> None:
        self._lease_s, self._ledger = role.lease_s, role.ledger
        often = DEADLIER if role.planted else DEADLY
        self._deadly = often if role.kind is Kind.POOL else 0.0

    def __call__(self, row: Mapping[str, Any]) -> Any:
        entry = self._ledger.begin(row)
        if random.random() < self._deadly:
            self._ledger.end(entry, died=True)
            os._exit(1)
        try:
            changes = self._changes(row)
        except RuntimeError as error:
            self._ledger.end(entry, error=str(error))
            raise
        if row["number"] % 211 == 5:
            # what no row can take: this one fails, and no other
            self._ledger.end(entry, poison=True)
            return POISON[row["number"] // 211 % len(POISON)]()
        self._ledger.end(entry, changes, contested="code" in changes)
        return changes or None

    def _changes(self, row: Mapping[str, Any]) -> dict[str, Any]:
        number = row["number"]
        let_pass(self._seconds(number))
        # early rows: their back-off of up to ten seconds is over before the storm is
        first = row.get("attempts", 1) == 1
        if number < 1000 and number % 200 == 7 and first:
            raise RuntimeError("a cosmic ray hit the first attempt")
        changes: dict[str, Any] = {}
        if not row["human"]:
            changes["note"] = f"measured {number}"
        if number % 3 == 0:
            changes["result"] = {"number": number}
        if number % 301 == 0:
            # unique in the table: the second one to come is refused by the server
            changes["code"] = "taken"
        return changes

    def _seconds(self, number: int) -> float:
        if number % 499 == 0:
            return 1.7 * self._lease_s
        return 0.15 if number % 97 == 0 else 0.002


class Healing(Executor):
    """A pool of processes, made anew when one of them has died."""

    def __init__(self, workers: int) -> None:
        self._workers, self._lock = workers, threading.Lock()
        self._pool = self._made()

    def _made(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._workers, initializer=end_with_parent)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kw: Any) -> Future[Any]:
        with self._lock:
            try:
                return self._pool.submit(fn, *args, **kw)
            except BrokenExecutor:
                self._pool = self._made()
                return self._pool.submit(fn, *args, **kw)


def end_with_parent() -> None:
    """End this process when the one that made it is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def astray_s() -> float:
    """What the wall clock of this machine says, which is set every two seconds."""
    ahead_s = (0.0, 3600.0, -3600.0, 1e9)[int(time.monotonic() / 2) % 4]
    return wall_s() + ahead_s


def astray() -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=astray_s())


def mark(row: Mapping[str, Any]) -> dict[str, Any]:
    """Write something with each claim, where the row is no person's."""
    return {} if row["human"] else {"note": "taken up"}


def queue(role: Role) -> ermpoll.Queue:
    """Open the queue, however bad the weather."""
    while True:
        try:
            login = {"bearer-token": role.name}
            catalog = ermpoll.connect(role.url, login, timeout_s=TIMEOUT_S)
            if role.kind is Kind.CLOCK:
                catalog.clock = ServerClock(rising_s, astray_s)
            how = options(owner=role.owner)
            return ermpoll.Queue(catalog, TABLE, lease_s=role.lease_s, **how)
        except CatalogError:
            let_pass(0.2)


def take_down(agent: ermpoll.Agent, lines: Lines) -> None:
    """Take down each word of an agent that stands for a write, or for a loss."""

    def hear(event: ermpoll.Event) -> None:
        if event.kind in (*COUNTS, "lost"):
            lines.add(event=event.kind, rid=event.rid)

    agent.subscribe(hear)


def counts_of(agent: ermpoll.Agent) -> dict[str, int]:
    """Return the counts of its status that words are held against."""
    names = [name for counts in COUNTS.values() for name in counts]
    return {name: getattr(agent.status, name) for name in (*names, "lost", "unknown")}


def begin(role: Role) -> ermpoll.Agent:
    """Start the agent."""
    if role.planted:
        PLANTED[role.planted].plant(pytest.MonkeyPatch())
    agent = ermpoll.Agent(
        queue(role),
        Work(role),
        transform=mark if role.amqp else None,
        workers=4,
        notices=role.amqp or None,
        poll_s=1,
        name=role.name,
        executor=Healing(2) if role.kind is Kind.POOL else None,
        spread="random" if role.amqp else None,
        clocks=Clocks(utc=astray) if role.kind is Kind.CLOCK else Clocks(),
    )
    take_down(agent, role.words)
    return agent.start()


def main(role: Role) -> int:
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    since = wall_s()
    agent = begin(role)
    role.words.add(away=[since, wall_s()])
    told.wait()
    stopped = agent.stop(timeout_s=20)
    role.words.add(counts=counts_of(agent), stopped=stopped, at=wall_s())
    return 0 if stopped else 1


def role_of(text: str) -> Role:
    """Read the word of a command line."""
    told = json.loads(text)
    return Role(**{**told, "kind": Kind(told["kind"])})


if __name__ == "__main__":
    logging.basicConfig(
        level=logging.WARNING,
        format="%(asctime)s %(process)d %(levelname)s %(name)s %(message)s",
    )
    sys.exit(main(role_of(sys.argv[1])))

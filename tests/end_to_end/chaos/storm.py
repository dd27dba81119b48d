"""The storm: agents, a daemon, a person and the weather on one sandbox."""

from __future__ import annotations

import itertools
import json
import math
import random
import signal
import subprocess
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ermpoll.sandbox.app import CONTROL
from ermpoll.sandbox.store.store import Store
from tests.end_to_end.chaos import words
from tests.end_to_end.chaos.court import Court
from tests.end_to_end.chaos.fleet import Fleet, crash_of, run
from tests.end_to_end.chaos.ledger import Ledger, wall_s
from tests.end_to_end.chaos.liveness import Window
from tests.end_to_end.chaos.people import FEEDER, PERSON, Caller, Person
from tests.end_to_end.chaos.record import Entry, Machine, Violation
from tests.end_to_end.chaos.table import QUEUE, TABLE
from tests.end_to_end.chaos.weather import Gust, gusts
from tests.end_to_end.chaos.worker import TIMEOUT_S
from tests.helpers.conditions import let_pass

#: Crashes after which there is nothing more to learn.
ENOUGH = 10
#: How often the calm is looked at, in seconds.
STEP_S = 0.1
#: Ready rows at most: a longer table makes each look dearer, not harder.
BACKLOG = 3000
#: How long agents may take to come back when a hindrance is over, in seconds.
RECOVERY_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How big a storm is."""

    claims: int
    seed: int
    agents: int = 4
    lease_s: float = 2.5
    #: An agent is killed that often, in seconds.
    kill_s: float = 2.0
    #: How long it lasts at least, in seconds; what is left then is done in the calm.
    seconds: float = 10.0
    #: How long it lasts at most: on a slow machine there are fewer claims then.
    longest_s: float = 240.0
    #: How long the calm may take, in seconds.
    calm_s: float = 60.0
    #: Whether the table says whose a row is. Where it does not, there is no daemon of
    #: old beside, and what a killed agent had stays claimed.
    owner: bool = True
    #: Whether nothing comes from outside that would excuse an agent.
    mild: bool = False
    #: Faults of agents, one after the other, by their names; none: they have none.
    planted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of a storm."""

    #: What the referee counted, and what was done, by its name.
    counts: Counter[str]
    violations: tuple[Violation, ...] = ()
    #: Processes that ended as they should not.
    crashes: tuple[str, ...] = ()
    seconds: float = 0.0


class Storm:
    """One storm, from the first row to the referee's word."""

    def __init__(self, setting: Setting, folder: Path) -> None:
        self._set = setting
        self._folder = folder
        self._rng = random.Random(setting.seed)
        self._counts: Counter[str] = Counter()
        self._fleet = Fleet(
            folder,
            self._rng,
            self._counts,
            lease_s=setting.lease_s,
            owner=setting.owner,
            planted=setting.planted,
        )
        self._crashes = self._fleet.crashes
        self._others: dict[str, subprocess.Popen[bytes]] = {}
        self._fed = 0
        self._ports = (0, 0)
        self._url = self._amqp = ""
        #: When agents could do nothing.
        self._away: list[Window] = []

    def run(self) -> Report:
        """Let it happen, and ask the referee."""
        begun = time.monotonic()
        try:
            self._serve()
            rng = random.Random(self._set.seed)
            self._person = Person(self._url, rng, owner=self._set.owner)
            self._begin()
            self._person.start()
            try:
                self._blow()
            finally:
                self._tell(Gust(name="calm"))
                self._person.stop()
            self._calm()
            self._end()
        finally:
            self._fleet.end()
            for process in self._others.values():
                process.kill()
                process.wait()
        counts, found = self._judge()
        return Report(
            counts=self._counts + counts,
            violations=tuple(found),
            crashes=tuple(self._crashes),
            seconds=time.monotonic() - begun,
        )

    # beginning

    def _serve(self) -> None:
        data, bare = str(self._folder / "catalog"), [] if self._set.owner else ["bare"]
        server = run("place", self._folder, *map(str, self._ports), data, *bare)
        self._others["server"] = server
        assert server.stdout is not None
        with server.stdout as out:
            told = json.loads(out.readline())
        self._url, self._amqp = told["url"], told["amqp"]
        self._fleet.url, self._fleet.amqp = self._url, self._amqp
        ports = (url.split("://")[1].split("/")[0] for url in (self._url, self._amqp))
        first, second = (int(place.rpartition(":")[2]) for place in ports)
        self._ports = (first, second)

    def _begin(self) -> None:
        self._feed(50)
        if self._set.owner:
            work_s = str(1.5 * self._set.lease_s)
            server = f"localhost:{self._ports[0]}"
            legacy = run("legacy", self._folder, server, "daemon", work_s)
            self._others["legacy"] = legacy
            # once agents write, its claims under the catalog's ETag seldom win
            self._until(f"state={QUEUE['claimed']}", lambda n: n > 0, 20)
        for _ in range(self._set.agents):
            self._fleet.spawn()
        if self._set.planted:
            # each is to have its share of the rows
            self._fleet.wait_for_all()

    def _feed(self, until: int) -> None:
        """Add rows up to a number, but not more than agents may soon take."""
        caller = Caller(self._url, FEEDER)
        path = f"aggregate/{TABLE}/state={QUEUE['ready']}/n:=cnt(RID)"
        ready = caller.ask("GET", path)
        if ready is None:
            return
        most = self._fed + max(BACKLOG - ready[0]["n"], 0)
        new = {"state": QUEUE["ready"], **({"attempts": 0} if self._set.owner else {})}
        rows = [
            {"number": n, "human": n % 2 == 0, **new}
            for n in range(self._fed, min(until, most, self._set.claims))
        ]
        if rows and caller.ask("POST", f"entity/{TABLE}", rows):
            self._fed += len(rows)

    # the storm

    def _blow(self) -> None:
        begun = killed = time.monotonic()
        calm = itertools.cycle((Gust(name="calm"), None))
        weather = gusts(self._rng, self._set.lease_s, TIMEOUT_S)
        for gust in calm if self._set.mild else weather:
            passed = time.monotonic() - begun
            if self._is_enough(passed, gust) or len(self._crashes) > ENOUGH:
                return
            self._feed(int(self._set.claims * passed / self._set.seconds) + 50)
            if gust is not None:
                self._counts[f"gust: {gust.name}"] += 1
                with self._hindrance(gust):
                    self._strike(gust)
            self._fleet.revive()
            if time.monotonic() - killed > self._set.kill_s:
                killed = time.monotonic()
                self._fleet.kill()

    def _is_enough(self, passed: float, gust: Gust | None) -> bool:
        """Whether the storm is over: after a whole round, and when all rows are in."""
        fed = self._fed >= self._set.claims
        over = gust is None and fed and passed > self._set.seconds
        return over or passed > self._set.longest_s

    @contextmanager
    def _hindrance(self, gust: Gust) -> Iterator[None]:
        since = wall_s()
        yield
        if gust.hinders:
            self._away.append((since, wall_s() + RECOVERY_S))

    def _strike(self, gust: Gust) -> None:
        self._tell(gust)
        if gust.act == "restart":
            self._others["server"].kill()
            self._others["server"].wait()
            let_pass(0.3)
            self._serve()
        if gust.act == "take over":
            self._person.take_over()
        if gust.act == "freeze":
            self._fleet.freeze(gust.seconds)
        else:
            let_pass(gust.seconds)

    def _tell(self, gust: Gust) -> None:
        """Tell the sandbox what it is to do wrong, and nothing else."""
        caller = Caller(self._url, "owner", timeout_s=30)
        for command in (
            {"do": "headers", "spoils": gust.headers},
            {"do": "faults", **gust.faults},
        ):
            if not caller.send("POST", CONTROL, command):
                self._crashes.append("the sandbox took no command")

    # the calm

    def _calm(self) -> None:
        """Wait until agents have nothing left to do or to wait for."""
        ready, claimed = f"state={QUEUE['ready']}", f"state={QUEUE['claimed']}"
        if self._set.owner:
            self._others["legacy"].send_signal(signal.SIGTERM)
            self._crashes += crash_of("legacy", self._others.pop("legacy"))
            left = f"{ready};({claimed}&!owner::null::)"
            self._until(left, lambda n: n == 0, self._set.calm_s)
            return
        # whose a row is nothing tells: it is nobody's when the longest work is over
        seen: deque[int] = deque(maxlen=int(2 * self._set.lease_s / STEP_S))

        def nothing_moves(n: int) -> bool:
            seen.append(n)
            return len(seen) == seen.maxlen and len(set(seen)) == 1

        self._until(ready, lambda n: n == 0, self._set.calm_s)
        self._until(f"{ready};{claimed}", nothing_moves, self._set.calm_s)

    def _until(self, which: str, enough: Callable[[int], bool], seconds: float) -> None:
        """Wait until there are enough rows of a filter, that long at most."""
        caller = Caller(self._url, FEEDER)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = caller.ask("GET", f"aggregate/{TABLE}/{which}/n:=cnt(RID)")
            if found and enough(found[0]["n"]):
                return
            let_pass(STEP_S)

    def _end(self) -> None:
        self._fleet.stop()
        self._others["server"].send_signal(signal.SIGTERM)
        self._others.pop("server").wait(10)

    # the referee

    def _judge(self) -> tuple[Counter[str], list[Violation]]:
        """Read the sandbox's record from its file, as it stands there."""
        names = self._fleet.names
        ledgers = [Ledger(self._folder / f"{name}.ledger", name) for name in names]
        worked = [one for ledger in ledgers for one in ledger.read()]
        said = [words.read(self._folder / f"{name}.words", name) for name in names]
        self._counts["processes of a pool died"] = sum(one.died for one in worked)
        self._counts["poison"] = sum(one.poison for one in worked)
        again = (max(len(one.away) - 1, 0) for one in said)
        self._counts["kernels restarted"] = sum(again)
        court = Court(
            Machine(people=frozenset([PERSON])),
            ledger=worked,
            said=said,
            lives=self._fleet.lives(said, self._away),
            # a write in doubt, sent in time, is sent again until it is certain
            slack_s=0.0 if self._set.mild else 5.0,
            # where nothing says whose a row is, one may be nobody's for ever
            patience_s=40.0 if self._set.owner else math.inf,
        )
        last = 0.0
        for entry in _record(self._folder / "catalog"):
            last = entry.at
            court.see(entry)
        found = court.end(max(last, datetime.now(UTC).timestamp()))
        return court.counts, found


def _record(path: Path) -> Iterator[Entry]:
    """Read all rows of all writes."""
    store, start = Store(path), 1
    try:
        while page := _page(store, start):
            for seq, at, _, _, _, who, _, rows in page:
                for table, rid, before, after in rows:
                    if table == TABLE:
                        yield Entry(
                            seq=seq,
                            at=at / 1e6,
                            who=who,
                            rid=rid,
                            before=before,
                            after=after,
                        )
            start = page[-1][0] + 1
    finally:
        store.close()


def _page(store: Store, start: int) -> list[list[Any]]:
    # what a request may take is no limit for a whole record
    store.deadline.start()
    return store.read_log(start, 200)

"""The storm: agents, a daemon, a person and the weather on one sandbox."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ermpoll.sandbox.app import CONTROL
from ermpoll.sandbox.store.store import Store
from tests.end_to_end.chaos import words
from tests.end_to_end.chaos.court import Court
from tests.end_to_end.chaos.ledger import Ledger
from tests.end_to_end.chaos.people import FEEDER, PERSON, Caller, Person
from tests.end_to_end.chaos.record import Entry, Machine, Violation
from tests.end_to_end.chaos.table import QUEUE, TABLE
from tests.end_to_end.chaos.weather import Gust, gusts
from tests.end_to_end.chaos.worker import TIMEOUT_S
from tests.helpers.conditions import let_pass

#: Crashes after which there is nothing more to learn.
ENOUGH = 10
#: Ready rows at most: a longer table makes each look dearer, not harder.
BACKLOG = 3000
ROOT = Path(__file__).parents[3]


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
        self._crashes: list[str] = []
        self._agents: dict[str, subprocess.Popen[bytes]] = {}
        self._others: dict[str, subprocess.Popen[bytes]] = {}
        self._born = 0
        self._fed = 0
        self._ports = (0, 0)
        self._url = self._amqp = ""

    def run(self) -> Report:
        """Let it happen, and ask the referee."""
        begun = time.monotonic()
        try:
            self._serve()
            person = Person(self._url, random.Random(self._set.seed))
            self._begin()
            person.start()
            try:
                self._blow()
            finally:
                self._faults({})
                person.stop()
            self._calm()
            self._end()
        finally:
            for process in (*self._agents.values(), *self._others.values()):
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
        data = str(self._folder / "catalog")
        server = self._run("tests.end_to_end.chaos.place", *map(str, self._ports), data)
        self._others["server"] = server
        assert server.stdout is not None
        with server.stdout as out:
            told = json.loads(out.readline())
        self._url, self._amqp = told["url"], told["amqp"]
        ports = (url.split("://")[1].split("/")[0] for url in (self._url, self._amqp))
        first, second = (int(place.rpartition(":")[2]) for place in ports)
        self._ports = (first, second)

    def _begin(self) -> None:
        self._feed(50)
        work_s = str(1.5 * self._set.lease_s)
        server = f"localhost:{self._ports[0]}"
        legacy = self._run("tests.end_to_end.chaos.legacy", server, "daemon", work_s)
        self._others["legacy"] = legacy
        # once agents write, its claims under the whole catalog's ETag seldom win
        self._until(f"state={QUEUE['claimed']}", lambda n: n > 0, 20)
        for _ in range(self._set.agents):
            self._spawn()

    def _spawn(self) -> None:
        self._born += 1
        name = f"agent-{self._born}"
        amqp = [self._amqp] if self._born % 2 else []
        lease = str(self._set.lease_s)
        self._agents[name] = self._run(
            "tests.end_to_end.chaos.worker",
            self._url,
            name,
            lease,
            str(self._folder),
            *amqp,
        )

    def _run(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{module}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=ROOT,
                stdout=subprocess.PIPE if module.endswith("place") else log,
                stderr=subprocess.DEVNULL if module.endswith("legacy") else log,
            )

    def _feed(self, until: int) -> None:
        """Add rows up to a number, but not more than agents may soon take."""
        caller = Caller(self._url, FEEDER)
        path = f"aggregate/{TABLE}/state={QUEUE['ready']}/n:=cnt(RID)"
        ready = caller.ask("GET", path)
        if ready is None:
            return
        most = self._fed + max(BACKLOG - ready[0]["n"], 0)
        rows = [
            {"number": n, "human": n % 2 == 0, "state": QUEUE["ready"], "attempts": 0}
            for n in range(self._fed, min(until, most, self._set.claims))
        ]
        if rows and caller.ask("POST", f"entity/{TABLE}", rows):
            self._fed += len(rows)

    # the storm

    def _blow(self) -> None:
        begun = killed = time.monotonic()
        for gust in gusts(self._rng, self._set.lease_s, TIMEOUT_S):
            passed = time.monotonic() - begun
            if self._is_enough(passed, gust) or len(self._crashes) > ENOUGH:
                return
            self._feed(int(self._set.claims * passed / self._set.seconds) + 50)
            if gust is not None:
                self._strike(gust)
            self._revive()
            if time.monotonic() - killed > self._set.kill_s:
                killed = time.monotonic()
                self._kill()

    def _is_enough(self, passed: float, gust: Gust | None) -> bool:
        """Whether the storm is over: after a whole round, and when all rows are in."""
        fed = self._fed >= self._set.claims
        over = gust is None and fed and passed > self._set.seconds
        return over or passed > self._set.longest_s

    def _strike(self, gust: Gust) -> None:
        self._counts[f"gust: {gust.name}"] += 1
        self._faults(gust.faults)
        if gust.act == "restart":
            self._others["server"].kill()
            self._others["server"].wait()
            let_pass(0.3)
            self._serve()
        if gust.act == "freeze":
            frozen = self._rng.choice(sorted(self._agents))
            self._agents[frozen].send_signal(signal.SIGSTOP)
            let_pass(gust.seconds)
            self._agents[frozen].send_signal(signal.SIGCONT)
            return
        let_pass(gust.seconds)

    def _faults(self, plan: dict[str, Any]) -> None:
        caller = Caller(self._url, "owner", timeout_s=30)
        if not caller.send("POST", CONTROL, {"do": "faults", **plan}):
            self._crashes.append("the sandbox took no command")

    def _kill(self) -> None:
        name = self._rng.choice(sorted(self._agents))
        self._agents[name].kill()
        self._agents.pop(name).wait()
        self._counts["agents killed"] += 1
        self._spawn()

    def _revive(self) -> None:
        for name, agent in list(self._agents.items()):
            if agent.poll() is not None:
                self._crashes.append(f"{name} ended by itself with {agent.returncode}")
                del self._agents[name]
                self._spawn()

    # the calm

    def _calm(self) -> None:
        """Wait until agents have nothing left to do or to wait for."""
        self._others["legacy"].send_signal(signal.SIGTERM)
        self._ended("legacy", self._others.pop("legacy"))
        ready, claimed = QUEUE["ready"], QUEUE["claimed"]
        left = f"state={ready};(state={claimed}&!owner::null::)"
        self._until(left, lambda n: n == 0, self._set.calm_s)

    def _until(self, which: str, enough: Callable[[int], bool], seconds: float) -> None:
        """Wait until there are enough rows of a filter, that long at most."""
        caller = Caller(self._url, FEEDER)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = caller.ask("GET", f"aggregate/{TABLE}/{which}/n:=cnt(RID)")
            if found and enough(found[0]["n"]):
                return
            let_pass(0.1)

    def _end(self) -> None:
        for agent in self._agents.values():
            agent.send_signal(signal.SIGTERM)
        for name, agent in self._agents.items():
            self._ended(name, agent)
        self._agents.clear()
        self._others["server"].send_signal(signal.SIGTERM)
        self._others.pop("server").wait(10)

    def _ended(self, name: str, process: subprocess.Popen[bytes]) -> None:
        try:
            code = process.wait(25)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            self._crashes.append(f"{name} did not end within 25 s of SIGTERM")
            return
        if code != 0:
            self._crashes.append(f"{name} ended with {code}")

    # the referee

    def _judge(self) -> tuple[Counter[str], list[Violation]]:
        """Read the sandbox's record from its file, as it stands there."""
        names = [f"agent-{n + 1}" for n in range(self._born)]
        ledgers = [Ledger(self._folder / f"{name}.ledger", name) for name in names]
        court = Court(
            Machine(people=frozenset([PERSON])),
            ledger=[one for ledger in ledgers for one in ledger.read()],
            said=[words.read(self._folder / f"{name}.words", name) for name in names],
        )
        store = Store(self._folder / "catalog")
        start, last = 1, 0.0
        try:
            while page := _page(store, start):
                for seq, at, _, _, _, who, _, rows in page:
                    last = at / 1e6
                    for table, rid, before, after in rows:
                        if table == TABLE:
                            court.see(
                                Entry(
                                    seq=seq,
                                    at=last,
                                    who=who,
                                    rid=rid,
                                    before=before,
                                    after=after,
                                )
                            )
                start = page[-1][0] + 1
        finally:
            store.close()
        found = court.end(max(last, datetime.now(UTC).timestamp()))
        return court.counts, found


def _page(store: Store, start: int) -> list[list[Any]]:
    # what a request may take is no limit for a whole record
    store.deadline.start()
    return store.read_log(start, 200)

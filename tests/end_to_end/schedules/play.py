"""One seed: who there is, what happens when, and what is judged at the end."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ermpoll.sandbox.http.messages import Request
from tests.end_to_end.schedules.scene import seed_page
from tests.helpers.ledger import Judge, final_states
from tests.helpers.virtual_world import Person, SteppedAgent, World
from tests.helpers.wire_faults import KINDS, WORDS, Fault

#: Seconds of storm, and of calm after it, at most.
STORM_S, CALM_S = 60.0, 9000.0
PEOPLE = ("person", "daemon")
NOTHING: Mapping[str, int] = {}
WORKS = ("ok", "num", "none", "once", "fail")
#: Those that strike once a connection is made.
FAULTS = {name: one for name, one in KINDS.items() if one.instead is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What came of a seed."""

    seed: int
    broken: tuple[str, ...]
    #: What stands for the whole run: the same seed has the same.
    trace: str
    counts: Mapping[str, int]
    seconds: float
    #: It as a page, where that was asked for.
    page: str = ""


@dataclass(frozen=True, slots=True)
class Outage:
    """Until when requests fail, what share of them, which, and how."""

    until: float
    share: float
    methods: str
    fault: Fault


class Game:
    """A world in which things happen by chance."""

    def __init__(
        self,
        world: World,
        weights: Mapping[str, int] = NOTHING,
        calm_s: float = CALM_S,
    ) -> None:
        self.world, self.chance = world, world.random
        self._weights, self._calm_s = weights, calm_s
        self.person, self.daemon = Person(world), Person(world, "daemon")
        self.lease_s = self.chance.choice((12.0, 30.0, 60.0))
        self.rids: list[str] = []
        self.counts: Counter[str] = Counter()
        #: What each agent's requests meet.
        self.away: dict[str, Outage] = {}
        #: Agents that were stopped short: what they say is out of date.
        self.crashed: set[str] = set()
        self._nested = False
        self._numbers = 0
        world.fault = self._serve

    # what there is

    def set_up(self) -> None:
        """Add rows and agents, and say what will happen when."""
        chance, world = self.chance, self.world
        self._add_rows(chance.randint(4, 12))
        for _ in range(chance.randint(1, 3)):
            self._add_agent()
        acts = {
            "edit": 6,
            "take": 3,
            "set_back": 3,
            "stop_one": 2,
            "crash": 1,
            "freeze": 1,
            "break_executor": 1,
            "add_rows": 3,
            "claim_without_lease": 2,
            "go_away": 4 if chance.random() < 0.7 else 0,
            **self._weights,
        }
        for _ in range(chance.randint(3, 16)):
            name = chance.choices(list(acts), list(acts.values()))[0]
            world.at(chance.uniform(0.0, STORM_S), getattr(self, f"_{name}"))

    def _add_rows(self, n: int = 3) -> None:
        rows = []
        for _ in range(n):
            kind = self.chance.choice(WORKS)
            took_s = self.chance.choice((0.1, 1.0, 3.0, 10.0, 25.0, 1.5 * self.lease_s))
            rows.append({"code": f"{kind}-{len(self.rids) + len(rows)}-{took_s}"})
        self.rids += self.person.add(*rows)

    def _add_agent(self) -> None:
        self._numbers += 1
        workers = self.chance.randint(1, 3)
        self.world.add_agent(
            f"agent{self._numbers}",
            lease_s=self.lease_s,
            workers=workers,
            prefetch=self.chance.choice((None, 0, 2)),
        )

    @property
    def living(self) -> list[SteppedAgent]:
        return [one for one in self.world.agents if one.ended is None]

    # what people do

    def _edit(self) -> None:
        self.counts["edits"] += 1
        rid = self.chance.choice(self.rids)
        passed_s = self.world.time.passed_s
        if self.chance.random() < 0.5:
            self.person.edit(rid, note=f"seen at {passed_s:.2f}")
        else:
            # work may want to write there too
            self.person.edit(rid, number=int(passed_s * 100))

    def _take(self) -> None:
        rid = self.chance.choice(self.rids)
        if self.person.rows()[rid]["state"] in ("new", "claimed"):
            self.counts["taken"] += 1
            self.person.edit(rid, state="hold", owner=None)

    def _set_back(self) -> None:
        for rid, row in self.person.rows().items():
            if row["state"] == "hold":
                self.counts["set back"] += 1
                self.person.edit(rid, state="new", owner=None, attempts=0)

    def _claim_without_lease(self) -> None:
        """Let a daemon of old take a row, and finish it much later."""
        ready = [r for r, row in self.person.rows().items() if row["state"] == "new"]
        if ready:
            self.counts["daemon's claims"] += 1
            rid = self.chance.choice(ready)
            self.daemon.edit(rid, state="claimed")
            done = partial(self.daemon.edit, rid, state="done")
            self.world.at(2 * self.lease_s, done)

    # what becomes of agents

    def _stop_one(self) -> None:
        if len(self.living) > 1:
            self.counts["stopped"] += 1
            self.chance.choice(self.living).life.drain()
            self._add_agent()

    def _crash(self) -> None:
        if not self._nested and self.living:
            self.counts["crashed"] += 1
            one = self.chance.choice(self.living)
            one.crash()
            self.crashed.add(one.name)
            self._add_agent()

    def _freeze(self) -> None:
        """Let an agent not get to anything for so long that its leases may end."""
        if self.living:
            self.counts["frozen"] += 1
            frozen_s = self.chance.uniform(1, 2 * self.lease_s)
            one = self.chance.choice(self.living)
            one.frozen_until = self.world.time.now + frozen_s
            self.crashed.add(one.name)

    def _break_executor(self) -> None:
        if self.living:
            self.counts["broken executors"] += 1
            executor = self.chance.choice(self.living).executor
            executor.break_(RuntimeError("the pool is broken"))

    def _go_away(self) -> None:
        """Let the catalog fail an agent for a while, now and then or always."""
        if self.living:
            self.counts["outages"] += 1
            until = self.world.time.now + self.chance.choice((0.5, 5.0, 20.0, 50.0))
            share = self.chance.choice((0.1, 0.5, 1.0))
            fault = FAULTS[self.chance.choice(list(FAULTS))]
            name = self.chance.choice(self.living).name
            methods = self.chance.choice(("PUT", "GET", "GET PUT", "GET PUT"))
            self.away[name] = Outage(until, share, methods, fault)

    def _serve(self, request: Request, real: Callable[[], bytes]) -> bytes:
        world = self.world
        who = world.requests[-1][0]
        self._interleave(who, request)
        away = self.away.get(who)
        if away is None or world.time.now >= away.until:
            return real()
        if request.method not in away.methods or self.chance.random() >= away.share:
            return real()
        self.counts["faults"] += 1
        assert away.fault.instead is not None
        return away.fault.instead(world, request)

    def _interleave(self, who: str, request: Request) -> None:
        """Let another agent look before this request is answered."""
        others = [one for one in self.living if one.name != who]
        # who asks under an ETag has the turn of all that do
        conditional = request.headers.get("If-None-Match")
        if self._nested or conditional or not others or who in PEOPLE:
            return
        if self.chance.random() < 0.15:
            self._nested = True
            try:
                self.chance.choice(others).tick()
            finally:
                self._nested = False

    # the end

    def play(self) -> None:
        """Play to the end: storm, calm, stop."""
        world = self.world
        world.run(STORM_S)
        self.away.clear()
        self._set_back()
        if not self.living:
            self._add_agent()
        world.run(self._calm_s, self._is_over)
        for one in self.living:
            one.life.drain()
            one.due = world.time.now
        world.run(2 * self.lease_s, lambda: not self.living)

    def _is_over(self) -> bool:
        if self.world.busy:
            return False
        states = set(final_states(self.world).values())
        return not states & {"new", "claimed"}

    def judge(self) -> list[str]:
        """Return what was broken."""
        calm = not (self.crashed or self.counts["outages"])
        alive = self.world.agents if calm else ()
        judge = Judge(self.world, excused=WORDS, silent=self.crashed, alive=alive)
        broken = judge.judge()
        self.counts.update(judge.counts)
        for one in self.world.agents:
            if one.ended is None:
                broken.append(f"{one.name} has not stopped")
        if left := judge.left_so_far(*self.world.agents):
            broken.append(f"all have stopped and left rows claimed: {left}")
        return broken


def play(
    seed: int, calm_s: float = CALM_S, *, shown: bool = False, **weights: int
) -> Played:
    """Play a seed and judge it; ``weights`` make some acts likelier than others."""
    with World.open(seed) as world:
        game = Game(world, weights, calm_s)
        game.set_up()
        broken: list[str] = []
        try:
            game.play()
        except Exception as error:  # noqa: BLE001  told with the rest
            broken.append(f"{type(error).__name__}: {error}")
        broken += game.judge()
        return Played(
            seed=seed,
            broken=tuple(broken),
            trace=trace(world),
            counts=game.counts,
            seconds=world.time.passed_s,
            page=seed_page(seed, world, broken, game.rids) if shown else "",
        )


def trace(world: World) -> str:
    """Stand for all that was asked and told, without what is random in a token."""
    lines: list[Any] = [*world.requests, *sorted(final_states(world).items())]
    lines += [(one.agent, one.rid, one.attempt, one.at) for one in world.ledger]
    lines += [(e.kind, e.rid) for agent in world.agents for e in agent.events]
    return hashlib.sha256("\n".join(map(str, lines)).encode()).hexdigest()

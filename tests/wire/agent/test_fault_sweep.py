"""Each call that leaves the process fails once, in each way: nothing is forgotten.

The calls are found out by running a scenario without a fault and recording them. The
scenario has a claim, a look, finishing by version and by token, a failure to be tried
again, a renewal, a rescue, a row that a person edits or takes, a release and a stop.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from ermpoll.agent import settler
from ermpoll.agent.held_jobs import HeldJobs
from ermpoll.agent.settler import Effect, RowFate
from ermpoll.queue.guarded_put import GuardedPut
from ermpoll.queue.tokens import mark_of
from ermpoll.sandbox.http.messages import Request
from tests.end_to_end.chaos.table import TABLE
from tests.helpers.ledger import Judge, final_states
from tests.helpers.virtual_world import Person, SteppedAgent, World
from tests.helpers.wire_faults import KINDS, WORDS, Fault

LEASE_S = 30.0
#: Each kind of failure is tried at every so manieth place, each from another one on.
SHARE = 16
#: Those that may be of a row: then that row may fail, with these words.
OF_THE_ROW = ("400", "409")


def is_over(world: World) -> bool:
    """Whether no row has anything to come."""
    states = set(final_states(world).values())
    return not states & {"new", "claimed"} and not world.busy


@dataclass
class Sweep:
    """One run of the scenario, with a fault at one of the agent's calls, or none."""

    at: int = -1
    line: str = ""
    fault: Fault = field(default_factory=Fault)
    #: Each request of the run: "" for those of people.
    calls: list[str] = field(default_factory=list)
    #: The number of the first one of its looks.
    first: int = 0
    struck: int = 0

    def run(self) -> Iterator[str]:
        """Run the scenario; yields what is broken."""
        with World.open() as world:
            self._strike(world)
            person = Person(world)
            self._abandon(world, *person.add({"code": "gone-1"}))
            agent = world.add_agent("agent", lease_s=LEASE_S, prefetch=2)
            self.first = len(world.requests)
            self._play(world, person, agent)
            yield from self._check(world, agent)

    def _strike(self, world: World) -> None:
        """Let the call of that number fail."""
        again = ""
        copies = 0

        def connecting() -> None:
            nonlocal copies
            if self.fault.connecting is None:
                return
            # the run is the same up to here, so it is the one that was recorded
            n = len(world.requests) + copies
            if n not in self._struck_connections():
                return
            copies += 1
            self.struck = 1
            raise self.fault.connecting(111, WORDS)

        def serve(request: Request, real: Callable[[], bytes]) -> bytes:
            nonlocal again
            who, method, path = world.requests[-1]
            line = f"{method} {path}"
            if who != "agent" or self.fault.connecting is not None:
                self.calls.append("" if who != "agent" else line)
                return real()
            if line == again:
                again = ""
            else:
                again = ""
                self.calls.append(line)
                if self.struck or len(world.requests) - 1 != self.at:
                    return real()
                self.struck = 1
                again = line if self.fault.both and method == "GET" else ""
            assert self.fault.instead is not None
            return self.fault.instead(world, request)

        world.connecting, world.fault = connecting, serve

    def _struck_connections(self) -> range:
        twice = self.fault.both and self.line.startswith("GET")
        return range(self.at, self.at + 1 + twice)

    def _abandon(self, world: World, rid: str) -> None:
        """Claim a row and leave it, until its lease is over."""
        path = f"attributegroup/{TABLE}/RID;state,owner,attempts"
        token = f"ghost~{'0' * 16}{mark_of('new')}~5"
        row = {"RID": rid, "state": "claimed", "owner": token, "attempts": 1}
        world.connect("ghost").put(path, [row])
        world.run(6)

    def _play(self, world: World, person: Person, agent: SteppedAgent) -> None:
        person.add(
            {"code": "ok-1"},
            {"code": "num-1"},
            {"code": "none-2"},
            {"code": "once-1"},
            {"code": "edited-4"},
            {"code": "taken-4"},
            {"code": "ok-15"},
            {"code": "later-1", "retry_at": "2026-01-01T00:00:18+00:00"},
            {"code": "fail-1", "attempts": 2},
        )

        def began(row: Mapping[str, Any]) -> None:
            rid, code = str(row["RID"]), str(row["code"])
            if code.startswith("edited"):
                world.at(1, lambda: person.edit(rid, note="seen"))
            elif code.startswith("taken"):
                world.at(1, lambda: person.edit(rid, state="hold", owner=None))
            elif code == "last-9":
                world.at(3, agent.life.drain)

        world.began = began
        more = [{"code": f"last-{n}"} for n in (8, 9, 10, 11, 12)]
        world.at(30, lambda: person.add(*more))
        world.run(600, lambda: agent.ended is not None)

    def _check(self, world: World, agent: SteppedAgent) -> Iterator[str]:
        if agent.ended is None:
            yield f"wedged: it has not stopped ({agent.agent.status.state})"
        left = set(agent.left) - set(agent.told("lost"))
        # whoever comes after it finds nothing that it can't finish
        heir = world.add_agent("heir", lease_s=LEASE_S)
        world.run(200, lambda: is_over(world))
        heir.life.drain()
        heir.due = world.time.now
        world.run(15, lambda: heir.ended is not None)
        yield from Judge(world, excused=WORDS, alive=[agent]).judge()
        if left:
            yield f"it stopped and left rows claimed: {sorted(left)}"
        yield from self._check_ends(final_states(world))
        yield from self._check_counts(world)

    def _check_ends(self, states: Mapping[str, str]) -> Iterator[str]:
        for code, state in states.items():
            right = {"taken-4": "hold", "fail-1": "failed"}.get(code, "done")
            may_fail = state == "failed" and self.kind in OF_THE_ROW
            if state != right and not may_fail:
                yield f"{code} ends as {state}, not {right}"

    def _check_counts(self, world: World) -> Iterator[str]:
        """A row is worked as often as without the fault, once it was begun."""
        for code, n in Counter(one.code for one in world.ledger).items():
            most = 2 if code.startswith("once") else 1
            if n > most:
                yield f"{code} was worked {n} times"

    @property
    def kind(self) -> str:
        return next((name for name, one in KINDS.items() if one is self.fault), "")


def shape(line: str) -> str:
    """What a call is, whatever row and time it is about."""
    return re.sub(r"=[^/;&@(]*|\?.*|leq::[^/]*|gt::[^/]*", "", line)


def recorded() -> list[str]:
    """The calls of the looks of a run without a fault: "" for all others."""
    sweep = Sweep()
    assert list(sweep.run()) == []
    return [line if n >= sweep.first else "" for n, line in enumerate(sweep.calls)]


def places(calls: Sequence[str]) -> list[int]:
    """The numbers of calls that differ in what they are, or in what came before."""
    found: dict[tuple[str, str], int] = {}
    agents = [(n, shape(line)) for n, line in enumerate(calls) if line]
    for (_, before), (n, line) in pairwise([(-1, ""), *agents]):
        found.setdefault((before, line), n)
    return list(found.values())


def swept(calls: Sequence[str], n: int, kind: str) -> list[str]:
    """What is broken when that call fails in that way."""
    sweep = Sweep(at=n, line=calls[n], fault=KINDS[kind])
    try:
        broken = list(sweep.run())
    except Exception as error:  # noqa: BLE001  told with the others
        broken = [f"{type(error).__name__}: {error}"]
    if not sweep.struck:
        broken.append("the fault struck nothing")
    return [f"{kind} at call {n}, {calls[n][:90]}: {one}" for one in broken]


@pytest.fixture(scope="module")
def calls() -> list[str]:
    return recorded()


def test_the_scenario_makes_each_kind_of_call(calls: list[str]) -> None:
    kinds = Counter(shape(line) for line in calls if line)

    for part in (
        "GET entity/Chaos:Job/state/retry_at",  # candidates
        "GET attribute/Chaos:Job/state/retry_at",  # the next retry
        "GET attribute/Chaos:Job/state/RID,RMT,state,owner,attempts@sort(RMT,RID)",
        "GET /authn/session",
        "GET attribute/Chaos:Job/RID/RID,RMT",  # a write read back
        "GET entity/Chaos:Job/RID",  # rows that were missed
        "PUT attributegroup/Chaos:Job/RID,RMT;attempts,owner,state",  # claim
        "PUT attributegroup/Chaos:Job/RID,RMT;error,number,result,state",
        "PUT attributegroup/Chaos:Job/RID,RMT;attempts,error,owner,retry_at,state",
        "PUT attributegroup/Chaos:Job/RID,RMT;owner",  # renew
        "PUT attributegroup/Chaos:Job/RID,RMT,held:",  # by token
    ):
        assert any(kind.startswith(part) for kind in kinds), (part, kinds)


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_that_fails_once_forgets_no_row(calls: list[str], kind: str) -> None:
    chosen = places(calls)[list(KINDS).index(kind) % SHARE :: SHARE]

    assert [broken for n in chosen for broken in swept(calls, n, kind)] == []


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", KINDS)
def test_each_call_may_fail_in_each_way(calls: list[str], kind: str) -> None:
    assert [broken for n in places(calls) for broken in swept(calls, n, kind)] == []


def never_reads_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(GuardedPut, "_traces", lambda *_: {})


def forgets_what_ended(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(HeldJobs, "requeue_finished", lambda *_: None)


def gives_up_a_renewal(patch: pytest.MonkeyPatch) -> None:
    real = settler._refused

    def refused(spec: Any, row: RowFate, sent_at: float) -> Effect:
        if row.step.kind == "renew":
            return settler._lost(row.step.rid, "refused")
        return real(spec, row, sent_at)

    patch.setattr(settler, "_refused", refused)


@pytest.mark.parametrize(
    ("plant", "kind", "call"),
    [
        (never_reads_back, "done, answer dropped", "PUT"),
        (forgets_what_ended, "500", "GET entity/Chaos:Job/state/retry_at"),
        (gives_up_a_renewal, "409", "PUT attributegroup/Chaos:Job/RID,RMT;owner"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_planted_fault_is_found(
    calls: list[str],
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
    kind: str,
    call: str,
) -> None:
    plant(monkeypatch)
    chosen = [n for n in places(calls) if shape(calls[n]).startswith(call)]

    assert any(swept(calls, n, kind) for n in chosen)

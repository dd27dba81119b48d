"""A fault that lasts: two requests a second at most, a word of it, no row forgotten.

In virtual time, over the real HTTP stack and the real sandbox.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from ermpoll.sandbox.http.messages import Request, text_answer
from tests.end_to_end.chaos.table import TABLE
from tests.helpers.memory_wire import as_bytes
from tests.helpers.virtual_world import Person, SteppedAgent, World
from tests.helpers.wire_faults import KINDS, Fault

#: How long it lasts, and over how long requests are counted: a handful of tries at
#: the beginning come close together.
LASTS_S, WINDOW_S, BURST = 240.0, 20.0, 12


def _nobody(world: World, request: Request) -> bytes:
    """Serve it as if the login had expired."""
    world.service.logins.expired = True
    try:
        return world.serve(request)
    finally:
        world.service.logins.expired = False


LASTING = {**KINDS, "the login expired": Fault(instead=_nobody)}


@pytest.fixture
def world() -> Iterator[World]:
    with World.open() as world:
        yield world


class Lasting:
    """A fault of one kind for some calls, from now until it is mended."""

    def __init__(self, world: World, fault: Fault, hit: Callable[[str], bool]) -> None:
        self.world, self.begun = world, world.time.now
        #: When each request came, or was refused its connection.
        self.tries: list[float] = []
        self.left = False

        def connecting() -> None:
            if fault.connecting and not self.left:
                self.tries.append(world.time.now)
                raise fault.connecting(111, "gone")

        def serve(request: Request, real: Callable[[], bytes]) -> bytes:
            if not self.left:
                self.tries.append(world.time.now)
            if self.left or fault.instead is None or not hit(request.method):
                return real()
            return fault.instead(world, request)

        world.connecting, world.fault = connecting, serve

    def mend(self) -> None:
        self.left = True

    def most_in_a_window(self) -> int:
        counts = Counter(int((at - self.begun) // WINDOW_S) for at in self.tries)
        counts[0] = max(0, counts[0] - BURST)
        return max(counts.values())


def lasted(world: World, kind: str, hit: Callable[[str], bool]) -> SteppedAgent:
    """Let an agent live through a fault that begins as it works, and go on after it."""
    person = Person(world)
    person.add(*[{"code": f"ok{n}-{1 + n % 3}"} for n in range(40)])
    agent = world.add_agent("agent", lease_s=3600.0)
    world.run(1.5)
    fault = Lasting(world, LASTING[kind], hit)

    world.run(LASTS_S)

    if set(states(world)) != {"done"}:
        # what is written although no good answer comes costs what work costs
        status = agent.agent.status
        assert fault.most_in_a_window() <= 2 * WINDOW_S, kind
        assert agent.silent == []
        assert status.reason or status.refused, "it says nothing of it"
    fault.mend()
    return agent


@pytest.mark.parametrize("kind", LASTING)
@pytest.mark.parametrize(
    "hit", [lambda method: method == "PUT", lambda method: True], ids=["PUT", "all"]
)
def test_a_lasting_fault_costs_two_requests_a_second_at_most(world, kind, hit):
    agent = lasted(world, kind, hit)

    # set-aside rows wait for an hour at most
    world.run(8000, lambda: is_over(world, agent))
    ends = states(world)
    allowed = {"done", "failed"} if kind in ("400", "409") else {"done"}
    assert set(ends) <= allowed, ends
    assert agent.agent.status.held == 0


def is_over(world: World, agent: SteppedAgent) -> bool:
    left = set(states(world)) & {"new", "claimed"}
    return not (left or agent.agent.status.held)


def states(world: World) -> Counter[str]:
    return Counter(row["state"] for row in world.read(f"attribute/{TABLE}/RID,state"))


# where the next try was as far off as the back-off had grown, two of these lost theirs
@pytest.mark.parametrize("seed", [6, 50, *range(4)])
def test_a_fault_shorter_than_what_a_renewal_leaves_costs_no_lease(seed):
    lease_s, lasts_s = 6.0, 3.5
    with World.open(seed) as world:
        Person(world).add(*[{"code": f"ok{n}-60"} for n in range(4)])
        agent = world.add_agent("agent", lease_s=lease_s, workers=4)
        world.run(5 + world.random.random() * lease_s)
        fault = Lasting(world, KINDS["503"], lambda method: True)
        world.at(lasts_s, fault.mend)
        world.run(3 * lease_s)

    assert agent.told("lost") == []
    assert agent.agent.status.held == 4


def asking_to_wait(seconds: int) -> Fault:
    """A server that is asked too often."""

    def answer(world: World, request: Request) -> bytes:
        told = text_answer(429, "later", {"Retry-After": str(seconds)})
        return as_bytes(told, world.date)

    return Fault(instead=answer)


ALL_OR_PUT = pytest.mark.parametrize(
    "hit", [lambda method: method == "PUT", lambda method: True], ids=["PUT", "all"]
)


@ALL_OR_PUT
@pytest.mark.parametrize("seed", range(4))
def test_no_lease_is_lost_to_a_server_that_asks_for_a_longer_wait(seed, hit):
    lease_s, lasts_s = 6.0, 3.5
    with World.open(seed) as world:
        Person(world).add(*[{"code": f"ok{n}-600"} for n in range(4)])
        agent = world.add_agent("agent", lease_s=lease_s, workers=8)
        world.run(5 + world.random.random() * lease_s)
        fault = Lasting(world, asking_to_wait(50), hit)
        world.at(lasts_s, fault.mend)
        world.run(60)

    assert agent.told("lost") == []
    assert agent.agent.status.held == 4


@ALL_OR_PUT
def test_a_server_that_asks_to_wait_is_left_alone_where_no_lease_is_at_stake(hit):
    with World.open(1) as world:
        Person(world).add(*[{"code": f"ok{n}-1"} for n in range(40)])
        agent = world.add_agent("agent", lease_s=3600.0)
        world.run(1.5)
        fault = Lasting(world, asking_to_wait(30), hit)
        world.run(300)
        gaps = [b - a for a, b in pairwise(fault.tries)]
        fault.mend()
        world.run(300, lambda: is_over(world, agent))
        ends = states(world)

    assert set(ends) == {"done"}
    # a look is more than one request
    assert all(gap < 0.2 or gap >= 30 for gap in gaps), gaps

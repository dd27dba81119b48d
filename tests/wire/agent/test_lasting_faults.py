"""A fault that lasts: two requests a second at most, a word of it, no row forgotten.

In virtual time, over the real HTTP stack and the real sandbox.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from ermpoll.sandbox.http.messages import Request
from tests.end_to_end.chaos.table import TABLE
from tests.helpers.virtual_world import Person, SteppedAgent, World
from tests.helpers.wire_faults import KINDS, Fault

#: How long it lasts, and over how long requests are counted: a handful of tries at
#: the beginning come close together.
LASTS_S, WINDOW_S, BURST = 240.0, 20.0, 12


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
    fault = Lasting(world, KINDS[kind], hit)

    world.run(LASTS_S)

    if set(states(world)) != {"done"}:
        # what is written although no good answer comes costs what work costs
        status = agent.agent.status
        assert fault.most_in_a_window() <= 2 * WINDOW_S, kind
        assert agent.silent == []
        assert status.reason or status.refused, "it says nothing of it"
    fault.mend()
    return agent


@pytest.mark.parametrize("kind", KINDS)
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

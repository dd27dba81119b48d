"""What an agent does while a write goes on, and what that never tells it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ermpoll
from ermpoll.agent.cycle import Finishing
from ermpoll.agent.fetcher import Fetch
from ermpoll.agent.sharing.ahead import AHEAD_S
from tests.helpers.relay import Fault, Relay, relay
from tests.helpers.tables import add, queue
from tests.helpers.virtual_world import Person, World

NEW = {"state": "actionable"}


@pytest.fixture
def way(catalog: ermpoll.Catalog) -> Iterator[Relay]:
    with relay(catalog.url) as made:
        yield made


class Writes:
    """What came while a write was under way; each waits for the other for a while."""

    def __init__(self, jobs: ermpoll.Queue, longest_s: float = 0.0) -> None:
        self._path = f"entity/{jobs.table}/"
        self._longest_s = longest_s
        self._writing = threading.Event()
        self._read = threading.Event()
        self.worked = threading.Event()
        #: Of each read of candidates whether it began during a write.
        self.reads: list[bool] = []

    def rule(self, method: str, path: str) -> Fault | None:
        if method == "PUT":
            self.worked.clear()
            self._writing.set()
            self._read.wait(self._longest_s)
            self._read.clear()
            self.worked.wait(self._longest_s)
        elif self._path in path and "limit=0" not in path:
            self._read.set()
            self.reads.append(self._writing.wait(self._longest_s))
        return None

    def after(self, method: str, path: str) -> Fault | None:
        if method == "PUT":
            self._writing.clear()
        return None

    def work(self, row: dict[str, Any]) -> None:
        self.worked.set()


def run(way: Relay, writes: Writes, **options: Any) -> ermpoll.RunSummary:
    way.rule, way.after = writes.rule, writes.after
    jobs = queue(ermpoll.connect(way.url))
    agent = ermpoll.Agent(jobs, writes.work, workers=4, **options)
    return agent.run(until_idle=True)


def test_candidates_are_read_while_a_write_goes_on(catalog, way):
    add(catalog, *[NEW] * 600)
    writes = Writes(queue(catalog), longest_s=0.1)

    summary = run(way, writes)

    assert summary.done == 600
    assert sum(writes.reads) > 1


def test_only_a_read_behind_the_last_claim_tells_that_there_is_no_more(catalog, way):
    add(catalog, *[NEW] * 700)
    writes = Writes(queue(catalog), longest_s=0.1)

    summary = run(way, writes)

    assert (summary.done, summary.more) == (700, False)
    assert any(writes.reads)
    assert not writes.reads[-1]


def test_nothing_is_read_ahead_where_all_was_read(catalog, way):
    add(catalog, *[NEW] * 4)
    writes = Writes(queue(catalog), longest_s=0.1)

    assert run(way, writes).done == 4

    assert not any(writes.reads)


def test_a_run_that_claims_once_reads_once(catalog, way):
    add(catalog, *[NEW] * 20)
    writes = Writes(queue(catalog))
    way.rule, way.after = writes.rule, writes.after
    jobs = queue(ermpoll.connect(way.url))

    assert ermpoll.Agent(jobs, writes.work, workers=4).run_once() == 4

    assert len(writes.reads) == 1


@pytest.fixture
def world() -> Iterator[World]:
    with World.open() as made:
        yield made


def ahead(world: World, rows: int, room: int) -> Callable[[], Fetch | None]:
    Person(world).add(*[{"code": f"ok-{n}-1"} for n in range(rows)])
    reader = world.add_agent("agent").agent._cycle._fetcher
    first = reader.fetch(2, conditional=False)
    reader.read_ahead(room, [step.rid for step in first.claims])
    return lambda: reader.fetch_ahead(room)


def test_what_was_read_ahead_is_without_what_was_being_written(world):
    found = ahead(world, rows=10, room=3)()

    assert found is not None
    assert len(found.claims) == 3
    assert (found.full, found.looked) == (True, True)


def test_a_page_that_may_be_the_last_is_read_again(world):
    assert ahead(world, rows=5, room=3)() is None


def test_what_was_read_too_long_ago_is_read_again(world):
    fetch = ahead(world, rows=10, room=3)
    world.run(AHEAD_S + 0.1)

    assert fetch() is None


def test_a_read_ahead_that_failed_is_made_again(world):
    def refuse(request: Any, serve: Any) -> bytes:
        raise ConnectionError

    Person(world).add(*[{"code": f"ok-{n}-1"} for n in range(10)])
    reader = world.add_agent("agent").agent._cycle._fetcher
    world.fault = refuse
    reader.read_ahead(3, [])

    assert reader.fetch_ahead(3) is None


def test_a_read_ahead_that_hangs_keeps_nothing_else(catalog, way):
    add(catalog, *[NEW] * 600)
    go, hung = threading.Event(), threading.Event()
    writes = Writes(queue(catalog), longest_s=0.1)

    def hang(method: str, path: str) -> Fault | None:
        if method == "GET" and writes.reads[-1:] == [True]:
            hung.set()
            go.wait(30)
        return writes.after(method, path)

    way.rule, way.after = writes.rule, hang
    agent = ermpoll.Agent(queue(ermpoll.connect(way.url)), writes.work, workers=4)
    done = agent.run(until_idle=True).done
    hangs = not go.is_set()
    go.set()

    assert hung.is_set()
    assert (done, hangs) == (600, True)


def test_nothing_that_was_read_ahead_is_used_by_another_login(world):
    fetch = ahead(world, rows=10, room=3)
    world.agents[0].agent._cycle.forget()

    assert fetch() is None


def test_a_worker_that_is_stuck_makes_no_write_look_full(world):
    Person(world).add({"code": "ok-1-30"})
    agent = world.add_agent("agent", workers=1).agent
    world.run(1)
    [one] = agent._held.held()
    agent._held.forget([one.rid])
    agent._held.hold([one])

    assert (agent._held.busy, agent._held.stuck) == (1, 1)
    assert agent._cycle._room(Finishing(), True) == 0

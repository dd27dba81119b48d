"""What a write's answer said is taken note of, whatever fails meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import ermpoll
from ermpoll.notices.base import LocalNotices
from tests.helpers.relay import Fault, Relay, relay
from tests.helpers.shares import mostly_long
from tests.helpers.tables import add, edit, queue, read

NEW = {"state": "actionable"}
FAULTS: dict[str, Fault] = {
    "500": 500,
    "403": 403,
    "404": 404,
    "an object": b'{"no": "rows"}',
    "rows without RID": b"[{}]",
    "no JSON": b"<html>",
    "cut": ConnectionError(),
}

faulty = pytest.mark.parametrize(
    "fault", mostly_long(FAULTS.values(), keep=2), ids=list(FAULTS)
)


@pytest.fixture
def way(catalog: ermpoll.Catalog) -> Iterator[Relay]:
    with relay(catalog.url) as made:
        yield made


@pytest.fixture
def door(way: Relay) -> Iterator[ermpoll.Catalog]:
    """The same catalog, by way of the relay."""
    door = ermpoll.connect(way.url)
    yield door
    door.close()


class Reads:
    """Lets the first reads after a write fail; one in between ends it."""

    def __init__(self, fault: Fault, times: int = 1) -> None:
        self.left, self.fault, self.wrote = times, fault, False
        self.failed = 0

    def __call__(self, method: str, path: str) -> Fault | None:
        if method != "GET":
            self.wrote = True
        elif self.wrote and self.left:
            self.left -= 1
            self.failed += 1
            return self.fault
        return None


@faulty
def test_a_read_of_a_lost_row_that_fails_forgets_no_row(catalog, way, door, fault):
    [taken] = add(catalog, {**NEW, "name": "taken"})
    others = add(catalog, *[NEW] * 3)
    reads = Reads(fault)

    def work(row: dict[str, Any]) -> dict[str, Any]:
        if row["name"] == "taken":
            edit(catalog, taken, state="hold", owner=None)
            way.rule = reads
        return {"result": "worked"}

    # the version of each write is known without a read by then
    jobs = queue(door)
    jobs.complete(jobs.claim(rows=add(catalog, NEW)))
    agent = ermpoll.Agent(jobs, work)
    agent.run(until_idle=True)

    assert reads.failed == 1
    assert [read(catalog, rid)["state"] for rid in others] == ["complete"] * 3
    assert read(catalog, taken)["state"] == "hold"
    status = agent.status
    assert (status.held, status.completed, status.lost) == (0, 3, 1)


@faulty
@pytest.mark.parametrize("owner", ["owner", None])
def test_a_first_version_that_cant_be_read_forgets_no_row(
    catalog, way, door, fault, owner
):
    rids = add(catalog, *[NEW] * 3)
    way.rule = reads = Reads(fault)
    agent = ermpoll.Agent(
        queue(door, owner=owner), lambda row: {"result": "worked"}, workers=2
    )

    agent.run(until_idle=True)

    assert reads.failed == 1
    assert [read(catalog, rid)["state"] for rid in rids] == ["complete"] * 3
    assert (agent.status.completed, agent.status.lost) == (3, 0)


@faulty
def test_an_answer_that_is_lost_and_then_cant_be_read_back_forgets_no_row(
    catalog, way, door, fault
):
    rids = add(catalog, *[NEW] * 4)
    reads = Reads(fault)
    lost: list[str] = []
    works: list[str] = []

    def lose(method: str, path: str) -> Fault | None:
        # the answer to the write that completes a row and claims another
        if method == "PUT" and works and not lost:
            lost.append(path)
            way.rule = reads
            return ConnectionError()
        return None

    def work(row: dict[str, Any]) -> dict[str, Any]:
        works.append(row["RID"])
        return {"result": "worked"}

    way.after = lose
    agent = ermpoll.Agent(queue(door), work)
    agent.run(until_idle=True)

    assert lost
    assert reads.failed == 1
    assert [read(catalog, rid)["state"] for rid in rids] == ["complete"] * 4
    assert sorted(works) == sorted(rids)
    assert (agent.status.held, agent.status.completed) == (0, 4)


def two_puts(row: dict[str, Any]) -> dict[str, Any]:
    """Ask for changes that can't share a PUT: json is never filled up."""
    return {"data": {"n": 1}} if row["name"] == "json" else {"result": "claimed"}


@pytest.fixture
def second_refused(way: Relay) -> list[str]:
    puts: list[str] = []

    def rule(method: str, path: str) -> Fault | None:
        if method == "PUT":
            puts.append(path)
        return 403 if method == "PUT" and len(puts) == 2 else None

    way.rule = rule
    return puts


def test_what_a_first_put_claimed_is_worked_though_the_second_is_refused(
    catalog, door, second_refused
):
    add(catalog, NEW, {**NEW, "name": "json"})
    agent = ermpoll.Agent(queue(door), lambda row: None, transform=two_puts, workers=2)

    agent.run(until_idle=True)

    assert (agent.status.completed, agent.status.held) == (1, 0)
    assert agent.status.refused == 1


def test_by_hand_what_a_first_put_claimed_is_returned_with_the_reason_of_the_rest(
    catalog, door, second_refused
):
    first, second = add(catalog, NEW, {**NEW, "name": "json"})

    claim = queue(door).claim(2, transform=two_puts)

    assert claim.rids == (first,)
    assert claim.refused == {second: "no"}
    assert read(catalog, second)["state"] == "actionable"


@faulty
def test_by_hand_an_outcome_is_returned_though_a_read_fails(catalog, way, door, fault):
    first, second = add(catalog, NEW, NEW)
    jobs = queue(door)
    claim = jobs.claim(2)
    edit(catalog, second, state="hold", owner=None)
    way.rule = reads = Reads(fault)

    outcome = jobs.complete(claim)

    assert reads.failed == 1
    assert (outcome.won, outcome.lost) == ((first,), (second,))
    assert claim.unfinished == ()


@pytest.mark.parametrize("answer", [b"{}", b"[{}]", b"[1]"])
def test_an_answer_to_a_claim_that_is_no_rows_is_asked_about(
    catalog, way, door, answer
):
    rids = add(catalog, *[NEW] * 3)
    answers = [answer]
    way.after = lambda method, _: answers.pop() if method == "PUT" and answers else None
    agent = ermpoll.Agent(queue(door), lambda row: None)

    agent.run(until_idle=True)

    assert not answers
    assert [read(catalog, rid)["state"] for rid in rids] == ["complete"] * 3
    assert (agent.status.completed, agent.status.lost) == (3, 0)


def test_notices_that_raise_at_an_own_write_hinder_nothing(catalog):
    class Broken(LocalNotices):
        def wrote(self) -> None:
            raise RuntimeError("no echo")

    [rid] = add(catalog, NEW)
    agent = ermpoll.Agent(queue(catalog), lambda row: None, notices=Broken())

    agent.run(until_idle=True)

    assert read(catalog, rid)["state"] == "complete"


def test_a_listener_that_leaves_its_thread_forgets_no_row(catalog):
    add(catalog, *[NEW] * 3)
    pool = ThreadPoolExecutor(3)
    agent = ermpoll.Agent(queue(catalog), lambda row: None, workers=3, executor=pool)

    def listener(event: ermpoll.Event) -> None:
        if event.kind == "completed":
            leave()
            raise SystemExit

    leave = agent.subscribe(listener)
    with pool, pytest.raises(SystemExit):
        agent.run(until_idle=True)

    assert (agent.status.completed, agent.status.held) == (3, 0)

"""Writers of several machines, which share no folder, take turns by slots of time."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from datetime import datetime

import pytest

import ermpoll
from ermpoll.catalog.etags import etag_time
from ermpoll.catalog.slots import SLOT_S, Slot
from tests.bench.agents import driving, said
from tests.bench.common import client, job_table, server
from tests.bench.driving import COLUMNS, DONE, READY, TABLE, Role, done
from tests.helpers.conditions import let_pass
from tests.helpers.tables import add, queue

NEW = {"state": "actionable"}


@pytest.fixture
def keeper(catalog):
    """That of an agent which has written just now, and was aborted by somebody."""
    add(catalog, *[NEW] * 6)
    agent = ermpoll.Agent(queue(catalog, worker="m"), lambda row: None)
    made = agent._cycle._slots
    jobs = queue(catalog, worker=made._name)
    jobs.complete(jobs.claim(1))
    yield made
    made.leave()


def other(catalog, name):
    """Claim a row as somebody whose agent is on another machine."""
    return queue(ermpoll.connect(catalog.url), worker=name).claim(1)


def test_who_is_alone_has_no_slot(keeper):
    assert keeper.slot() is None


@pytest.mark.parametrize(("name", "slot"), [("a", Slot(1, 2)), ("z", Slot(0, 2))])
def test_a_write_of_somebody_else_is_noticed_and_whose_it_is_found(
    keeper, catalog, name, slot
):
    other(catalog, name)
    keeper.saw(catalog.get("entity/Ops:Job?limit=1").etag)

    assert keeper.slot() == slot


def test_who_has_just_finished_all_its_rows_writes_as_well(keeper, catalog):
    theirs = other(catalog, "a")
    queue(ermpoll.connect(catalog.url), worker="a").complete(theirs)
    keeper.saw(catalog.get("entity/Ops:Job?limit=1").etag)

    assert keeper.slot() == Slot(1, 2)


def test_own_writes_are_nobody_elses(keeper, catalog):
    keeper.saw(catalog.get("entity/Ops:Job?limit=1").etag)

    assert keeper.slot() is None
    assert etag_time(catalog.get("entity/Ops:Job?limit=1").etag) is not None


@pytest.mark.parametrize("leaves", [False, True])
def test_who_writes_on_this_machine_needs_no_slot(keeper, catalog, leaves):
    mate = ermpoll.Agent(
        queue(ermpoll.connect(catalog.url), worker="a"), lambda _: None
    )
    slots = mate._cycle._slots
    # as each does before it writes, also one that has noticed nobody yet
    slots.take()
    other(catalog, slots._name)
    keeper.take()
    if leaves:
        slots.leave()
    keeper.saw(catalog.get("entity/Ops:Job?limit=1").etag)

    assert keeper.slot() is None
    slots.leave()


def test_a_catalog_that_does_not_answer_costs_no_write(keeper, catalog, box):
    other(catalog, "a")
    keeper.lost()
    box.faults(status=503, methods=["GET"])

    assert keeper.slot() is None


class Machines:
    """Agents that share no folder, on a service that charges what a real one does."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self._url, self._stack = url, stack

    def join(self, k: int, n: int, *, told: bool):
        role = Role(
            kind="agent", url=self._url, workers=4, name=f"m{k}",
            spread=(k, n) if told else None,
        )  # fmt: skip
        driver = self._stack.enter_context(driving(role, apart=True))
        said(driver, "go")
        return driver

    def stuck(self, *names: str) -> list[str]:
        """Wait until each of these has finished more; those that did not."""
        before = done(self._url)
        for _ in range(80):
            # seldom: whoever asks takes of the time that they have
            let_pass(0.5)
            now = done(self._url)
            left = [name for name in names if now[name] <= before[name]]
            if not left:
                break
        return left

    def commits(self) -> dict[str, list[float]]:
        """When each has finished rows, in seconds since 1970."""
        path = f"/attributegroup/{TABLE}/state={DONE}/owner;at:=max(RMT)"
        found: dict[str, list[float]] = {}
        with client(self._url) as door:
            for row in door.rows(path):
                at = datetime.fromisoformat(row["at"]).timestamp()
                found.setdefault(row["owner"].partition(" ")[0], []).append(at)
        return found


@pytest.fixture
def machines():
    with server("--price") as box, ExitStack() as stack:
        url, _ = job_table(box, COLUMNS, [{"state": READY}] * 40_000)
        yield Machines(url, stack)


@pytest.mark.long
@pytest.mark.timeout(180)
@pytest.mark.parametrize("told", [True, False], ids=["slot told", "slot found"])
def test_machines_join_leave_and_pause(machines, told):
    first = machines.join(0, 3, told=told)
    assert machines.stuck("m0") == []
    second = machines.join(1, 3, told=told)
    assert machines.stuck("m0", "m1") == []
    third = machines.join(2, 3, told=told)
    assert machines.stuck("m0", "m1", "m2") == []

    # one is paused, and the others go on; then it goes on as well
    os.kill(second.pid, signal.SIGSTOP)
    assert machines.stuck("m0", "m2") == []
    os.kill(second.pid, signal.SIGCONT)
    assert machines.stuck("m0", "m1", "m2") == []

    # two leave, one of them as a killed process does
    third.kill()
    first.terminate()
    assert machines.stuck("m1") == []


@pytest.mark.long
@pytest.mark.timeout(120)
def test_each_writes_in_its_own_slot(machines):
    for k in range(3):
        machines.join(k, 3, told=True)
    assert machines.stuck("m0", "m1", "m2") == []
    # where the machine is slow for a while, a write is not over before the next slot;
    # without slots not even one try in thousands would look like that
    for _ in range(3):
        since = max(max(times) for times in machines.commits().values())
        let_pass(6)
        commits = machines.commits()
        lately = [[at for at in commits[f"m{k}"] if at > since] for k in range(3)]
        own = [
            len([at for at in times if int(at / SLOT_S) % 3 == k]) / max(len(times), 1)
            for k, times in enumerate(lately)
        ]
        if min(own) > 2 / 3:
            break
    assert min(own) > 2 / 3, own

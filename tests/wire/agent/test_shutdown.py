"""However an agent ends, it ends soon, says so, and what it held goes back."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

import ermpoll
from ermpoll.agent.shutdown import what_stays
from ermpoll.backoff import REAL
from ermpoll.notices.base import LocalNotices
from ermpoll.queue.transitions import Held
from tests.helpers.conditions import wait_until
from tests.helpers.relay import Relay, relay
from tests.helpers.shares import mostly_long
from tests.helpers.tables import add, queue, read

NEW = {"state": "actionable", "attempts": 0}


@pytest.fixture
def way(catalog: ermpoll.Catalog) -> Iterator[Relay]:
    with relay(catalog.url) as made:
        yield made


@pytest.fixture
def door(way: Relay) -> Iterator[ermpoll.Catalog]:
    """The same catalog, by way of the relay."""
    door = ermpoll.connect(way.url, timeout_s=5)
    yield door
    door.close()


class Work:
    """Work that the test lets go on."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        self.begun.set()
        assert self.go.wait(20)
        return {"result": "done"}


@pytest.fixture
def work() -> Iterator[Work]:
    made = Work()
    yield made
    made.go.set()


def interrupt_when(condition: Callable[[], object]) -> threading.Thread:
    """Send Ctrl-C to the main thread once something holds."""

    def send() -> None:
        wait_until(condition, 10)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def states(catalog: ermpoll.Catalog, rids: list[str]) -> list[object]:
    return [read(catalog, rid)["state"] for rid in rids]


def given_back(catalog: ermpoll.Catalog, rid: str) -> bool:
    row = read(catalog, rid)
    return (row["state"], row["owner"], row["attempts"]) == ("actionable", None, 0)


# an interrupt while the catalog is away


@pytest.mark.parametrize("once", mostly_long([True, False]))
def test_an_interrupt_while_the_catalog_is_away_ends_within_the_stop_time_out(
    catalog, way, door, work, caplog, once
):
    [rid] = add(catalog, NEW)
    agent = ermpoll.Agent(queue(door, lease_s=300), work)

    def cut() -> bool:
        if not work.begun.is_set():
            return False
        way.rule = lambda method, path: ConnectionError()
        work.go.set()
        return True

    sender = interrupt_when(cut)
    run = agent.run_once if once else agent.run
    begun = time.monotonic()
    run(stop_timeout_s=2)
    took_s = time.monotonic() - begun
    sender.join()

    assert took_s < 4
    [line] = [r.getMessage() for r in caplog.records if "gave up" in r.getMessage()]
    assert "1 row stays claimed, for another" in line
    assert rid in line
    wait_until(lambda: agent.status.state == "stopped")


def test_an_interrupt_while_the_catalog_hangs_ends_within_the_stop_time_out(
    catalog, way, door, work
):
    add(catalog, NEW)
    hangs = threading.Event()
    agent = ermpoll.Agent(queue(door), work)

    def cut() -> bool:
        if not work.begun.is_set():
            return False
        way.rule = lambda method, path: hangs.wait(20) and None
        work.go.set()
        return True

    sender = interrupt_when(cut)
    begun = time.monotonic()
    agent.run(stop_timeout_s=1)
    took_s = time.monotonic() - begun
    sender.join()
    hangs.set()

    assert took_s < 7
    wait_until(lambda: agent.status.state == "stopped", 10)


def test_work_that_outlasts_the_stop_time_out_after_an_interrupt_goes_back(
    catalog, work
):
    [rid] = add(catalog, NEW)
    agent = ermpoll.Agent(queue(catalog), work)

    sender = interrupt_when(work.begun.is_set)
    agent.run(stop_timeout_s=1)
    sender.join()

    assert given_back(catalog, rid)
    assert agent.status.state == "stopped"


def test_what_a_run_held_when_it_gave_up_is_written_by_the_next_one(
    catalog, way, door, work
):
    [rid] = add(catalog, NEW)
    agent = ermpoll.Agent(queue(door), work)

    def cut() -> bool:
        if work.begun.is_set():
            way.rule = lambda method, path: ConnectionError()
            work.go.set()
        return work.begun.is_set()

    sender = interrupt_when(cut)
    agent.run(stop_timeout_s=1)
    sender.join()
    wait_until(lambda: agent.status.state == "stopped", 10)
    way.rule = lambda method, path: None
    agent.run(until_idle=True)

    assert read(catalog, rid)["result"] == "done"
    assert (agent.status.completed, agent.status.claimed) == (1, 1)


@pytest.mark.parametrize(
    ("deadlines", "text"),
    [
        ([], "no row stays claimed"),
        ([70, 40], "2 rows stay claimed, for another 60 s, then any agent rescues"),
        ([5], "1 row stays claimed, for another 0 s"),
        ([float("inf")], "1 row stays claimed, until somebody rescues them: R0"),
    ],
)
def test_what_stays_claimed_is_told_with_its_time(deadlines, text):
    held = [
        Held(rid=f"R{n}", rmt="", token=None, row={}, was=None, deadline=deadline)
        for n, deadline in enumerate(deadlines)
    ]

    assert what_stays(held, 10.0).startswith(text)


# a stop from within


@pytest.mark.parametrize("kind", ["claimed", "completed", "state"])
def test_a_stop_from_a_listener_returns_at_once_and_stops_after(catalog, kind):
    add(catalog, *[NEW] * 4)
    agent = ermpoll.Agent(queue(catalog, lease_s=4), lambda row: None)
    answers: list[tuple[bool, float]] = []

    def listener(event: ermpoll.Event) -> None:
        if event.kind == kind and not answers:
            begun = time.monotonic()
            answers.append((agent.stop(), time.monotonic() - begun))

    agent.subscribe(listener)
    agent.start()
    wait_until(lambda: agent.status.state == "stopped" and answers)

    [(stopped, took_s)] = answers
    assert not stopped
    assert took_s < 1
    assert (agent.status.held, agent.status.lost) == (0, 0)
    assert agent.stop()


def test_a_stop_from_work_returns_at_once_and_loses_no_short_lease(catalog):
    [rid] = add(catalog, NEW)
    answers: list[tuple[bool, float]] = []

    def stops(row: dict[str, Any]) -> dict[str, Any]:
        begun = time.monotonic()
        answers.append((agent.stop(), time.monotonic() - begun))
        return {"result": "done"}

    agent = ermpoll.Agent(queue(catalog, lease_s=4), stops)
    agent.start()
    wait_until(lambda: agent.status.state == "stopped" and answers)

    [(stopped, took_s)] = answers
    assert not stopped
    assert took_s < 1
    assert (read(catalog, rid)["result"], agent.status.lost) == ("done", 0)


def test_a_stop_from_a_transform_returns_at_once(catalog):
    add(catalog, *[NEW] * 2)
    took: list[float] = []

    def stops(row: dict[str, Any]) -> dict[str, Any]:
        begun = time.monotonic()
        agent.stop()
        took.append(time.monotonic() - begun)
        return {}

    agent = ermpoll.Agent(queue(catalog), lambda row: None, transform=stops)
    agent.start()
    wait_until(lambda: agent.status.state == "stopped" and took)

    assert max(took) < 1


def test_the_work_of_one_agent_waits_for_the_stop_of_another(catalog):
    add(catalog, NEW)
    other = ermpoll.Agent(queue(catalog, ready="hold"), lambda row: None).start()
    answers: list[bool] = []
    agent = ermpoll.Agent(
        queue(catalog), lambda row: answers.append(other.stop()), name="another"
    )

    agent.run_once()

    assert answers == [True]
    assert other.status.state == "stopped"


def test_a_job_that_ends_when_the_wait_for_it_is_over_leaves_nothing_stopping(
    catalog, work
):
    [rid], here, waited = add(catalog, NEW), threading.current_thread(), [0.0]

    def late(event: threading.Event, seconds: float) -> bool:
        """Let the job end after the wait, and before anybody hears of that."""
        ended = REAL.wait(event, seconds)
        waited[0] += seconds if threading.current_thread() is here else 0
        if waited[0] > 0.249 and not ended:
            work.go.set()
            wait_until(lambda: read(catalog, rid)["state"] == "complete")
            wait_until(lambda: agent.status.held == 0)
        return ended

    # with notices the next look by the timer is ten minutes away
    agent = ermpoll.Agent(
        queue(catalog), work, notices=LocalNotices(), clocks=replace(REAL, wait=late)
    )
    agent.start()
    assert work.begun.wait(10)

    agent.stop(timeout_s=0.25)

    wait_until(lambda: agent.status.state == "stopped", 2)


def test_an_interrupt_that_meets_a_wait_as_it_begins_is_soon_heard(catalog):
    """Python hears a signal between two instructions, or where it cuts a wait short."""
    add(catalog, NEW)
    slices: list[float] = []

    def met(event: threading.Event, seconds: float) -> bool:
        if threading.current_thread() is not threading.main_thread() or slices:
            return REAL.wait(event, seconds)
        slices.append(seconds)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        signal.raise_signal(signal.SIGINT)
        ended = REAL.wait(event, min(seconds, 1))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        return ended

    agent = ermpoll.Agent(
        queue(catalog), lambda row: {}, clocks=replace(REAL, wait=met)
    )

    agent.run(stop_timeout_s=5)

    assert slices[0] < 1
    assert agent.status.state == "stopped"


# an exit from within


@pytest.mark.parametrize("kind", ["claimed", "completed"])
def test_an_exit_in_a_listener_is_told_and_gives_the_rows_back(
    catalog, work, caplog, kind
):
    rids = add(catalog, {**NEW, "name": "quick"}, *[NEW] * 3)
    agent = ermpoll.Agent(
        queue(catalog), lambda row: None if row["name"] else work(row), workers=2
    )

    def quits(event: ermpoll.Event) -> None:
        if event.kind == kind:
            sys.exit(3)

    agent.subscribe(quits)
    agent.start()
    wait_until(lambda: agent.status.state == "stopped")

    assert "SystemExit" in agent.status.reason
    assert any("goes back" in record.getMessage() for record in caplog.records)
    assert agent.status.held == 0
    assert "claimed" not in states(catalog, rids)


@pytest.mark.parametrize("how", ["start", "run", "run_once"])
def test_an_exit_in_a_transform_is_told_and_gives_the_rows_back(
    catalog, work, caplog, how
):
    rids = add(catalog, *[NEW] * 2)

    def quits(row: dict[str, Any]) -> dict[str, Any]:
        if row["RID"] == rids[-1]:
            sys.exit(3)
        return {}

    agent = ermpoll.Agent(queue(catalog), work, transform=quits, workers=2)
    if how == "start":
        agent.start()
        wait_until(lambda: agent.status.state == "stopped")
        assert "SystemExit" in agent.status.reason
    else:
        with pytest.raises(SystemExit):
            getattr(agent, how)()

    assert any("goes back" in record.getMessage() for record in caplog.records)
    assert all(given_back(catalog, rid) for rid in rids)


def test_an_agent_that_an_exit_ended_can_be_started_again(catalog):
    add(catalog, NEW)
    quits = [True]

    def listener(event: ermpoll.Event) -> None:
        if quits:
            quits.clear()
            sys.exit()

    agent = ermpoll.Agent(queue(catalog), lambda row: None)
    agent.subscribe(listener)
    agent.start()
    wait_until(lambda: agent.status.state == "stopped")

    with agent:
        wait_until(lambda: agent.status.completed == 1)


# results that can't be written


@pytest.mark.parametrize("ends", mostly_long([True, False]))
def test_what_was_lost_since_the_catalog_was_away_is_told_as_that_and_once(
    catalog, way, door, work, caplog, ends
):
    rids = add(catalog, *[NEW] * 30)
    caplog.set_level(logging.WARNING, "ermpoll.agent")
    agent = ermpoll.Agent(
        queue(door, lease_s=2), work, workers=30, name="away", poll_s=0.5
    )
    reasons: list[str] = []
    agent.subscribe(
        lambda event: reasons.append(event.reason) if event.kind == "lost" else None
    )

    with agent:
        wait_until(lambda: agent.status.held == 30)
        way.rule = lambda method, path: ConnectionError()
        if ends:
            work.go.set()
        wait_until(lambda: agent.status.lost == 30, 20)
        work.go.set()

    [reason] = set(reasons)
    assert len(reasons) == 30
    assert reason.startswith("the catalog was away (")
    what = "its result could not be written" if ends else "it could not be renewed"
    assert reason.endswith(f"{what} before its lease was over")
    lines = [r for r in caplog.records if r.__dict__.get("event") == "lost"]
    assert len(lines) == 1
    assert set(states(catalog, rids)) == {"claimed"}


# beginning while it ends


def test_many_hands_at_start_and_stop_leave_one_true_status(catalog):
    agent = ermpoll.Agent(queue(catalog), lambda row: None)

    def hands() -> None:
        for _ in range(10):
            agent.start()
            agent.stop()

    threads = [threading.Thread(target=hands) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert agent.stop()
    assert agent.status.state == "stopped"
    [rid] = add(catalog, NEW)
    with agent:
        wait_until(lambda: read(catalog, rid)["state"] == "complete")


def test_a_second_run_works_and_a_run_beside_a_run_is_refused(catalog, work):
    agent = ermpoll.Agent(queue(catalog), work)
    add(catalog, NEW)
    agent.start()
    assert work.begun.wait(5)

    for run in (agent.run, agent.run_once):
        with pytest.raises(ermpoll.UsageError, match="is running"):
            run()

    work.go.set()
    assert agent.stop()
    agent.run(until_idle=True)
    agent.run(until_idle=True)

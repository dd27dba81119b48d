"""What an agent does when time, people or the network get in its way."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

import ermpoll
from tests.helpers.conditions import let_pass, wait_until
from tests.helpers.gate import Gate
from tests.helpers.tables import add, queue, read

NEW = {"state": "actionable"}


@pytest.mark.timeout(10)
def test_a_job_that_ends_when_its_renewal_is_due_is_finished(
    box: ermpoll.sandbox.Box,
) -> None:
    def work(row: dict[str, Any]) -> None:
        let_pass(0.6)

    agent = ermpoll.Agent(box.jobs(lease_s=1.2), work)

    finished = agent.run_once()

    assert (finished, agent.status.held) == (1, 0)


def test_an_overdue_claim_is_freed_under_a_backlog(box: ermpoll.sandbox.Box) -> None:
    jobs = box.jobs(lease_s=1)
    gone = jobs.claim()
    wait_until(lambda: gone.rids[0] in jobs.stale().rids)
    agent = ermpoll.Agent(jobs, lambda row: None)

    agent.run_once()

    assert gone.rids[0] not in jobs.held().rids
    assert agent.status.rescued == 1
    assert jobs.waiting() > 10


def test_four_agents_at_once_neither_collide_nor_read_what_is_gone() -> None:
    with ermpoll.sandbox.start(price=True) as slow:
        slow.add(400)
        agents = [
            ermpoll.Agent(slow.jobs(), lambda row: None, workers=2, name=f"agent {n}")
            for n in range(4)
        ]
        for agent in agents:
            agent.start()
        wait_until(lambda: not slow.jobs().waiting(), 60)
        for agent in agents:
            agent.stop()

    statuses = [agent.status for agent in agents]
    assert sum(status.completed for status in statuses) == 436
    assert sum(status.wasted for status in statuses) == 0
    # until each has its share, rows are read that others are about to claim
    assert sum(status.lost for status in statuses) <= 6


def test_an_agent_that_backs_off_and_holds_nothing_stops_at_once(
    box: ermpoll.sandbox.Box,
) -> None:
    agent = ermpoll.Agent(box.jobs(), lambda row: None)
    box.faults(status=503, times=1_000_000)
    agent.start()
    wait_until(lambda: (at := agent.status.next_look_at) and in_s(at) >= 1.5)

    begun = time.monotonic()
    stopped = agent.stop(timeout_s=10)

    assert stopped
    assert time.monotonic() - begun < 1


def in_s(at: datetime) -> float:
    return (at - datetime.now(UTC)).total_seconds()


def test_what_was_claimed_before_a_refusal_is_worked_and_the_refusal_is_said(catalog):
    first, second = add(catalog, NEW, {**NEW, "data": {"k": 1}})

    with Gate.before(catalog.url) as gate:

        def work(row):
            gate.left = float("inf")

        # json is never filled in, so that these are claimed in two PUTs
        agent = ermpoll.Agent(
            queue(ermpoll.connect(gate.url)),
            work,
            transform=lambda row: {"data": {"k": 2}} if row["data"] else {},
            workers=2,
        )
        gate.left = 1

        agent.run_once()

        refused = agent.jobs.refused()
    assert "no more today" in refused.refused[second]
    assert (agent.status.completed, agent.summary.refused) == (1, 1)
    assert read(catalog, first)["state"] == "complete"
    assert read(catalog, second)["state"] == "actionable"

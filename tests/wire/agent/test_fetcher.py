"""What an agent begins with: which candidates, overdue claims, and when it asks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import ermpoll
from ermpoll.backoff import REAL
from ermpoll.catalog.clock import time_text
from ermpoll.notices.base import LocalNotices
from tests.helpers.conditions import wait_until
from tests.helpers.tables import add, queue, read
from tests.helpers.virtual_world import REQUEST_S, Person, World

NEW = {"state": "actionable"}


def states(catalog: ermpoll.Catalog, rids: list[str]) -> list[object]:
    return [read(catalog, rid)["state"] for rid in rids]


def test_an_overdue_claim_is_rescued_and_done(catalog):
    [rid] = add(catalog, NEW)
    dead = queue(catalog, lease_s=1).claim(1)
    agent = ermpoll.Agent(queue(catalog), lambda row: {"result": "second"}, poll_s=600)

    with agent:
        assert wait_until(lambda: agent.status.completed == 1)

    assert agent.status.rescued == 1
    row = read(catalog, rid)
    assert (row["result"], row["attempts"]) == ("second", 2)
    assert row["owner"] != dead.token


def test_a_transform_that_refuses_every_row_leaves_the_agent_idle(catalog):
    add(catalog, *[NEW] * 12)
    agent = ermpoll.Agent(queue(catalog), lambda row: None, transform=lambda row: None)

    agent.run(until_idle=True)

    assert sum(agent.status.looks.values()) <= 2


def test_agents_of_one_process_ask_once_for_a_notice(box, catalog):
    notices = LocalNotices()
    agents = [
        ermpoll.Agent(queue(catalog), lambda row: None, name=f"a{n}", notices=notices)
        for n in range(4)
    ]
    for agent in agents:
        agent.start()
    assert wait_until(lambda: all(a.status.state == "waiting" for a in agents))

    notices.notify()
    assert wait_until(lambda: all(a.status.looks.get("unchanged") for a in agents))
    for agent in agents:
        agent.stop()

    assert [a.status.looks["unchanged"] for a in agents] == [1] * 4


def test_a_candidate_that_is_to_be_marked_is_asked_of_its_transform_once(catalog):
    rids = add(catalog, *[NEW] * 3)
    asked: list[str] = []

    def fails(row):
        asked.append(row["RID"])
        raise ValueError("no series")

    ermpoll.Agent(queue(catalog), lambda row: None, transform=fails, workers=3).run(
        until_idle=True
    )

    assert asked == rids
    assert states(catalog, rids) == ["failed"] * 3


def test_a_row_whose_time_comes_during_a_look_is_not_forgotten():
    with World.open() as world:
        person = Person(world)
        # an own write tells the catalog's time
        person.add({"code": "first-1"})
        agent = world.add_agent("agent")
        world.run(5)
        # no candidate when the look begins, and past when it asks what is next
        soon = agent.catalog.now() + timedelta(seconds=REQUEST_S / 2)
        [rid] = person.add({"code": "second-1"})
        person.edit(rid, retry_at=time_text(soon + timedelta(seconds=2 * REQUEST_S)))

        fetch = agent.agent._cycle._fetcher.fetch(1, conditional=False)

        assert fetch.claims == ()
        assert fetch.retry_s is not None


def test_whoever_is_late_for_the_first_rows_begins_further_behind(catalog):
    rids = add(catalog, *[NEW] * 20)
    half = replace(REAL, random=lambda: 0.5)
    agent = ermpoll.Agent(queue(catalog), lambda row: None, clocks=half)

    fetch = agent._cycle._fetcher.fetch(2, conditional=False, late=True)

    assert [step.rid for step in fetch.claims] == rids[10:12]

"""What an agent begins with: which candidates, overdue claims, and when it asks."""

from __future__ import annotations

import pytest

import ermpoll
from ermpoll.errors import UsageError
from ermpoll.notices.base import LocalNotices
from tests.helpers.conditions import wait_until
from tests.helpers.tables import add, queue, read

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


def test_shards_share_the_rows_without_overlap(catalog):
    rids = add(catalog, *[NEW] * 40)
    done = [
        ermpoll.Agent(queue(catalog), lambda row: None, spread=(k, 3), workers=40)
        for k in range(3)
    ]

    counts = [agent.run_once() for agent in done]

    assert sum(counts) == 40
    assert all(0 < count < 40 for count in counts)
    assert set(states(catalog, rids)) == {"complete"}


def test_a_random_start_does_every_row(catalog):
    rids = add(catalog, *[NEW] * 30)

    ermpoll.Agent(queue(catalog), lambda row: None, spread="random").run(
        until_idle=True
    )

    assert set(states(catalog, rids)) == {"complete"}


@pytest.mark.parametrize("spread", [(3, 3), (0, 17), "head", (1,)])
def test_a_spread_that_cant_be_is_refused(catalog, spread):
    with pytest.raises(UsageError, match="spread"):
        ermpoll.Agent(queue(catalog), lambda row: None, spread=spread)


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

"""Which rows an agent prefers where several compete for the same first ones."""

from __future__ import annotations

import pytest

import ermpoll
from ermpoll.errors import UsageError
from tests.helpers.tables import add, queue, read

NEW = {"state": "actionable"}


def states(catalog: ermpoll.Catalog, rids: list[str]) -> list[object]:
    return [read(catalog, rid)["state"] for rid in rids]


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

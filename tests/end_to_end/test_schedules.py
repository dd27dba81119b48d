"""Random schedules break no promise, and each planted fault is found by them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.end_to_end.chaos.planted import PLANTED, Planted
from tests.end_to_end.schedules.__main__ import tell
from tests.end_to_end.schedules.play import play
from tests.end_to_end.schedules.scene import seed_page
from tests.helpers.shares import mostly_long
from tests.helpers.virtual_world import Person, World


def broken(seeds: Sequence[int]) -> list[str]:
    return [tell(played) for played in map(play, seeds) if played.broken]


def first_broken(planted: Planted) -> list[str]:
    """Return what the first seed broke that broke such a thing."""
    for seed in range(1, 40):
        told = list(play(seed, planted.calm_s, **planted.weights).broken)
        if any(planted.found in line for line in told):
            return told
    return []


@pytest.mark.parametrize("first", mostly_long(range(1, 21, 4), keep=3))
def test_no_schedule_breaks_a_promise(first: int) -> None:
    assert broken(range(first, first + 4)) == []


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("first", range(1001, 2001, 100))
def test_a_thousand_schedules_break_no_promise(first: int) -> None:
    assert broken(range(first, first + 100)) == []


def test_the_same_seed_is_the_same_run() -> None:
    assert play(7).trace == play(7).trace
    assert play(7).trace != play(8).trace


def test_a_seed_is_seen_with_each_agent_in_a_column_of_its_own() -> None:
    page = play(7, shown=True).page

    assert ">agent1</th>" in page
    assert ">person</th>" in page
    assert "new to claimed" in page
    assert "works on" in page
    assert "nothing was broken" in page


def test_a_page_shows_the_rows_that_a_broken_promise_names() -> None:
    with World.open(5) as world:
        first, second = Person(world).add({"code": "ok-1.0"}, {"code": "ok-2.0"})
        page = seed_page(5, world, [f"{first} was done twice"], [first, second])

    assert f"1 rows: {first}" in page
    assert f"{first} was done twice" in page
    assert f"{second}: none to new" not in page


# planted


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found(name: str) -> None:
    planted = PLANTED[name]
    with pytest.MonkeyPatch.context() as patch:
        planted.plant(patch)
        told = first_broken(planted)

    assert any(planted.found in line for line in told)

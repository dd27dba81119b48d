"""Random schedules break no promise, and each planted fault is found by them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.end_to_end.chaos.planted import PLANTED, Planted
from tests.end_to_end.schedules.__main__ import tell
from tests.end_to_end.schedules.play import play
from tests.helpers.shares import mostly_long


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
@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", range(1001, 2001, 100))
def test_a_thousand_schedules_break_no_promise(first: int) -> None:
    assert broken(range(first, first + 100)) == []


def test_the_same_seed_is_the_same_run() -> None:
    assert play(7).trace == play(7).trace
    assert play(7).trace != play(8).trace


# planted


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found(name: str) -> None:
    planted = PLANTED[name]
    with pytest.MonkeyPatch.context() as patch:
        planted.plant(patch)
        told = first_broken(planted)

    assert any(planted.found in line for line in told)

from __future__ import annotations

import random
import statistics
from itertools import pairwise

import pytest

from ermpoll.agent.memory.durations import BUCKETS, DurationCounts, Durations


def measured(*seconds):
    counts = DurationCounts()
    for one in seconds:
        counts.add(one)
    return counts.of_now()


def test_percentiles_are_right_to_within_a_tenth():
    chance = random.Random(7)
    seconds = [chance.lognormvariate(1, 1.5) for _ in range(20_000)]
    found = measured(*seconds)

    exact = statistics.quantiles(seconds, n=100, method="inclusive")
    for percent in (50, 95, 99):
        assert found.percentile_s(percent) == pytest.approx(exact[percent - 1], rel=0.1)


def test_number_sum_and_ends_are_exact():
    found = measured(3, 0.5, 40)

    assert (found.n, found.total_s) == (3, 43.5)
    assert (found.shortest_s, found.longest_s) == (0.5, 40)
    assert found.mean_s == pytest.approx(14.5)


def test_nothing_measured_has_no_numbers_and_no_bars():
    none = Durations()

    assert (none.p50_s, none.p95_s, none.p99_s, none.mean_s) == (None,) * 4
    assert none.bars() == ()


def test_one_measurement_is_each_of_its_percentiles():
    found = measured(2.5)

    assert (found.p50_s, found.p99_s) == (2.5, 2.5)


def test_no_time_and_a_clock_set_back_count_as_the_shortest():
    found = measured(0, -3)

    assert (found.n, found.p99_s, found.longest_s) == (2, 0.0, 0.0)


def test_its_memory_does_not_grow():
    chance = random.Random(3)
    found = measured(*(10 ** chance.uniform(-9, 12) for _ in range(50_000)))

    assert len(found.buckets) <= BUCKETS


def test_bars_stand_beside_each_other_and_hold_all_that_was_measured():
    found = measured(*(0.001 * 1.01**n for n in range(1500)))
    bars = found.bars(most=12)

    assert len(bars) <= 12
    assert sum(bar.n for bar in bars) == found.n
    for left, right in pairwise(bars):
        assert left.to_s == pytest.approx(right.from_s)

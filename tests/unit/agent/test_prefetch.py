from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ermpoll.agent.prefetch import LONGEST_BATCH_WAIT_S, MOST, Prefetch

START = Prefetch(workers=4, lease_s=600)


def test_nothing_is_held_beyond_the_workers_before_anything_was_measured():
    assert START.capacity == 4
    assert START.batch_wait_s == 0


def test_short_jobs_are_held_in_ever_larger_batches():
    pace = START.worked(0.0001)
    holds = []
    for _ in range(8):
        pace = pace.cycled(0.1, ran_dry=True)
        holds.append(pace.capacity)

    assert holds == [8, 16, 32, 64, 128, 256, MOST, MOST]


def test_long_jobs_are_never_held_beyond_the_workers():
    pace = START.worked(30.0)
    for _ in range(5):
        pace = pace.cycled(0.1, ran_dry=True)

    assert pace.capacity == 4
    assert pace.batch_wait_s == 0


def test_a_batch_that_kept_the_workers_busy_does_not_grow():
    pace = START.worked(0.0001).cycled(0.1, ran_dry=True)

    assert pace.cycled(0.1, ran_dry=False).capacity == pace.capacity


def test_a_batch_shrinks_when_jobs_become_long():
    pace = START.worked(0.0001)
    for _ in range(8):
        pace = pace.cycled(0.1, ran_dry=True)
    for _ in range(20):
        pace = pace.worked(60.0)

    assert pace.cycled(0.1, ran_dry=True).capacity == 4


def test_a_prefetch_that_was_asked_for_is_kept_to():
    pace = Prefetch(workers=2, lease_s=600, prefetch=3).worked(0.0001)

    assert pace.cycled(0.1, ran_dry=True).capacity == 5


@given(
    st.lists(st.floats(1e-6, 1e4), max_size=20),
    st.lists(st.tuples(st.floats(1e-4, 60), st.booleans()), max_size=20),
    st.integers(1, 64),
    st.floats(1, 1e5),
)
def test_what_is_held_starts_within_a_quarter_of_the_lease(
    jobs, cycles, workers, lease_s
):
    pace = Prefetch(workers=workers, lease_s=lease_s)
    for seconds in jobs:
        pace = pace.worked(seconds)
    for seconds, dry in cycles:
        pace = pace.cycled(seconds, dry)

    assert workers <= pace.capacity <= max(workers, MOST)
    assert 0 <= pace.batch_wait_s <= LONGEST_BATCH_WAIT_S
    if pace.capacity > workers:
        assert (
            pace.capacity / workers * pace.work_s <= max(lease_s / 4, pace.work_s) * 2
        )

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ermpoll.agent.prefetch import (
    LEAST_BATCH,
    LONGEST_BATCH_WAIT_S,
    OTHERS_S,
    TRUST,
    WRITE_S,
    Prefetch,
)
from ermpoll.queue.plan import BATCH

START = Prefetch(workers=4, lease_s=600)
SHORT = START.worked([0.0001] * 100).cycled(0.1, ran_dry=True)


def test_nothing_is_held_beyond_the_workers_before_anything_was_measured():
    assert START.capacity == START.share == 4
    assert START.batch_wait_s == 0
    assert START.cycled(0.1, ran_dry=True).capacity == 4


def test_one_short_job_may_be_an_odd_one_and_many_are_not():
    one = START.worked([0.0001]).cycled(0.1, ran_dry=True)
    many = START.worked([0.0001] * 100).cycled(0.1, ran_dry=True)

    assert one.capacity == 4 + TRUST
    assert many.capacity == BATCH


def test_of_short_jobs_half_is_claimed_while_the_other_is_worked_on():
    assert SHORT.share == SHORT.capacity // 2


def test_long_jobs_are_never_held_beyond_the_workers():
    pace = START.worked([30.0])
    for _ in range(5):
        pace = pace.cycled(0.1, ran_dry=True)

    assert pace.capacity == pace.share == 4
    assert pace.batch_wait_s == 0


def test_a_batch_that_kept_the_workers_busy_does_not_grow():
    pace = START.worked([0.0001]).cycled(0.1, ran_dry=True)

    assert pace.worked([0.0001]).cycled(0.1, ran_dry=False).capacity == pace.capacity


def test_a_batch_shrinks_when_jobs_become_long():
    pace = SHORT
    for _ in range(20):
        pace = pace.worked([60.0])

    assert pace.cycled(0.1, ran_dry=True).capacity == 4


def test_a_write_is_as_large_as_what_its_answer_may_take():
    assert SHORT.batch == BATCH
    assert SHORT.wrote(BATCH, BATCH * WRITE_S / 400).batch == 400
    assert SHORT.wrote(BATCH, BATCH * WRITE_S / 400).cycled(0.1, True).capacity == 400
    assert SHORT.wrote(BATCH, 60).batch == LEAST_BATCH


def test_a_small_write_tells_nothing_of_what_a_row_costs():
    assert SHORT.wrote(5, 0.5).batch == BATCH


def test_with_more_that_take_turns_a_write_is_smaller():
    alone = SHORT.wrote(BATCH, 0.15)
    among = Prefetch(workers=4, lease_s=600, row_s=alone.row_s, writers=4)

    assert LEAST_BATCH < among.batch < alone.batch


def test_while_others_have_their_turns_all_that_is_held_is_worked_on():
    """So a write finishes as many rows as it claims, and none waits a round more."""
    many = replace(SHORT, writers=4).cycled(0.1, ran_dry=True)

    assert many.share == many.capacity == many.batch // 2
    assert many.batch_wait_s == OTHERS_S


def test_no_result_waits_longer_for_others_than_a_job_takes():
    assert SHORT.batch_wait_s == SHORT.work_s
    assert START.worked([0.08]).cycled(0.5, True).batch_wait_s == LONGEST_BATCH_WAIT_S


def test_a_prefetch_that_was_asked_for_is_kept_to():
    pace = Prefetch(workers=2, lease_s=600, prefetch=3).worked([0.0001])

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
        pace = pace.worked([seconds])
    for seconds, dry in cycles:
        pace = pace.cycled(seconds, dry)

    assert workers <= pace.share <= pace.capacity <= max(workers, BATCH)
    assert 0 <= pace.batch_wait_s <= LONGEST_BATCH_WAIT_S
    if pace.capacity > workers:
        assert (
            pace.capacity / workers * pace.work_s <= max(lease_s / 4, pace.work_s) * 2
        )

from __future__ import annotations

import math
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ermpoll.backoff import Clocks, Deadline, Pace, backoff_s, jittered_s


class Virtual:
    """A clock that only waiting moves."""

    def __init__(self, rand: float = 0.5) -> None:
        self.now = 0.0
        self.waits: list[float] = []
        self.clocks = Clocks(
            monotonic=lambda: self.now, random=lambda: rand, wait=self.wait
        )

    def wait(self, event: threading.Event, wait_s: float) -> bool:
        self.waits.append(wait_s)
        self.now += wait_s
        return event.is_set()


@given(st.integers(1, 1000))
def test_a_back_off_doubles_up_to_its_cap(failures):
    assert backoff_s(failures, 1.0, 60.0) == min(60.0, 2.0 ** (failures - 1))


@given(st.integers(-5, 10**12), st.floats(0, 0.999))
def test_no_number_of_failures_is_too_large(failures, rand):
    assert 0 <= jittered_s(failures, 10.0, 3600.0, rand) < 3600.0


def test_a_deadline_waits_longer_each_time_and_never_past_its_end():
    here = Virtual()
    deadline = Deadline(1.0, cap_s=0.4, clocks=here.clocks)

    while deadline.wait():
        pass

    assert here.waits == pytest.approx([0.02, 0.04, 0.08, 0.16, 0.2, 0.2, 0.2])
    assert here.now < 1.0


def test_a_stop_ends_the_trying():
    here, stop = Virtual(), threading.Event()
    stop.set()

    assert not Deadline(math.inf, stop=stop, clocks=here.clocks).wait()


def test_turns_are_so_many_a_second_and_none_is_saved_up():
    here = Virtual()
    pace, stop = Pace(5, patience_s=0, clocks=here.clocks), threading.Event()
    turns = []

    for idle_s in (0, 0, 0, 10, 0):
        here.now += idle_s
        pace.wait(stop)
        turns.append(here.now)

    assert turns == pytest.approx([0, 0.2, 0.4, 10.4, 10.6])


def test_without_a_rate_there_is_a_turn_at_once():
    here = Virtual()
    pace = Pace(None, patience_s=0, clocks=here.clocks)

    for _ in range(3):
        pace.wait(threading.Event())

    assert here.waits == []

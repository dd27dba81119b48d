from __future__ import annotations

import threading
import time

from ermpoll.catalog.turns import LONGEST_WAIT_S, Turns


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def elsewhere(turns: Turns) -> list[object]:
    """What another thread gets that waits for a moment only."""
    got: list[object] = []
    thread = threading.Thread(target=lambda: got.append(turns.begin(0.01)))
    thread.start()
    thread.join(5)
    return got


def test_it_is_one_thread_s_turn_at_a_time():
    turns = Turns()
    mine = turns.begin()

    assert elsewhere(turns) == [None]
    assert mine is not None
    turns.end(mine)
    assert elsewhere(turns) != [None]


def test_a_turn_within_a_turn_is_the_same():
    turns = Turns()
    mine = turns.begin()

    assert turns.begin() is None
    assert mine is not None


def test_who_waits_is_woken_by_the_end_of_a_turn():
    turns, began, took = Turns(), threading.Event(), []

    def wait() -> None:
        at = time.monotonic()
        began.set()
        turns.begin()
        took.append(time.monotonic() - at)

    mine = turns.begin()
    thread = threading.Thread(target=wait)
    thread.start()
    assert began.wait(5)
    assert mine is not None
    turns.end(mine)
    thread.join(5)

    assert took[0] < LONGEST_WAIT_S / 2


def test_a_turn_that_hangs_is_passed_over_and_ends_no_other():
    clock = Clock()
    turns = Turns(clock)
    hanging = turns.begin()
    clock.now += LONGEST_WAIT_S

    [theirs] = elsewhere(turns)
    assert hanging is not None
    turns.end(hanging)

    assert theirs is not None
    assert turns.begin(0) is None

"""When an executor that failed is tried again: pure values."""

from __future__ import annotations

import pytest

from ermpoll.agent.executor.breaker import (
    TRIAL_LIMIT_S,
    TRIAL_LONGEST_S,
    Breaker,
    Circuit,
)


def after(faults: int, rand: float = 1.0) -> Breaker:
    """A breaker whose trials were all answered, and whose work failed again."""
    breaker = Breaker()
    for _ in range(faults):
        breaker = breaker.answered().failed(0.0, rand, "broken")
    return breaker


def test_waits_double_with_each_fault_up_to_a_minute_and_are_fully_jittered():
    assert [after(n).at for n in range(1, 5)] == [1, 2, 4, 8]
    assert after(100).at == TRIAL_LONGEST_S
    assert after(3, rand=0.25).at == 1


def test_the_faults_of_one_break_count_once():
    once = Breaker().failed(0.0, 1.0, "broken")

    assert once.failed(0.1, 1.0, "broken as well") is once


def test_a_trial_that_fails_is_a_fault_of_its_own():
    again = after(1).trying(1.0).failed(2.0, 1.0, "still broken")

    assert (again.circuit, again.faults, again.at) == (Circuit.OPEN, 2, 4.0)
    assert again.reason == "still broken"


def test_only_work_that_was_done_ends_the_row_of_faults():
    answered = after(3).trying(0.0).answered()

    assert (answered.circuit, answered.faults) == (Circuit.CLOSED, 3)
    assert answered.failed(0.0, 1.0, "broken").at == 8
    assert answered.worked() == Breaker()


def test_work_that_ends_late_does_not_close_the_circuit():
    broken = after(1)

    assert broken.worked() is broken


def test_a_trial_without_an_answer_is_no_fault_but_is_told_of():
    asked = Breaker().trying(5.0)
    again = asked.trying(5.0 + TRIAL_LIMIT_S)

    assert asked.silent_s(4.9 + TRIAL_LIMIT_S) == 0.0
    assert again.silent_s(25.0 + TRIAL_LIMIT_S) == 20.0 + TRIAL_LIMIT_S
    assert (again.faults, again.reason) == (0, "")
    assert again.answered().silent_s(1000.0) == 0.0


def test_who_begins_anew_waits_for_no_old_trial_and_no_old_back_off():
    asked = Breaker().trying(5.0).anew(500.0)

    assert (asked.circuit, asked.due_s(500.0)) == (Circuit.OPEN, 0.0)
    assert asked.trying(500.0).silent_s(501.0) == 0.0
    assert after(3).anew(0.5).due_s(0.5) == 0.0
    assert Breaker().anew(0.5).circuit is Circuit.CLOSED


@pytest.mark.parametrize(
    ("breaker", "due_s"),
    [
        (Breaker(), None),
        (after(2), 1.5),
        (after(2).trying(0.5), TRIAL_LIMIT_S),
    ],
)
def test_it_says_when_there_is_something_to_do(breaker, due_s):
    assert breaker.due_s(0.5) == due_s

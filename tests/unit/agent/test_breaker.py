"""When an executor that failed is tried again: pure values."""

from __future__ import annotations

import pytest

from ermpoll.agent.breaker import TRIAL_LIMIT_S, TRIAL_LONGEST_S, Breaker, Circuit


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

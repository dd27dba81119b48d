from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from ermpoll.agent.held_jobs import HeldJobs
from ermpoll.queue.transitions import Held
from tests.helpers.conditions import let_pass


def held(rid: str, deadline: float = float("inf"), **row: object) -> Held:
    return Held(
        rid=rid,
        rmt="t",
        token="k",
        row={"RID": rid, **row},
        was="new",
        deadline=deadline,
    )


class Desk:
    """An executor whose jobs the test ends by hand."""

    def __init__(self) -> None:
        self.futures: dict[str, Future[object]] = {}

    def submit(self, row: dict[str, object]) -> Future[object]:
        future = self.futures[str(row["RID"])] = Future()
        return future


@pytest.fixture
def desk() -> Desk:
    return Desk()


def take(hand: HeldJobs, desk: Desk, *rids: str) -> None:
    hand.take([held(rid) for rid in rids], desk.submit)


def test_as_many_rows_run_as_there_are_workers(desk):
    hand = HeldJobs(2, lambda: None)
    take(hand, desk, "A", "B", "C")

    assert [one.rid for one in hand.running(None)] == ["A", "B"]
    desk.futures["A"].set_result(None)
    assert [one.rid for one in hand.running(None)] == ["B", "C"]
    assert (len(hand), hand.busy, hand.ended) == (3, 2, 1)


def test_what_ended_stays_held_until_it_is_dropped(desk):
    told = []
    hand = HeldJobs(1, lambda: told.append("ended"))
    take(hand, desk, "A")
    desk.futures["A"].set_result({"n": 1})

    [one] = hand.take_ended()

    assert (one.held.rid, one.result, one.error, told) == ("A", {"n": 1}, "", ["ended"])
    assert ("A" in hand, hand.take_ended()) == (True, [])
    hand.put_back([one])
    assert hand.take_ended() == [one]
    hand.drop(["A"])
    assert len(hand) == 0


def test_what_an_executor_raises_is_its_own_fault(desk):
    hand = HeldJobs(1, lambda: None)
    take(hand, desk, "A")
    error = ValueError("x")
    desk.futures["A"].set_exception(error)

    assert hand.take_ended()[0].fault == "ValueError: x"


def test_cancel_takes_back_only_what_no_worker_has_begun():
    go = threading.Event()
    begun = threading.Event()

    def work(row):
        begun.set()
        go.wait(10)

    with ThreadPoolExecutor(1) as pool:
        hand = HeldJobs(1, lambda: None)
        hand.take([held("A"), held("B")], lambda row: pool.submit(work, row))
        assert begun.wait(5)

        assert [one.rid for one in hand.cancel()] == ["B"]
        assert [one.rid for one in hand.cancel(running=True)] == ["A", "B"]
        go.set()


def test_a_worker_that_does_not_come_back_is_counted_as_stuck(desk):
    hand = HeldJobs(1, lambda: None)
    take(hand, desk, "A")
    desk.futures["A"].set_running_or_notify_cancel()

    hand.drop(["A"])
    take(hand, desk, "B")

    assert (hand.stuck, hand.running(None)) == (1, ())
    desk.futures["A"].set_result("late")
    assert (hand.stuck, [one.rid for one in hand.running(None)]) == (0, ["B"])
    assert hand.take_ended() == []


def test_an_executor_that_takes_no_more_is_asked_once_and_fails_no_row():
    asked = []

    def refuse(row):
        asked.append(row["RID"])
        raise ConnectionError("no route")

    hand = HeldJobs(1, lambda: None)
    hand.take([held("A"), held("B")], refuse)

    ended = hand.take_ended()
    assert asked == ["A"]
    assert [(one.fault, one.error) for one in ended] == [
        ("ConnectionError: no route", "")
    ] * 2


def test_a_call_that_somebody_else_cancels_is_a_fault_and_one_of_ours_is_not(desk):
    hand = HeldJobs(1, lambda: None)
    take(hand, desk, "A", "B", "C")
    desk.futures["A"].set_running_or_notify_cancel()

    desk.futures["C"].cancel()
    [one] = hand.take_ended()
    assert (one.held.rid, one.fault) == ("C", "the call was cancelled by somebody else")

    hand.drop(["C"])
    assert [back.rid for back in hand.cancel()] == ["B"]
    assert hand.take_ended() == []


def test_what_breaks_while_it_is_asked_back_is_not_forgotten(desk):
    hand = HeldJobs(1, lambda: None)
    take(hand, desk, "A")
    desk.futures["A"].set_running_or_notify_cancel()

    assert hand.cancel() == []
    desk.futures["A"].set_exception(OSError("the worker is gone"))

    assert hand.take_ended()[0].fault == "OSError: the worker is gone"


def test_leases_are_renewed_after_a_third_and_lapse_at_their_end(desk):
    now = time.monotonic()
    hand = HeldJobs(1, lambda: None)
    hand.take([held("A", deadline=now + 30)], desk.submit)

    assert hand.to_renew(30, now) == []
    assert hand.renewal_due_s(30, now) == pytest.approx(10)
    assert [one.rid for one in hand.to_renew(30, now + 10.1)] == ["A"]
    assert [one.rid for one in hand.lapsed(now + 30)] == ["A"]
    assert hand.to_renew(30, now + 30) == []
    hand.renewed(held("A", deadline=now + 60))
    assert hand.lapsed(now + 30) == []


def test_without_a_lease_nothing_is_due(desk):
    hand = HeldJobs(1, lambda: None)
    take(hand, desk, "A")

    assert (hand.renewal_due_s(600, time.monotonic()), hand.lapsed(1e12)) == (None, [])


def test_gather_ends_when_half_of_the_jobs_have_ended(desk):
    hand = HeldJobs(4, lambda: None)
    take(hand, desk, "A", "B", "C", "D")
    desk.futures["A"].set_result(None)
    threading.Timer(0.05, lambda: desk.futures["B"].set_result(None)).start()

    before = time.monotonic()
    hand.gather(10)

    assert time.monotonic() - before < 5
    assert hand.ended == 2


def test_attempts_are_shown_where_the_table_counts_them(desk):
    hand = HeldJobs(1, lambda: None)
    hand.take([held("A", tries=2)], desk.submit)

    assert [one.attempt for one in hand.running("tries")] == [2]
    assert [one.attempt for one in hand.running(None)] == [None]


def test_time_that_a_job_took_is_its_own(desk):
    hand = HeldJobs(1, lambda: None)
    take(hand, desk, "A", "B")
    let_pass(0.05)
    desk.futures["A"].set_result(None)
    desk.futures["B"].set_result(None)

    a, b = hand.take_ended()

    assert a.worked_s >= 0.05 > b.worked_s


def test_of_jobs_that_end_together_one_call_is_made_until_they_are_taken(desk):
    told = []
    hand = HeldJobs(3, lambda: told.append(hand.ended))
    take(hand, desk, "A", "B", "C")

    desk.futures["A"].set_result(None)
    desk.futures["B"].set_result(None)
    taken = hand.take_ended()
    hand.put_back(taken)
    desk.futures["C"].set_result(None)

    assert told == [1, 3]

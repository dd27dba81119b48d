from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from ermpoll.agent.execution import Report
from ermpoll.agent.held_jobs import Finished, HeldJobs, JobState
from ermpoll.backoff import Clocks
from ermpoll.queue.transitions import Held

DONE = Report(result={"n": 1})


def held(rid: str, deadline: float = float("inf"), **row: object) -> Held:
    whole = {"RID": rid, **row}
    return Held(rid=rid, rmt="t", token="k", row=whole, was="new", deadline=deadline)


class Desk:
    """An executor whose calls the test begins and ends by hand."""

    def __init__(self) -> None:
        self.futures: dict[str, Future[object]] = {}

    def submit(self, row: dict[str, object]) -> Future[object]:
        future = self.futures[str(row["RID"])] = Future()
        return future

    def begin(self, rid: str) -> None:
        assert self.futures[rid].set_running_or_notify_cancel()

    def end(self, *rids: str) -> None:
        for rid in rids:
            self.futures[rid].set_result(DONE)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def told() -> list[int]:
    return []


@pytest.fixture
def now() -> list[float]:
    """The time, for the test to move."""
    return [100.0]


@pytest.fixture
def jobs(told: list[int], now: list[float]) -> HeldJobs:
    """The jobs of an agent with two workers."""
    clocks = Clocks(monotonic=lambda: now[0])
    made = HeldJobs(2, lambda: told.append(made.finished), clocks)
    return made


def hold(jobs: HeldJobs, desk: Desk, *rids: str) -> None:
    jobs.hold([held(rid) for rid in rids])
    jobs.hand_out(desk.submit)


def running(jobs: HeldJobs) -> list[str]:
    return [one.rid for one in jobs.running(None)]


def given_back(jobs: HeldJobs) -> list[str]:
    return [one.held.rid for one in jobs.pop_finished() if one.given_back]


def test_as_many_rows_run_as_there_are_workers(jobs, desk):
    hold(jobs, desk, "A", "B", "C")

    assert (running(jobs), jobs.free) == (["A", "B"], 0)
    desk.end("A")
    assert running(jobs) == ["B", "C"]
    assert (len(jobs), jobs.busy, jobs.finished) == (3, 2, 1)
    desk.end("B")
    assert (running(jobs), jobs.free) == (["C"], 1)


def test_what_ended_stays_held_until_it_is_forgotten(jobs, desk, told):
    hold(jobs, desk, "A")
    desk.end("A")

    [one] = jobs.pop_finished()

    assert one == Finished(held=held("A"), report=DONE)
    assert ("A" in jobs, jobs.pop_finished(), told) == (True, [], [1])
    jobs.requeue_finished([one])
    assert jobs.pop_finished() == [one]
    jobs.forget(["A"])
    assert (len(jobs), jobs.free) == (0, 2)


def test_what_an_executor_raises_or_returns_of_itself_is_its_own_fault(jobs, desk):
    hold(jobs, desk, "A", "B")

    desk.futures["A"].set_exception(ValueError("x"))
    desk.futures["B"].set_result({"n": 1})

    faults = [one.report.fault for one in jobs.pop_finished()]
    assert faults == ["ValueError: x", "expected what was called, found dict"]


def test_what_no_worker_has_begun_is_given_back(jobs):
    go, begun = threading.Event(), threading.Barrier(3, timeout=5)

    def work(row):
        begun.wait()
        assert go.wait(10)
        return DONE

    with ThreadPoolExecutor(2) as pool:
        rows = [held(rid) for rid in "ABCD"]
        jobs.hold(rows)
        jobs.hand_out(lambda row: pool.submit(work, row), tells_running=True)
        begun.wait()

        jobs.give_back()
        assert given_back(jobs) == ["C", "D"]
        jobs.give_back(running=True)
        assert given_back(jobs) == ["A", "B"]
        go.set()


def test_what_was_given_back_is_so_again_where_its_write_did_not_happen(jobs, desk):
    hold(jobs, desk, "A", "B", "C")
    desk.begin("A")
    jobs.give_back()
    taken = jobs.pop_finished()

    jobs.requeue_finished(taken)
    jobs.give_back()

    assert given_back(jobs) == ["B", "C"]


def test_an_executor_that_never_says_what_runs_gives_back_nothing_that_may(jobs, desk):
    hold(jobs, desk, "A", "B", "C")

    jobs.give_back()

    assert (given_back(jobs), jobs.busy) == ([], 3)
    assert not any(future.cancelled() for future in desk.futures.values())
    jobs.give_back(running=True)
    assert given_back(jobs) == ["A", "B", "C"]


def test_one_future_that_says_that_it_runs_is_enough_to_believe_the_others(jobs, desk):
    hold(jobs, desk, "A", "B", "C")
    desk.begin("A")

    jobs.give_back()

    assert given_back(jobs) == ["B", "C"]
    assert (running(jobs), jobs.busy) == (["A"], 1)


@pytest.mark.parametrize("says", [True, False])
def test_a_worker_that_does_not_come_back_is_not_free(jobs, desk, says):
    hold(jobs, desk, "A")
    if says:
        desk.begin("A")

    jobs.forget(["A"])
    hold(jobs, desk, "A", "C")

    assert (jobs.stuck, running(jobs), len(jobs)) == (1, ["A"], 2)


def test_a_worker_that_comes_back_late_is_free_and_its_result_nobodys(jobs, desk):
    hold(jobs, desk, "A", "B")
    desk.begin("A")
    jobs.forget(["A"])
    hold(jobs, desk, "C")

    desk.end("A")

    assert (jobs.stuck, running(jobs)) == (0, ["B", "C"])
    assert jobs.pop_finished() == []


def test_a_row_that_is_lost_before_its_work_was_begun_is_not_worked_on(jobs, desk):
    hold(jobs, desk, "A", "B", "C")
    desk.begin("A")
    jobs.give_back()

    jobs.forget(["C"])

    assert desk.futures["C"].cancelled()


def test_an_executor_that_takes_no_more_is_asked_once_and_fails_no_row(jobs):
    asked = []

    def refuse(row):
        asked.append(row["RID"])
        raise ConnectionError("no route")

    jobs.hold([held("A"), held("B")])
    jobs.hand_out(refuse)

    ended = jobs.pop_finished()
    assert asked == ["A"]
    assert [(one.report.fault, one.report.error) for one in ended] == [
        ("ConnectionError: no route", "")
    ] * 2


def test_a_call_that_somebody_else_cancels_is_a_fault_and_one_of_ours_is_not(
    jobs, desk
):
    hold(jobs, desk, "A", "B", "C")
    desk.begin("A")

    desk.futures["C"].cancel()
    [one] = jobs.pop_finished()
    assert one.report.fault == "the call was cancelled by somebody else"

    jobs.forget(["C"])
    jobs.give_back()
    assert given_back(jobs) == ["B"]
    assert jobs.pop_finished() == []


def test_what_breaks_while_it_is_asked_back_is_not_forgotten(jobs, desk):
    hold(jobs, desk, "A")
    desk.begin("A")

    jobs.give_back()
    desk.futures["A"].set_exception(OSError("the worker is gone"))

    [one] = jobs.pop_finished()
    assert (one.report.fault, one.given_back) == ("OSError: the worker is gone", False)


def test_leases_are_renewed_after_a_third_and_lapse_at_their_end(jobs, desk):
    jobs.hold([held("A", deadline=130)])
    jobs.hand_out(desk.submit)

    assert jobs.to_renew(30, 100) == []
    assert jobs.renewal_due_s(30, 100) == pytest.approx(10)
    assert [one.rid for one in jobs.to_renew(30, 110.1)] == ["A"]
    assert jobs.lapsed(130) == {"A": JobState.RUNNING}
    assert jobs.to_renew(30, 130) == []
    jobs.renew(held("A", deadline=160))
    assert jobs.lapsed(130) == {}


def test_without_a_lease_nothing_is_due(jobs, desk):
    hold(jobs, desk, "A")

    assert (jobs.renewal_due_s(600, 100), jobs.lapsed(1e12)) == (None, {})


def test_a_wait_ends_when_half_of_the_jobs_have_ended(desk):
    jobs = HeldJobs(4, lambda: None)
    hold(jobs, desk, "A", "B", "C", "D")
    desk.end("A")
    waits = threading.Thread(target=jobs.wait_for_finished, args=(20,))
    waits.start()

    desk.end("B")
    waits.join(5)

    assert not waits.is_alive()
    assert jobs.finished == 2


def test_attempts_are_shown_where_the_table_counts_them(jobs, desk):
    jobs.hold([held("A", tries=2)])
    jobs.hand_out(desk.submit)

    assert [one.attempt for one in jobs.running("tries")] == [2]
    assert [one.attempt for one in jobs.running(None)] == [None]


def test_time_that_a_job_took_is_its_own(jobs, desk, now):
    hold(jobs, desk, "A", "B", "C")
    now[0] += 5
    desk.end("A")
    now[0] += 1
    desk.end("C")

    assert [one.worked_s for one in jobs.pop_finished()] == [5, 1]


def test_a_job_is_over_its_time_from_when_it_had_a_worker(jobs, desk, now):
    hold(jobs, desk, "A", "B", "C")
    now[0] += 5
    desk.end("A")

    assert [one.rid for one in jobs.overtime(4, now[0])] == ["B"]
    assert jobs.overtime(5, now[0]) == []


def test_of_jobs_that_end_together_one_call_is_made_until_they_are_taken(
    jobs, desk, told
):
    hold(jobs, desk, "A", "B", "C")

    desk.end("A", "B")
    jobs.requeue_finished(jobs.pop_finished())
    desk.end("C")

    assert told == [1, 3]


def test_what_is_held_and_not_handed_out_goes_back_at_once():
    jobs, handed = HeldJobs(4, lambda: None), []
    jobs.hold([held("A"), held("B")])
    jobs.forget(["A"])
    assert jobs.has_new
    assert jobs.busy == 1

    jobs.give_back()
    jobs.hand_out(handed.append)

    assert given_back(jobs) == ["B"]
    assert handed == []
    assert not jobs.has_new


def test_a_look_is_pressing_once_it_was_asked_for_and_half_has_ended():
    jobs = HeldJobs(4, lambda: None)
    pool = ThreadPoolExecutor(1)
    jobs.hold([held("A"), held("B")])
    before = jobs.is_pressing
    jobs.hand_out(lambda row: pool.submit(lambda: DONE))
    pool.shutdown()
    after = jobs.is_pressing
    jobs.pop_finished()

    assert (before, after, jobs.is_pressing) == (False, True, False)

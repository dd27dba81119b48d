"""One thread of control at a time, on a thread of its own or on the caller's."""

from __future__ import annotations

import threading
import time

import pytest

from ermpoll.errors import UsageError
from ermpoll.polling.thread import ControlledThread


def idle(stop: threading.Event) -> None:
    stop.wait(30)


@pytest.fixture
def runner() -> ControlledThread:
    return ControlledThread(
        wake=lambda: None, begun=lambda: None, ended=lambda why: None
    )


def test_stopping_a_run_on_the_callers_thread_does_not_wait_for_that_thread(
    runner: ControlledThread,
) -> None:
    stopped: list[tuple[bool, float]] = []

    def stop(body_stop: threading.Event) -> None:
        def act() -> None:
            began = time.monotonic()
            stopped.append((runner.stop(10), time.monotonic() - began))

        stopper = threading.Thread(target=act)
        stopper.start()
        idle(body_stop)
        threads.append(stopper)

    threads: list[threading.Thread] = []

    runner.run("ermpoll-test", stop)
    threads[0].join(5)

    (ended, took_s) = stopped[0]
    assert ended
    assert took_s < 1


def test_stopping_a_thread_waits_for_its_end(runner: ControlledThread) -> None:
    runner.start("ermpoll-test", idle)

    assert runner.stop(5)
    assert not runner.running


def test_a_second_run_at_the_same_time_is_refused(runner: ControlledThread) -> None:
    runner.start("ermpoll-test", idle)

    with pytest.raises(UsageError, match="running already"):
        runner.run("ermpoll-test", idle)

    runner.stop(5)


def test_a_run_can_follow_a_run(runner: ControlledThread) -> None:
    runner.run("ermpoll-test", lambda stop: None)
    runner.start("ermpoll-test", idle)

    assert runner.stop(5)


def test_a_start_between_the_end_of_the_body_and_of_the_run_is_not_lost(
    runner: ControlledThread,
) -> None:
    bodies: list[str] = []
    again = threading.Event()

    def body(stop: threading.Event) -> None:
        bodies.append(threading.current_thread().name)
        stop.wait(5)
        if len(bodies) == 1:
            # The last moment: this body has seen its stop, and is about to end.
            bodies.append(runner.start("ermpoll-other", body))
        else:
            again.set()

    runner.start("ermpoll-test", body)
    runner.stop(0.2)

    assert not again.is_set()
    assert runner.stop(5)
    assert bodies == ["ermpoll-test", "resumed", "ermpoll-test"]


def test_a_run_that_ends_while_a_stop_gives_up_has_the_last_word() -> None:
    said: list[str] = []
    go, ended = threading.Event(), threading.Event()

    def late() -> None:
        go.set()
        # the body ends now, and this is not over yet
        assert not ended.wait(0.1)
        said.append("late")

    runner = ControlledThread(
        wake=lambda: None,
        begun=lambda: None,
        ended=lambda why: (said.append("ended"), ended.set()),
        late=late,
    )
    runner.start("ermpoll-test", lambda stop: go.wait(5))

    stopped = runner.stop(0.01)

    assert not stopped
    assert ended.wait(5)
    assert said == ["late", "ended"]


def test_a_start_in_another_one_s_place_begins_nothing() -> None:
    calls: list[str] = []
    runner = ControlledThread(
        wake=lambda: None,
        begun=lambda: calls.append("begun"),
        ended=lambda why: calls.append("ended"),
        may_run=lambda: False,
    )

    assert runner.start("ermpoll-test", idle) == "replaced"
    runner.run("ermpoll-test", idle)

    assert not runner.running
    assert calls == ["begun", "ended"] * 2


def test_a_stop_that_was_taken_back_is_not_told_as_late() -> None:
    late: list[bool] = []
    stopping = threading.Event()
    runner = ControlledThread(
        wake=stopping.set,
        begun=lambda: None,
        ended=lambda why: None,
        late=lambda: late.append(True),
    )
    go = threading.Event()

    def body(stop: threading.Event) -> None:
        go.wait(10)

    runner.start("ermpoll-test", body)
    answers: list[bool] = []
    stopper = threading.Thread(target=lambda: answers.append(runner.stop(0.2)))
    stopper.start()
    assert stopping.wait(5)
    resumed = runner.start("ermpoll-test", body)
    stopper.join(5)
    go.set()
    ended = runner.stop(5)

    assert (resumed, answers, late, ended) == ("resumed", [False], [], True)

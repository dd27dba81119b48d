"""Own threads: no more than asked for, and never in the way of an end."""

from __future__ import annotations

import threading

import pytest

from ermpoll.agent.executor.daemon_pool import DaemonThreadPool
from tests.helpers.conditions import wait_until


def test_own_threads_take_no_more_than_they_are_and_end_when_they_are_told():
    pool = DaemonThreadPool(2, "ermpoll-test")
    go = threading.Event()
    names: list[str] = []

    def work(n: int) -> int:
        names.append(threading.current_thread().name)
        assert go.wait(5)
        return n

    futures = [pool.submit(work, n) for n in range(6)]
    wait_until(lambda: len(names) == 2)
    go.set()
    assert [future.result(5) for future in futures] == list(range(6))
    pool.shutdown()

    assert set(names) == {"ermpoll-test_0", "ermpoll-test_1"}
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(work, 7)


def test_a_call_does_not_wait_for_a_thread_that_is_at_another():
    go = threading.Event()
    for _ in range(50):
        pool = DaemonThreadPool(2, "ermpoll-test")
        pool.submit(go.wait, 10)
        assert pool.submit(int).result(5) == 0
        pool.shutdown(wait=False)
    go.set()


def test_own_threads_are_not_begun_for_what_an_idle_one_can_do():
    pool = DaemonThreadPool(4, "ermpoll-test")
    for _ in range(20):
        pool.submit(int).result(5)
        wait_until(lambda: pool._idle._value > 0)

    assert len(pool._threads) == 1
    pool.shutdown()


def test_a_shutdown_of_own_threads_can_cancel_what_was_not_begun():
    pool = DaemonThreadPool(1, "ermpoll-test")
    begun, go = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert go.wait(5)

    first, second = pool.submit(work), pool.submit(work)
    assert begun.wait(5)
    pool.shutdown(wait=False, cancel_futures=True)
    go.set()

    assert first.result(5) is None
    assert second.cancelled()
    pool.shutdown()


def test_own_threads_end_though_an_interrupt_met_the_beginning_of_one(monkeypatch):
    """Ctrl-C, or a dry run that is cancelled, between its start and our note of it."""
    pool = DaemonThreadPool(2, "ermpoll-interrupted")
    start, begun = threading.Thread.start, threading.Event()

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        assert begun.wait(5)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pool.submit(begun.set)
    assert pool.submit(int).result(5) == 0
    pool.shutdown()

    def running() -> list[str]:
        names = (thread.name for thread in threading.enumerate())
        return [name for name in names if name.startswith("ermpoll-interrupted")]

    wait_until(lambda: not running())


def test_more_threads_begin_at_once_for_what_waits():
    pool, go = DaemonThreadPool(1, "ermpoll-test"), threading.Event()
    for _ in range(4):
        pool.submit(go.wait, 10)
    wait_until(lambda: pool._calls.qsize() == 3)

    pool.resize(3)

    wait_until(lambda: pool._calls.qsize() == 1)
    go.set()
    pool.shutdown()


def test_threads_that_are_too_many_end_after_their_call():
    pool, go = DaemonThreadPool(4, "ermpoll-test"), threading.Event()
    futures = [pool.submit(go.wait, 10) for _ in range(4)]
    wait_until(lambda: len(pool._threads) == 4)
    threads = [*pool._threads]

    pool.resize(1)
    go.set()
    for future in futures:
        assert future.result(5)

    wait_until(lambda: sum(thread.is_alive() for thread in threads) == 1)
    assert pool.submit(int).result(5) == 0
    pool.shutdown()
    wait_until(lambda: not any(thread.is_alive() for thread in threads))


def test_threads_that_wait_for_a_call_are_ended_as_well():
    pool = DaemonThreadPool(3, "ermpoll-test")
    go = threading.Event()
    futures = [pool.submit(go.wait, 10) for _ in range(3)]
    go.set()
    for future in futures:
        future.result(5)
    wait_until(lambda: pool._idle._value == 3)

    pool.resize(1)

    wait_until(lambda: len(pool._threads) == 1)
    assert pool.submit(int).result(5) == 0
    pool.shutdown()

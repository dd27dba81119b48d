"""Turns at writing: within a thread, between threads, between processes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ermpoll.catalog.write_lock import LONGEST_WAIT_S, Turns, WriteLock
from tests.helpers.conditions import let_pass, wait_until

pytestmark = pytest.mark.usefixtures("folder")

URL = "http://localhost:1/ermrest/catalog/1"
_OTHER = """
import sys
import time
from ermpoll.catalog.write_lock import WriteLock
lock = WriteLock({url!r})
with lock.hold():
    print("in", flush=True)
    sys.stdin.readline()
with lock.hold():
    print(time.monotonic(), flush=True)
    sys.stdin.readline()
"""


@contextmanager
def another_process_in(url: str) -> Iterator[subprocess.Popen[str]]:
    other = subprocess.Popen(
        [sys.executable, "-c", _OTHER.format(url=url)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        yield other
    finally:
        other.kill()
        other.communicate()


def entered_after(lock: WriteLock, stop: threading.Event | None = None) -> float:
    begun = time.monotonic()
    with lock.hold(stop):
        return time.monotonic() - begun


def test_a_turn_within_a_turn_is_the_same() -> None:
    lock = WriteLock(URL)

    with lock.hold(), lock.hold():
        pass

    assert entered_after(WriteLock(URL)) < 0.5


def test_a_free_lane_costs_nearly_nothing() -> None:
    lock = WriteLock(URL)

    took = min(entered_after(lock) for _ in range(20))

    assert took < 0.002


def test_another_process_is_waited_for() -> None:
    with another_process_in(URL) as other:
        timer = threading.Timer(0.2, lambda: other.communicate("out\n"))
        timer.start()
        took = entered_after(WriteLock(URL))
        timer.join()

    assert 0.1 < took < LONGEST_WAIT_S


def test_a_process_that_dies_leaves_the_lane_free() -> None:
    with another_process_in(URL) as other:
        other.kill()
        other.wait()

        assert entered_after(WriteLock(URL)) < 0.5


def test_who_hangs_is_waited_for_once_until_it_moves() -> None:
    lock = WriteLock(URL)

    with another_process_in(URL) as other:
        waits = [entered_after(lock) for _ in range(3)]
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdin.write("out\n")
        other.stdin.flush()
        other.stdout.readline()
        again = threading.Timer(0.2, lambda: other.communicate("out\n"))
        again.start()
        moved = entered_after(lock)
        again.join()

    assert waits[0] == pytest.approx(LONGEST_WAIT_S, abs=0.3)
    assert max(waits[1:]) < 0.1
    assert moved > 0.1


def test_who_hangs_in_this_process_costs_the_others_one_wait() -> None:
    """And they go on to take turns among themselves."""
    lock, go, inside = WriteLock(URL), threading.Event(), threading.Event()
    waits: list[float] = []
    together: list[int] = []

    def hang() -> None:
        with lock.hold():
            inside.set()
            go.wait(20)

    def write() -> None:
        begun = time.monotonic()
        for _ in range(20):
            with lock.hold():
                together.append(1)
                assert sum(together) == 1
                together.remove(1)
        waits.append(time.monotonic() - begun)

    hanging = threading.Thread(target=hang)
    hanging.start()
    assert inside.wait(5)
    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(20)
    go.set()
    hanging.join()

    assert len(waits) == 3
    assert max(waits) < LONGEST_WAIT_S + 1
    assert entered_after(lock) < 0.5


def test_a_shorter_wait_can_be_asked_for() -> None:
    with another_process_in(URL):
        begun = time.monotonic()
        with WriteLock(URL).hold(longest_s=0.1):
            took = time.monotonic() - begun

    assert 0.1 <= took < 1


def test_a_stop_ends_the_wait() -> None:
    stop = threading.Event()
    stop.set()

    with another_process_in(URL):
        assert entered_after(WriteLock(URL), stop) < 0.1


def test_other_catalogs_are_not_waited_for() -> None:
    with another_process_in(URL.replace("catalog/1", "catalog/2")):
        assert entered_after(WriteLock(URL)) < 0.5


def test_no_file_stays_once_all_have_left(folder: Path) -> None:
    lock = WriteLock(URL)
    with another_process_in(URL) as other:
        waiter = threading.Thread(target=entered_after, args=(lock,))
        waiter.start()
        other.communicate("out\nout\n")
        waiter.join()

    assert list(folder.iterdir()) == []


def test_what_a_killed_process_has_left_goes_with_the_next_one(folder: Path) -> None:
    with another_process_in(URL) as other:
        other.kill()
        other.wait()
    left = len(list(folder.iterdir()))
    entered_after(WriteLock(URL))

    assert left
    assert list(folder.iterdir()) == []


def test_a_wait_that_was_given_up_lets_go_and_leaves_no_file(folder: Path) -> None:
    with another_process_in(URL) as other:
        with WriteLock(URL).hold(longest_s=0.1):
            pass
        other.communicate("out\nout\n")

    assert wait_until(lambda: not list(folder.iterdir()))
    assert entered_after(WriteLock(URL)) < LONGEST_WAIT_S / 2


def test_a_folder_that_takes_no_files_does_not_matter(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "gone"))

    assert entered_after(WriteLock(URL)) < 0.5


def test_who_waits_comes_before_who_just_left() -> None:
    entered: list[float] = []

    def wait() -> None:
        with WriteLock(URL).hold():
            entered.append(time.monotonic())

    with another_process_in(URL) as other:
        waiter = threading.Thread(target=wait)
        waiter.start()
        let_pass(0.1)
        said, _ = other.communicate("out\nout\n")
        waiter.join()

    assert entered[0] < float(said)


# -- turns within a process


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def had_by_another(turns: Turns) -> bool:
    """Whether another thread, that waits for a moment only, gets a turn."""
    got: list[bool] = []

    def take() -> None:
        with turns.take(0.01) as mine:
            got.append(mine)

    thread = threading.Thread(target=take)
    thread.start()
    thread.join(5)
    return got == [True]


def test_it_is_one_thread_s_turn_at_a_time() -> None:
    turns = Turns()

    with turns.take() as mine, turns.take() as again:
        other = had_by_another(turns)

    assert (mine, again, other) == (True, False, False)
    assert had_by_another(turns)


def test_who_waits_is_woken_by_the_end_of_a_turn() -> None:
    turns, began, took = Turns(), threading.Event(), []

    def wait() -> None:
        at = time.monotonic()
        began.set()
        with turns.take():
            took.append(time.monotonic() - at)

    thread = threading.Thread(target=wait)
    with turns.take():
        thread.start()
        assert began.wait(5)
    thread.join(5)

    assert took[0] < LONGEST_WAIT_S / 2


def test_who_waits_longest_is_next_also_before_who_just_had_a_turn() -> None:
    turns, order = Turns(), []

    def wait(name: str) -> None:
        with turns.take():
            order.append(name)

    threads = [threading.Thread(target=wait, args=(name,)) for name in "bcd"]
    with turns.take():
        for n, thread in enumerate(threads, 1):
            thread.start()
            assert wait_until(lambda n=n: len(turns._waiting) == n)
    wait("a")
    for thread in threads:
        thread.join(5)

    assert order == ["b", "c", "d", "a"]


def test_a_turn_that_hangs_is_passed_over_and_ends_no_other() -> None:
    clock = Clock()
    turns, theirs = Turns(clock), threading.Event()

    def keep() -> None:
        with turns.take():
            theirs.set()
            go.wait(5)

    go = threading.Event()
    other = threading.Thread(target=keep)
    with turns.take():
        clock.now += LONGEST_WAIT_S
        other.start()
        assert theirs.wait(5)
    with turns.take(0) as mine:
        pass
    go.set()
    other.join(5)

    assert not mine

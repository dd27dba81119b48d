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

from ermpoll.catalog import write_lock
from ermpoll.catalog.write_lock import WriteLock
from tests.helpers.conditions import let_pass

URL = "http://localhost:1/ermrest/catalog/1"
_OTHER = """
import sys
import time
from ermpoll.catalog.write_lock import WriteLock
lane = WriteLock({url!r})
with lane.turn():
    print("in", flush=True)
    sys.stdin.readline()
with lane.turn():
    print(time.monotonic(), flush=True)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


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


def entered_after(lane: WriteLock, stop: threading.Event | None = None) -> float:
    begun = time.monotonic()
    with lane.turn(stop):
        return time.monotonic() - begun


def test_a_turn_within_a_turn_is_the_same() -> None:
    lane = WriteLock(URL)

    with lane.turn(), lane.turn():
        pass

    assert entered_after(WriteLock(URL)) < 0.5


def test_a_free_lane_costs_nearly_nothing() -> None:
    lane = WriteLock(URL)

    took = min(entered_after(lane) for _ in range(20))

    assert took < 0.002


def test_another_process_is_waited_for() -> None:
    with another_process_in(URL) as other:
        timer = threading.Timer(0.2, lambda: other.communicate("out\n"))
        timer.start()
        took = entered_after(WriteLock(URL))
        timer.join()

    assert 0.1 < took < write_lock.LONGEST_WAIT_S


def test_a_process_that_dies_leaves_the_lane_free() -> None:
    with another_process_in(URL) as other:
        other.kill()
        other.wait()

        assert entered_after(WriteLock(URL)) < 0.5


def test_nobody_waits_for_ever_and_then_not_again() -> None:
    lane = WriteLock(URL)

    with another_process_in(URL):
        waits = [entered_after(lane), entered_after(lane)]

    assert waits[0] == pytest.approx(write_lock.LONGEST_WAIT_S, abs=0.3)
    assert waits[1] < 0.1


def test_a_shorter_wait_can_be_asked_for() -> None:
    with another_process_in(URL):
        begun = time.monotonic()
        with WriteLock(URL).turn(longest_s=0.1):
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


def test_the_files_are_their_owners_alone(folder: Path) -> None:
    with WriteLock(URL).turn():
        pass

    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


def test_a_folder_that_takes_no_files_does_not_matter(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "gone"))

    assert entered_after(WriteLock(URL)) < 0.5


def test_who_waits_comes_before_who_just_left() -> None:
    entered: list[float] = []

    def wait() -> None:
        with WriteLock(URL).turn():
            entered.append(time.monotonic())

    with another_process_in(URL) as other:
        waiter = threading.Thread(target=wait)
        waiter.start()
        let_pass(0.1)
        said, _ = other.communicate("out\n")
        waiter.join()

    assert entered[0] < float(said)

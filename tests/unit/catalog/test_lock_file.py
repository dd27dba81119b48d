"""Files that come and go, and by which processes take turns all the same."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ermpoll.catalog.machine.lock_file import LockFile

pytestmark = pytest.mark.usefixtures("folder")

_CROWD = """
import os
import sys
from ermpoll.catalog.machine.lock_file import LockFile
lock, inside = LockFile("http://one", "lane"), sys.argv[1]
for _ in range(500):
    file = lock.lock()
    os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
    os.unlink(inside)
    lock.remove(file)
"""
_FORKING = """
import os
import sys
from ermpoll.catalog.machine.lock_file import LockFile
file = LockFile("http://one", "lane").lock()
if not os.fork():
    print("in", flush=True)
    sys.stdin.readline()
    os._exit(0)
os.wait()
"""
_INHERITED = """
import os
import sys
from ermpoll.catalog.machine.lock_file import LockFile
lock = LockFile("http://one", "lane")
file = lock.lock()
if not os.fork():
    again = os.open(sys.argv[1], os.O_RDWR)
    assert again == file
    lock.write(file, "mine")
    lock.remove(file)
    os._exit(0)
os.wait()
assert lock.touched() is not None
"""


def test_one_at_a_time_has_it_and_its_owner_alone_reads_it(folder: Path) -> None:
    lock = LockFile("http://one", "lane")
    file = lock.try_lock()
    assert file is not None
    [path] = folder.iterdir()

    assert lock.try_lock() is None
    assert path.stat().st_mode & 0o777 == 0o600
    lock.remove(file)
    assert list(folder.iterdir()) == []


def test_files_of_other_things_are_others(folder: Path) -> None:
    files = [
        LockFile(of, part).try_lock()
        for of, part in [("one", "a"), ("one", "b"), ("two", "a")]
    ]

    assert None not in files
    assert len(list(folder.iterdir())) == 3


def test_a_folder_that_takes_no_files_locks_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "gone"))
    lock = LockFile("http://one", "lane")

    assert (lock.try_lock(), lock.lock(), lock.touched()) == (None, None, None)


def test_files_that_come_and_go_let_in_one_at_a_time(folder: Path) -> None:
    inside = folder.parent / f"{folder.name}-inside"
    crowd = [
        subprocess.Popen([sys.executable, "-c", _CROWD, str(inside)]) for _ in range(4)
    ]

    assert [one.wait(50) for one in crowd] == [0] * 4
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")
def test_a_fork_does_not_keep_the_lock_of_who_was_killed() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _FORKING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "in\n"
    parent.kill()
    parent.wait()
    file = LockFile("http://one", "lane").try_lock()
    parent.communicate()

    assert file is not None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")
def test_a_fork_leaves_a_lock_alone_and_what_has_its_number_now(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("a file of somebody's")

    subprocess.run([sys.executable, "-c", _INHERITED, str(other)], check=True)

    assert other.read_text() == "a file of somebody's"

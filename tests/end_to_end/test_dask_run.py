"""`ermpoll run` of an agent whose work a cluster of other processes does."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import ermpoll
from tests.end_to_end.test_cli import announced, run, started, states_of
from tests.helpers.conditions import wait_until
from tests.helpers.dask_cluster import Scheduler

#: As in the how-to: what the workers import is a module of its own.
AGENT = """
import ermpoll
from dask.distributed import Client
from tile_work import work

box = ermpoll.sandbox.start()
jobs = box.jobs(where="Specimen=T1", max_attempts=1)
client = Client("{address}")
client.upload_file("tile_work.py")
agent = ermpoll.Agent(jobs, work, poll_s=60, workers=2, executor=client.get_executor())
"""
WORK = """
import threading
from pathlib import Path

def work(row):
    folder = Path({folder!r})
    (folder / f"begun-{{row['RID']}}").touch()
    while not (folder / "go").exists():
        threading.Event().wait(0.02)
    return {{"Priority": 7}}
"""

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[Scheduler]:
    with Scheduler.started() as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path, scheduler: Scheduler) -> Path:
    """Where the command runs, with its modules."""
    (tmp_path / "tiles.py").write_text(AGENT.format(address=scheduler.address))
    (tmp_path / "tile_work.py").write_text(WORK.format(folder=str(tmp_path)))
    return tmp_path


def test_a_run_until_idle_has_its_work_done_by_a_cluster(
    box: ermpoll.sandbox.Box, folder: Path
) -> None:
    added = box.add(5, Specimen="T1")
    (folder / "go").touch()

    done = run(folder, "run", "tiles:agent", "--until-idle", environment=announced(box))

    assert done.returncode == 0, done.stderr
    assert "5 done, 0 failed" in done.stdout
    assert states_of(box, added) == dict.fromkeys(added, "success")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("in_time", [True, False], ids=["in time", "not in time"])
def test_a_run_that_is_told_to_stop_waits_for_the_cluster_as_long_as_it_was_told(
    box: ermpoll.sandbox.Box, folder: Path, in_time: bool
) -> None:
    added = box.add(3, Specimen="T1")
    timeout_s = "60" if in_time else "2"
    command = ("run", "tiles:agent", "--stop-timeout", timeout_s)

    with started(folder, *command, environment=announced(box)) as process:
        wait_until(lambda: len(list(folder.glob("begun-*"))) == 2, 40)
        process.send_signal(signal.SIGTERM)
        if in_time:
            (folder / "go").touch()
        _, log = process.communicate(timeout=60)

    # the cluster is not ours to end
    (folder / "go").touch()
    assert process.returncode == 0, log
    words = list(states_of(box, added).values())
    assert set(words) <= ({"success", "new"} if in_time else {"new"})
    assert words.count("success") >= (2 if in_time else 0)

"""Agents in processes of their own, at one table: they share it, and outlive one."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import ermpoll
from tests.helpers.conditions import wait_until
from tests.helpers.tables import add, count_states, queue

NEW = {"state": "actionable"}
_AGENT = """
import sys
import ermpoll
from tests.helpers.tables import queue
jobs = queue(ermpoll.connect(sys.argv[1]), worker=sys.argv[2])
agent = ermpoll.Agent(jobs, lambda row: None, workers=4)
print("ready", flush=True)
sys.stdin.readline()
summary = agent.run(until_idle=True)
print(summary.done, summary.lost, flush=True)
"""


@contextmanager
def process(url: str, name: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    made = subprocess.Popen(
        [sys.executable, "-c", _AGENT, url, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"TMPDIR": str(folder), "PYTHONPATH": ":".join(sys.path)},
    )
    try:
        assert made.stdout is not None
        assert made.stdout.readline() == "ready\n"
        yield made
    finally:
        made.kill()
        made.communicate()


@pytest.fixture
def crowd(
    catalog: ermpoll.Catalog, tmp_path: Path
) -> Iterator[list[subprocess.Popen[str]]]:
    with ExitStack() as stack:
        names = ("one", "two", "three")
        yield [stack.enter_context(process(catalog.url, n, tmp_path)) for n in names]


def go(crowd: list[subprocess.Popen[str]]) -> None:
    for one in crowd:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()


def holders(catalog: ermpoll.Catalog) -> Counter[str]:
    rows = catalog.rows("attribute/Ops:Job/state=complete/RID,owner")
    return Counter(str(row["owner"]).partition("~")[0].split(" ")[0] for row in rows)


def test_they_share_the_rows_and_leave_no_file(catalog, crowd, tmp_path):
    add(catalog, *[NEW] * 3000)

    go(crowd)
    told = [one.communicate(timeout=50)[0].split() for one in crowd]

    assert count_states(catalog) == {"complete": 3000}
    assert sum(int(done) for done, _ in told) == 3000
    # reading the same rows they would miss more than there are
    assert sum(int(lost) for _, lost in told) < 1500
    assert set(holders(catalog)) == {"one", "two", "three"}
    assert list(tmp_path.iterdir()) == []


def test_one_that_is_killed_costs_the_others_its_own_rows_alone(catalog, crowd):
    add(catalog, *[NEW] * 2000)
    go(crowd)
    assert wait_until(lambda: holders(catalog)["one"] > 0, 20)
    crowd[0].kill()
    crowd[0].communicate()
    told = [one.communicate(timeout=50)[0].split() for one in crowd[1:]]

    held = [str(row["owner"]) for row in queue(catalog).held()]
    assert (
        sum(int(done) for done, _ in told) + holders(catalog)["one"] + len(held) == 2000
    )
    assert {owner.partition("~")[0].split(" ")[0] for owner in held} <= {"one"}

"""Agents against deriva-py's loop: ``python -m tests.bench.agents [--quick]``.

The server charges what a real one does (``--price``), in a process of its own; all
HTTP is counted at a proxy before it. Each line is one contender that runs for some
seconds on a table with more rows than it can finish.
"""

from __future__ import annotations

import http.client
import json
import statistics
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from ermpoll.sandbox import demo
from ermpoll.sandbox.box import Box
from tests.bench.common import Report, arguments, client, server
from tests.bench.driving import DONE, STATE

#: Times as many jobs per second as deriva-py's documented loop.
GOALS = {1: 15, 4: 30, 8: 40, 16: 50}
LIMITS = (20, 80, 200)
SIZES = (80, 250, 500)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """Who runs: so many processes, each with so many workers."""

    kind: str
    workers: int = 1
    processes: int = 1
    limit: int = 5

    def __str__(self) -> str:
        many = f"{self.processes} x " if self.processes > 1 else ""
        return f"{self.kind}, {many}{self.workers} workers, limit {self.limit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a contender did in its time."""

    jobs_s: float
    #: Requests per finished job.
    requests: float
    #: Share of writes that came to nothing: 412, 503.
    wasted: float


class Course:
    """The server, the proxy before it, and the runs on them."""

    def __init__(self, box: Box, port: int, seconds: float) -> None:
        self._box = box
        self._port = port
        self._seconds = seconds
        place = urlsplit(box.url)
        self._url = f"http://localhost:{port}{place.path}"
        self._pause = threading.Event()

    def run(self, contender: Contender) -> Run:
        """Let a contender run on a fresh table."""
        slow = contender.kind == "loop"
        self._box.reset()
        for _ in range(1 if slow else int(self._seconds)):
            self._box.add(1500)
        with ExitStack() as stack:
            drivers = [
                stack.enter_context(self._driver(contender))
                for _ in range(contender.processes)
            ]
            before, _ = self._done(), self._counts()
            for driver in drivers:
                assert driver.stdin is not None
                driver.stdin.write("go\n")
                driver.stdin.flush()
            self._pause.wait(self._seconds)
            counts, jobs = self._counts(), self._done() - before
        return _run(jobs, self._seconds, counts)

    @contextmanager
    def _driver(self, contender: Contender) -> Iterator[subprocess.Popen[str]]:
        options = (contender.kind, self._url, contender.workers, contender.limit)
        driver = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.driving", *map(str, options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert driver.stdout is not None
            assert driver.stdout.readline() == "ready\n", contender
            yield driver
        finally:
            driver.kill()
            driver.communicate()

    def _done(self) -> int:
        with client(self._box.url) as door:
            path = f"/aggregate/{demo.TABLE}/{STATE}={DONE}/n:=cnt(*)"
            return int(door.rows(path)[0]["n"])

    def _counts(self) -> Counter[str]:
        connection = http.client.HTTPConnection("localhost", self._port, timeout=10)
        connection.request("GET", "/counts")
        counts = Counter(json.loads(connection.getresponse().read()))
        connection.close()
        return counts


def _run(jobs: int, seconds: float, counts: Counter[str]) -> Run:
    asked = {key: n for key, n in counts.items() if key not in ("sent", "received")}
    writes = sum(n for key, n in asked.items() if key.startswith("PUT"))
    wasted = counts["PUT 412"] + counts["PUT 503"]
    return Run(
        jobs_s=jobs / seconds,
        requests=sum(asked.values()) / max(jobs, 1),
        wasted=wasted / max(writes, 1),
    )


@contextmanager
def proxy(url: str) -> Iterator[int]:
    """A counting proxy before a server; its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.proxy", str(urlsplit(url).port)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def contest(course: Course, contenders: list[Contender], rounds: int) -> list[Run]:
    """Run each so often, in alternating order; the median of each."""
    runs: list[list[Run]] = [[] for _ in contenders]
    for round_ in range(rounds):
        order = list(enumerate(contenders))
        for place, contender in order[:: -1 if round_ % 2 else 1]:
            runs[place].append(course.run(contender))
    return [
        Run(
            jobs_s=statistics.median(run.jobs_s for run in some),
            requests=statistics.median(run.requests for run in some),
            wasted=statistics.median(run.wasted for run in some),
        )
        for some in runs
    ]


def report(told: Report, what: str, ours: Run, theirs: Run, times: float) -> None:
    """Print the lines of one pairing."""
    ratio = ours.jobs_s / max(theirs.jobs_s, 1e-9)
    told.add(f"{what}: jobs", "per s", ours.jobs_s, theirs=theirs.jobs_s)
    told.add(f"{what}: faster", "times", ratio, goal=times, at_least=True)
    told.add(
        f"{what}: wasted writes",
        "%",
        100 * ours.wasted,
        theirs=100 * theirs.wasted,
        goal=1 if "processes" not in what else 15,
    )
    told.add(
        f"{what}: requests per job", "", ours.requests, theirs=theirs.requests, goal=0.1
    )


def main() -> None:
    asked = arguments("agents")
    told = Report("agents", asked.quick)
    seconds, rounds = (4.0, 1) if asked.quick else (8.0, 3)
    with server("--price") as box, proxy(box.url) as port:
        course = Course(box, port, seconds)
        ceilings = [Contender(kind="one", limit=size) for size in SIZES]
        ceiling = max(run.jobs_s for run in contest(course, ceilings, 1))
        told.add("single-writer ceiling: jobs", "per s", ceiling)
        for workers, goal in GOALS.items():
            loop = Contender(kind="loop", workers=workers)
            agent = Contender(kind="agent", workers=workers)
            theirs, ours = contest(course, [loop, agent], rounds)
            report(told, f"{workers} workers", ours, theirs, goal)
            told.add(
                f"{workers} workers: share of the ceiling",
                "%",
                100 * ours.jobs_s / ceiling,
                goal=90,
                at_least=True,
            )
        loop = Contender(kind="loop", workers=4, processes=4)
        agent = Contender(kind="agent", workers=4, processes=4)
        theirs, ours = contest(course, [loop, agent], rounds)
        report(told, "4 processes of 4 workers", ours, theirs, 25)
        told.add(
            "4 processes of 4 workers: share of ceiling",
            "%",
            100 * ours.jobs_s / ceiling,
            goal=50,
            at_least=True,
        )
        tuned = [Contender(kind="tuned", limit=limit) for limit in LIMITS]
        best = max(contest(course, tuned, 1), key=lambda run: run.jobs_s)
        told.add(
            "deriva-py, best limit by hand, 1 worker", "per s", 0, theirs=best.jobs_s
        )
    told.write(asked.json)


if __name__ == "__main__":
    main()

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
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from ermpoll.sandbox import demo
from ermpoll.sandbox.box import Box
from tests.bench.common import Report, arguments, client, server
from tests.bench.driving import DONE, STATE
from tests.helpers.conditions import let_pass

#: Seconds that each contender has to warm up: nothing is counted in them.
WARM_S = 3.0
#: Times as many jobs per second as deriva-py's documented loop, by workers.
GOALS = {1: 15, 4: 30, 8: 40, 16: 50}


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """deriva-py's loop and an agent of the same shape, and the numbers to reach."""

    what: str
    shape: Contender
    #: Times as many jobs per second.
    times: float
    #: Per cent of the ceiling, at least.
    share: float
    #: Per cent of the writes, at most.
    wasted: float

    @classmethod
    def threads(cls, workers: int) -> Pairing:
        """Return what one process of so many workers has to reach."""
        return cls(
            what=f"{workers} workers",
            shape=Contender(kind="", workers=workers),
            times=GOALS[workers],
            share=90,
            wasted=1,
        )


PROCESSES = Pairing(
    what="4 processes of 4",
    shape=Contender(kind="", workers=4, processes=4),
    times=25,
    share=50,
    wasted=15,
)


class Course:
    """The server, the proxy before it, and the runs on them."""

    def __init__(self, box: Box, port: int, seconds: float) -> None:
        self._box = box
        self._port = port
        self._seconds = seconds
        place = urlsplit(box.url)
        self._url = f"http://localhost:{port}{place.path}"

    def run(self, contender: Contender) -> Run:
        """Let a contender run on a fresh table."""
        slow = contender.kind == "loop"
        self._box.reset()
        for _ in range(1 if slow else int(self._seconds + WARM_S)):
            self._box.add(1500)
        with ExitStack() as stack:
            drivers = [
                stack.enter_context(self._driver(contender))
                for _ in range(contender.processes)
            ]
            for driver in drivers:
                assert driver.stdin is not None
                driver.stdin.write("go\n")
                driver.stdin.flush()
            let_pass(WARM_S)
            before, _ = self._done(), self._counts()
            let_pass(self._seconds)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of it is done."""

    seconds: float
    rounds: int
    sizes: tuple[int, ...]
    workers: tuple[int, ...]
    limits: tuple[int, ...]


QUICK = Plan(seconds=3, rounds=1, sizes=(250,), workers=(1, 8), limits=(200,))
FULL = Plan(
    seconds=8,
    rounds=2,
    sizes=(80, 250, 500),
    workers=(1, 4, 8, 16),
    limits=(20, 80, 200),
)


def pair(
    told: Report, course: Course, plan: Plan, ceiling: float, one: Pairing
) -> None:
    """Run deriva-py's loop against an agent, and print what came of it."""
    sides = [replace(one.shape, kind=kind) for kind in ("loop", "agent")]
    theirs, ours = contest(course, sides, plan.rounds)
    what, least = one.what, {"at_least": True}
    told.add(f"{what}: jobs", "per s", ours.jobs_s, theirs=theirs.jobs_s)
    ratio = ours.jobs_s / max(theirs.jobs_s, 1e-9)
    told.add(f"{what}: faster", "times", ratio, goal=one.times, **least)
    share = 100 * ours.jobs_s / ceiling
    told.add(f"{what}: of the ceiling", "%", share, goal=one.share, **least)
    told.add(
        f"{what}: wasted writes",
        "%",
        100 * ours.wasted,
        theirs=100 * theirs.wasted,
        goal=one.wasted,
    )
    told.add(
        f"{what}: requests",
        "per job",
        ours.requests,
        theirs=theirs.requests,
        goal=0.1,
    )


def by_hand(told: Report, course: Course, plan: Plan) -> None:
    """Run deriva-py's loop as good as a hand can tune it against one worker."""
    tuned = [Contender(kind="tuned", limit=limit) for limit in plan.limits]
    *theirs, ours = contest(course, [*tuned, Contender(kind="agent")], plan.rounds)
    best = max(theirs, key=lambda run: run.jobs_s)
    limit = plan.limits[theirs.index(best)]
    what = f"1 worker, loop tuned to batches of {limit}: jobs"
    told.add(what, "per s", ours.jobs_s, theirs=best.jobs_s)


def main() -> None:
    asked = arguments("agents")
    told, plan = Report("agents", asked.quick), QUICK if asked.quick else FULL
    with server("--price") as box, proxy(box.url) as port:
        course = Course(box, port, plan.seconds)
        ceilings = [Contender(kind="one", limit=size) for size in plan.sizes]
        ceiling = max(run.jobs_s for run in contest(course, ceilings, 1))
        told.add("single-writer ceiling: jobs", "per s", ceiling)
        for workers in plan.workers:
            pair(told, course, plan, ceiling, Pairing.threads(workers))
        pair(told, course, plan, ceiling, PROCESSES)
        by_hand(told, course, plan)
    told.write(asked.json)


if __name__ == "__main__":
    main()

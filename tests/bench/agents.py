"""Agents against deriva-py's loop: ``python -m tests.bench.agents [--quick]``.

The server charges what a real one does (``--price``), in a process of its own; all
HTTP is counted at a proxy before it. Each contender runs for some seconds on a table
with more rows than it can finish: one process, four on one machine, and four that
share no folder, as on four machines.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from urllib.parse import urlsplit

from ermpoll.sandbox.box import Box
from tests.bench.common import Report, Spread, arguments, client, job_table, server
from tests.bench.driving import COLUMNS, DONE, READY, TABLE, Role, done
from tests.helpers.conditions import let_pass

#: Seconds that each contender has to warm up: nothing is counted in them.
WARM_S = 3.0
#: Rows a second that nobody can finish.
MOST = 4_200


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """Who runs: so many processes, each with so many workers."""

    kind: str
    workers: int = 1
    processes: int = 1
    limit: int = 5
    #: Whether they have no folder in common, and whether each was told its slot.
    apart: bool = False
    ranked: bool = False
    #: Whether one of them is killed in the middle, and another one begins.
    killed: bool = False

    def roles(self, url: str) -> list[Role]:
        """Return what each process does."""
        n = self.processes
        return [
            Role(
                kind=self.kind,
                url=url,
                workers=self.workers,
                limit=self.limit,
                name=f"bench{k}",
                spread=(k, n) if self.ranked else None,
            )
            for k in range(n)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a contender did in its time."""

    jobs_s: float
    #: Requests per finished job.
    requests: float
    #: Share of writes that came to nothing: 412, 503.
    wasted: float
    #: Jobs that a write finished, of those that came to something.
    batch: float
    #: From the end of work to the commit of its result, in seconds.
    late: Spread = field(default=Spread((0.0,)), repr=False)
    #: What the process that did the least did, of what the one did that did the most.
    fairness: float = 1.0
    #: The longest time without a commit, in seconds.
    gap_s: float = 0.0


def middle(runs: Sequence[Run]) -> Run:
    """Return the median of each figure."""
    names = ("jobs_s", "requests", "wasted", "batch", "fairness", "gap_s")
    told = {
        name: statistics.median(getattr(run, name) for run in runs) for name in names
    }
    return Run(late=Spread(tuple(s for run in runs for s in run.late.runs)), **told)


class Course:
    """The server, the proxy before it, and the runs on them."""

    def __init__(self, box: Box, port: int, seconds: float) -> None:
        self._box = box
        self._port = port
        self._seconds = seconds
        self._url = box.url

    def run(self, contender: Contender) -> Run:
        """Let a contender run on a fresh table."""
        n = 2_000 if contender.kind == "loop" else int(MOST * (self._seconds + WARM_S))
        self._url, _ = job_table(self._box, COLUMNS, [{"state": READY}] * n)
        address = f"http://localhost:{self._port}{urlsplit(self._url).path}"
        with ExitStack() as stack:
            drivers = [
                stack.enter_context(driving(role, apart=contender.apart))
                for role in contender.roles(address)
            ]
            for driver in drivers:
                said(driver, "go")
            let_pass(WARM_S)
            before, _ = done(self._url), self._counts()
            since = time.time()
            if contender.killed:
                let_pass(self._seconds / 2)
                drivers.pop().kill()
                let_pass(self._seconds / 2)
            else:
                let_pass(self._seconds)
            counts, after = self._counts(), done(self._url)
            ended: dict[str, float] = {}
            for driver in drivers:
                ended |= json.loads(said(driver, "stop"))
        return self._told(before, after, counts, ended, since)

    def _told(
        self,
        before: Counter[str],
        after: Counter[str],
        counts: Counter[str],
        ended: dict[str, float],
        since: float,
    ) -> Run:
        asked = {key: n for key, n in counts.items() if key not in ("sent", "received")}
        writes = sum(n for key, n in asked.items() if key.startswith("PUT"))
        wasted = counts["PUT 412"] + counts["PUT 503"]
        finished = after - before
        jobs, by_whom = finished.total(), sorted(finished.values())
        commits = self._commits()
        late = [commits[rid] - at for rid, at in ended.items() if rid in commits]
        times = sorted({at for at in commits.values() if at >= since})
        return Run(
            jobs_s=jobs / self._seconds,
            requests=sum(asked.values()) / max(jobs, 1),
            wasted=wasted / max(writes, 1),
            batch=jobs / max(writes - wasted, 1),
            late=Spread(tuple(late) or (0.0,)),
            fairness=by_whom[0] / by_whom[-1] if by_whom else 0.0,
            gap_s=max((b - a for a, b in pairwise(times)), default=0.0),
        )

    def _commits(self) -> dict[str, float]:
        """Return when each row was finished, in seconds since 1970."""
        path = f"/attribute/{TABLE}/state={DONE}/RID,RMT"
        with client(self._url) as door:
            rows = door.rows(path)
        return {
            row["RID"]: datetime.fromisoformat(row["RMT"]).timestamp() for row in rows
        }

    def _counts(self) -> Counter[str]:
        connection = http.client.HTTPConnection("localhost", self._port, timeout=10)
        connection.request("GET", "/counts")
        counts = Counter(json.loads(connection.getresponse().read()))
        connection.close()
        return counts


@contextmanager
def driving(role: Role, *, apart: bool) -> Iterator[subprocess.Popen[str]]:
    """A process of a contender that is ready to go; apart, with a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, **({"TMPDIR": folder} if apart else {})}
        driver = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.driving", role.text],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        try:
            assert driver.stdout is not None
            assert driver.stdout.readline() == "ready\n", role
            yield driver
        finally:
            driver.kill()
            driver.communicate()


def said(driver: subprocess.Popen[str], word: str) -> str:
    """Say a word to a process; what it answers to the last one."""
    assert driver.stdin is not None
    assert driver.stdout is not None
    driver.stdin.write(f"{word}\n")
    driver.stdin.flush()
    return driver.stdout.readline() if word == "stop" else ""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of it is done."""

    seconds: float
    rounds: int
    sizes: tuple[int, ...]
    workers: tuple[int, ...]
    loops: tuple[int, ...]


QUICK = Plan(seconds=3, rounds=1, sizes=(250,), workers=(4,), loops=(1,))
FULL = Plan(
    seconds=8, rounds=2, sizes=(250, 500, 1000), workers=(4, 16), loops=(1, 4, 8)
)


class Bench:
    """All contenders, each beside deriva-py's loop in as many processes."""

    def __init__(self, told: Report, course: Course, plan: Plan) -> None:
        self._told, self._course, self._plan = told, course, plan
        self._loops: dict[int, Run] = {}
        self._ceilings: dict[int, float] = {}

    def run(self) -> None:
        """Run all, and print what came of it."""
        for size in self._plan.sizes:
            puts = self._runs(Contender(kind="puts", limit=size))
            self._ceilings[size] = puts.jobs_s
            self._told.add(f"ceiling, PUTs alone, {size} rows", "jobs/s", puts.jobs_s)
        for n in self._plan.loops:
            self._loops[n] = self._runs(Contender(kind="loop", processes=n))
        first, *_ = [self._one(workers) for workers in self._plan.workers]
        one = first.jobs_s
        four = Contender(kind="agent", workers=4, processes=4)
        self._many("4 processes", four, one, share=90, wasted=1, fairness=0.7)
        killed = replace(four, killed=True)
        self._many("one of 4 killed", killed, one, gap_s=0.5)
        apart = replace(four, apart=True)
        ranked = replace(apart, ranked=True)
        self._many("4 machines, slot told", ranked, one, share=60, wasted=8)
        self._many("4 machines, slot found", apart, one, share=50, wasted=20)
        tuned = self._runs(Contender(kind="tuned", limit=200))
        what = "1 process, a loop tuned to batches of 200"
        self._told.add(f"{what}: jobs", "per s", one, theirs=tuned.jobs_s)
        if eight := self._loops.get(8):
            more = self._runs(replace(four, processes=8))
            self._told.add(
                "8 processes: jobs", "per s", more.jobs_s, theirs=eight.jobs_s
            )

    def _runs(self, contender: Contender) -> Run:
        return middle([self._course.run(contender) for _ in range(self._plan.rounds)])

    def _one(self, workers: int) -> Run:
        what, told = f"1 process of {workers}", self._told
        run = self._runs(Contender(kind="agent", workers=workers))
        loop = self._loops[1]
        told.add(f"{what}: jobs", "per s", run.jobs_s, theirs=loop.jobs_s)
        told.add(f"{what}: finished by a PUT", "rows", run.batch, theirs=loop.batch)
        share = 100 * run.jobs_s / self._ceiling(run.batch)
        told.add(f"{what}: of the ceiling", "%", share, goal=90, at_least=True)
        told.add(
            f"{what}: requests", "per job", run.requests, theirs=loop.requests, goal=0.1
        )
        self._wasted(what, run, loop, 1)
        self._late(what, run)
        return run

    def _many(
        self,
        what: str,
        contender: Contender,
        one: float,
        *,
        share: float | None = None,
        wasted: float | None = None,
        fairness: float | None = None,
        gap_s: float | None = None,
    ) -> None:
        run, told = self._runs(contender), self._told
        loop = self._loops.get(contender.processes)
        theirs = loop.jobs_s if loop else None
        told.add(f"{what}: jobs", "per s", run.jobs_s, theirs=theirs)
        part = 100 * run.jobs_s / one
        told.add(f"{what}: of one process", "%", part, goal=share, at_least=True)
        self._wasted(what, run, loop, wasted)
        told.add(
            f"{what}: least of most", "", run.fairness, goal=fairness, at_least=True
        )
        told.add(f"{what}: longest without a commit", "s", run.gap_s, goal=gap_s)
        self._late(what, run)

    def _wasted(
        self, what: str, run: Run, loop: Run | None, most: float | None
    ) -> None:
        theirs = 100 * loop.wasted if loop else None
        wasted = 100 * run.wasted
        self._told.add(f"{what}: wasted writes", "%", wasted, theirs=theirs, goal=most)

    def _late(self, what: str, run: Run) -> None:
        told, late = self._told, run.late
        told.add(f"{what}: ended to written, median", "s", late.median, goal=0.3)
        told.add(f"{what}: ended to written, p95", "s", late.percentile(0.95), goal=0.5)

    def _ceiling(self, batch: float) -> float:
        """Return what a writer of such batches can do, between those measured."""
        known = sorted(self._ceilings.items())
        below = max((one for one in known if one[0] <= batch), default=known[0])
        above = min((one for one in known if one[0] >= batch), default=known[-1])
        if above[0] == below[0]:
            return above[1]
        part = (batch - below[0]) / (above[0] - below[0])
        return below[1] + part * (above[1] - below[1])


def main() -> None:
    asked = arguments("agents")
    told, plan = Report("agents", asked.quick), QUICK if asked.quick else FULL
    with server("--price") as box, proxy(box.url) as port:
        Bench(told, Course(box, port, plan.seconds), plan).run()
    told.write(asked.json)


if __name__ == "__main__":
    main()

"""Does ``--price`` follow a real service? Its figures beside those measured there.

``python -m tests.bench.prices [--quick]``. All clients are processes of their own and
write as fast as they can. A machine that does something else besides is slower: look
at the load that is printed, and run it again when that is low.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ermpoll.sandbox import demo
from ermpoll.sandbox.box import Box
from tests.bench.common import arguments, client, job_table, machine, server
from tests.bench.driving import DONE, STATE, Role
from tests.helpers.conditions import let_pass

#: By how much a figure may differ from the measured one, in per cent.
WITHIN = 20
#: The longest that a writer waits after a 503 where writers give way, in seconds.
BACK_OFF_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure of the sandbox and the one of the real service, which may be a range."""

    what: str
    unit: str
    here: float
    least: float
    most: float

    @property
    def off(self) -> float:
        """By how many per cent it differs from what was measured."""
        nearest = min(max(self.here, self.least), self.most)
        return 100 * (self.here / nearest - 1)

    def __str__(self) -> str:
        real = f"{self.least:,.4g}"
        if self.most > self.least:
            real += f" - {self.most:,.4g}"
        word = "" if abs(self.off) <= WITHIN else "FAR"
        return (
            f"{self.what:<46} {self.unit:<7} {self.here:>8,.4g} {real:>15}"
            f" {self.off:>+6.0f} %  {word}"
        )


@dataclass(slots=True)
class Table:
    """The figures, printed as they come."""

    figures: list[Figure] = field(default_factory=list)

    def add(
        self, what: str, unit: str, here: float, real: float, most: float = 0.0
    ) -> None:
        """Note a figure beside the measured one, or beside a range of them."""
        most = max(real, most)
        figure = Figure(what=what, unit=unit, here=here, least=real, most=most)
        self.figures.append(figure)
        print(figure, flush=True)

    def write(self, path: Path) -> None:
        """Write all figures, with the machine they were taken on, as JSON."""
        figures = [{**asdict(one), "off": one.off} for one in self.figures]
        document = {"bench": "prices", "machine": machine(), "figures": figures}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=2) + "\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """A process that writes to rows of its own, time and again."""

    url: str
    number: int
    rows: int
    seconds: float
    #: How many rows it reads before each write.
    reads: int = 0
    back_off_s: float = 0.0

    def run(self) -> Tally:
        """Write until the time is over."""
        won, lost = list[float](), 0
        dice = random.Random(self.number)
        with client(self.url) as door:
            path = f"/attribute/Ops:Job/RID@sort(RID)?limit={self._last}"
            rids = [row["RID"] for row in door.rows(path)][-self.rows :]
            states = ["new", "done"]
            end = time.monotonic() + self.seconds
            while time.monotonic() < end:
                if self.reads:
                    door.rows(f"/attribute/Ops:Job/RID@sort(RID)?limit={self.reads}")
                begun = time.perf_counter()
                was, state = states
                body = [{"RID": rid, "was": was, "state": state} for rid in rids]
                answer = door.put("/attributegroup/Ops:Job/RID,was:=state;state", body)
                if answer.status == 200:
                    assert len(answer.json) == self.rows
                    states.reverse()
                    won.append(time.perf_counter() - begun)
                    continue
                assert answer.status == 503, answer
                lost += 1
                let_pass(dice.uniform(0, self.back_off_s))
        return Tally(won=won, lost=lost)

    @property
    def _last(self) -> int:
        return (self.number + 1) * self.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What came of writes."""

    #: How long each took that was done, in seconds.
    won: list[float]
    #: How many were aborted.
    lost: int

    @property
    def wasted(self) -> float:
        return self.lost / (self.lost + len(self.won))

    @property
    def took_ms(self) -> float:
        return 1000 * statistics.median(self.won)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A sandbox, and how long each measurement takes on it."""

    box: Box
    seconds: float

    def write(
        self, processes: int, rows: int, *, reads: int = 0, back_off_s: float = 0.0
    ) -> Tally:
        """Let so many processes write so many rows each."""
        count = processes * rows
        url, _ = job_table(self.box, {"state": "text"}, [{"state": "new"}] * count)
        writers = [
            Writer(
                url=url,
                number=number,
                rows=rows,
                seconds=self.seconds,
                reads=reads,
                back_off_s=back_off_s,
            )
            for number in range(processes)
        ]
        spawn = multiprocessing.get_context("spawn")
        # All begin when the last one is there.
        barrier = spawn.Barrier(processes)
        with spawn.Pool(processes, initializer=barrier.wait) as pool:
            tallies = pool.map(Writer.run, writers, chunksize=1)
        return Tally(
            won=[took for tally in tallies for took in tally.won],
            lost=sum(tally.lost for tally in tallies),
        )

    def jobs_s(self, tally: Tally, batch: int) -> float:
        """Jobs a second, where each PUT finishes a batch."""
        return len(tally.won) * batch / self.seconds

    def loop(self, processes: int) -> float:
        """Jobs a second that so many of deriva-py's documented loop finish."""
        self.box.reset()
        self.box.add(3000)
        with ExitStack() as stack:
            for _ in range(processes):
                stack.enter_context(_looping(self.box.url))
            let_pass(3)
            before = self._done()
            let_pass(3 * self.seconds)
            return (self._done() - before) / (3 * self.seconds)

    def _done(self) -> int:
        with client(self.box.url) as door:
            path = f"/aggregate/{demo.TABLE}/{STATE}={DONE}/n:=cnt(*)"
            return int(door.rows(path)[0]["n"])


@contextmanager
def _looping(url: str) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.driving", Role(kind="loop", url=url).text],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("go\n")
        process.stdin.flush()
        yield
    finally:
        process.kill()
        process.communicate()


def alone(told: Table, course: Course) -> None:
    """One writer: PUTs by rows, the ceiling, and one that reads as well."""
    real = {1: 12, 5: 19, 20: 16, 80: 25, 200: 41, 500: 78, 1000: 137, 2000: 252}
    ceilings = {500: 3200, 1000: 3650, 2000: 3970}
    for rows, ms in real.items():
        tally = course.write(1, rows)
        told.add(f"a PUT of {rows} rows", "ms", tally.took_ms, ms)
        if rows in ceilings:
            batch = rows // 2
            jobs_s = course.jobs_s(tally, batch)
            told.add(f"PUTs only, batches of {batch}", "jobs/s", jobs_s, ceilings[rows])
    for batch, jobs_s in {250: 2640, 500: 3120}.items():
        tally = course.write(1, 2 * batch, reads=batch)
        here = course.jobs_s(tally, batch)
        told.add(f"read and PUT, batches of {batch}", "jobs/s", here, jobs_s)


def together(told: Table, course: Course) -> None:
    """Several writers, back to back and giving way."""
    for processes, share, ms in ((2, 0.50, 100), (4, 0.75, 175), (8, 0.85, None)):
        tally = course.write(processes, 500)
        what = f"{processes} writers of 500 rows"
        told.add(f"{what}: aborted", "share", tally.wasted, share)
        if ms is not None:
            told.add(f"{what}: the winner's PUT", "ms", tally.took_ms, ms)
    for processes, share in ((2, 0.37), (4, 0.63)):
        tally = course.write(processes, 20)
        what = f"{processes} writers of 20 rows: aborted"
        told.add(what, "share", tally.wasted, share)
    tally = course.write(4, 500, reads=250, back_off_s=BACK_OFF_S)
    what = "4 that read, PUT and give way, batches of 250"
    told.add(what, "jobs/s", course.jobs_s(tally, 250), 1677, 1836)
    told.add(f"{what.partition(',')[0]}..: aborted", "share", tally.wasted, 0.41, 0.61)


def loops(told: Table, course: Course) -> None:
    """deriva-py's documented loop."""
    for processes, jobs_s in ((1, 50), (4, 20), (8, 9)):
        what = f"deriva-py's loop, {processes} processes"
        told.add(what, "jobs/s", course.loop(processes), jobs_s)


def main() -> None:
    """Run all, print the table, write the figures."""
    options = arguments("prices")
    told = Table()
    facts = machine()
    print(f"prices: load {facts['load']} on {facts['cores']} cores, {facts['cpu']}\n")
    print(f"{'what':<46} {'unit':<7} {'here':>8} {'measured':>15} {'off by':>8}")
    with server("--price") as box:
        course = Course(box=box, seconds=2 if options.quick else 8)
        parts: tuple[Callable[[Table, Course], None], ...] = (alone, together, loops)
        for part in parts:
            part(told, course)
    told.write(options.json)
    print(f"\nload {machine()['load']}; written to {options.json}")


if __name__ == "__main__":
    main()

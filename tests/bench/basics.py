"""The main job's figures: import, 10,000 rows on a page, claiming, memory.

``python -m tests.bench.basics [--quick]``. Each beside deriva-py 1.7 doing the same
on the same server, where it can.
"""

from __future__ import annotations

import contextlib
import gc
import os
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import psutil

import ermpoll
from ermpoll.sandbox.box import Box
from tests.bench.common import (
    Report,
    arguments,
    deriva_catalog,
    job_table,
    server,
    timed,
)

QUEUE = {"state": "state", "ready": "new", "claimed": "in progress", "done": "success"}
COLUMNS = {
    "file": "text",
    "specimen": "text",
    "bytes": "int8",
    "acquired": "timestamptz",
    "state": "text",
    "owner": "text",
    "error": "text",
    "attempts": "int4",
    "meta": "jsonb",
}
SHOWN = ("file", "specimen", "bytes", "acquired")
UPDATE = "attributegroup/Ops:Job/RID;state"
ROWS = 10_000
BATCHES = (1, 5, 20, 80, 200)
MB = 1024 * 1024


def rows(count: int, meta: Any = None) -> list[dict[str, Any]]:
    return [
        {
            "file": f"20250901_K{n % 60:03}_{n:05}.czi",
            "specimen": f"K{n % 60:03}",
            "bytes": 20_000_000 + n,
            "acquired": f"2025-09-01T08:{n % 60:02}:00+00:00",
            "state": "new",
            "meta": meta,
        }
        for n in range(count)
    ]


def convert(row: Any) -> dict[str, Any]:
    return {"specimen": f"{row['specimen']}-2", "bytes": row["bytes"] + 1}


def queue(url: str, **options: Any) -> ermpoll.Queue:
    return ermpoll.Queue(ermpoll.connect(url, {}), "Ops:Job", **QUEUE, **options)


def imports(report: Report, quick: bool) -> None:
    """Import in fresh processes, over what the bare interpreter takes."""

    def started_s(code: str) -> float:
        command = [sys.executable, "-c", code]
        return timed(lambda: subprocess.run(command, check=True)).median

    def over_bare_s(code: str, turns: int) -> float:
        # in turns, so that a busy moment of the machine meets both
        return statistics.median(
            started_s(code) - started_s("pass") for _ in range(turns)
        )

    slow = 3 if quick else 7
    ours = over_bare_s("import ermpoll", 7)
    theirs = over_bare_s("import deriva.core.polling_ermrest_catalog", slow)
    report.add("import", "s", ours, theirs=theirs, goal=0.05)
    used = over_bare_s("from ermpoll import connect, Queue, Agent", slow)
    report.add("import with connect, Queue, Agent", "s", used)


def pages(report: Report, url: str, what: str, count: int) -> None:
    """Read, decide and draw `count` rows, as a preview does."""
    jobs = queue(url, columns=SHOWN)
    theirs = deriva_catalog(url, caching=False)
    path = "/entity/Ops:Job/state=new@sort(RID)"

    def read() -> Any:
        return jobs.candidates(count)

    def decided() -> Any:
        return jobs.plan(convert, count)

    def read_theirs() -> Any:
        return theirs.get(path).json()

    def decided_theirs() -> list[Any]:
        return [(row, convert(row)) for row in read_theirs()]

    def whole() -> str:
        return str(read()._repr_html_()) + str(decided()._repr_html_())

    found, plan = read(), decided()
    assert len(found) == count
    assert len(plan.changes) == count
    _pair(report, f"candidates of {what}", read, read_theirs)
    _pair(report, f"plan of {what}", decided, decided_theirs)
    report.add(f"page of {what}", "s", timed(found._repr_html_, 3).median)
    report.add(f"page of the plan of {what}", "s", timed(plan._repr_html_, 3).median)
    report.add(f"all of it, {what}", "s", timed(whole, 3).median, goal=1.0)
    # a busy machine stretches the line above, not this one
    report.add(f"CPU of all of it, {what}", "s", _cpu_s(whole), goal=1.0)
    report.add(f"memory at most, {what}", "MB", _peak_mb(whole), goal=100)
    for name, drawn in (("page", found), ("page of the plan", plan)):
        size = len(str(drawn._repr_html_()).encode()) / 1024
        report.add(f"size of the {name} of {what}", "KB", size, goal=200)


def claims(report: Report, box: Box, rounds: int) -> None:
    """Claim and complete batches; the server takes as long as a real one."""
    url, _ = job_table(box, COLUMNS, rows(2 * (rounds + 1) * sum(BATCHES)))
    jobs = queue(url, owner="owner", attempts="attempts", columns=SHOWN)
    theirs = deriva_catalog(url, caching=False)

    for size in BATCHES:

        def ours_s(size: int = size) -> None:
            claim = jobs.claim(size)
            outcome = jobs.complete(claim)
            assert len(outcome.won) == size

        def theirs_s(size: int = size) -> None:
            _, batch = theirs.state_change_once(
                f"/entity/Ops:Job/state=new@sort(RID)?limit={size}",
                f"/{UPDATE}",
                lambda row: {"RID": row["RID"], "state": "in progress"},
            )
            done = [{"RID": row["RID"], "state": "success"} for row, _ in batch]
            assert len(theirs.put(f"/{UPDATE}", json=done).json()) == size

        ours_s()
        ours = size / timed(ours_s, rounds).median
        with _quietly():
            told = size / timed(theirs_s, rounds).median
        report.add(f"claim and complete, {size} at a time", "rows/s", ours, theirs=told)


def looks(report: Report, url: str, count: int) -> None:
    """How much memory grows over many looks that find nothing."""
    catalog = ermpoll.connect(url, {})
    theirs = deriva_catalog(url)
    numbers = iter(range(10 * count))

    def query() -> str:
        # as with a retry time: each look asks for another moment
        return f"entity/Ops:Job/state=never/attempts::lt::{next(numbers)}"

    def look() -> bool:
        _, batch = ermpoll.state_change_once(catalog, query(), UPDATE, convert)
        return bool(batch)

    poller = ermpoll.Poller(look)

    def ours() -> None:
        poller.look_now()
        poller.tick()

    def told() -> None:
        theirs.state_change_once(f"/{query()}", f"/{UPDATE}", convert)

    grown = _growth_mb(ours, count)
    with _quietly():
        told_grown = _growth_mb(told, count)
    what = f"memory gained by {count:,} looks"
    report.add(what, "MB", grown, theirs=told_grown, goal=1.0)


def _pair(
    report: Report,
    what: str,
    ours: Callable[[], object],
    theirs: Callable[[], object],
) -> None:
    report.add(what, "s", timed(ours, 3).median, theirs=timed(theirs, 3).median)


def _cpu_s(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def _peak_mb(call: Callable[[], object]) -> float:
    gc.collect()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1] / MB
    finally:
        tracemalloc.stop()


def _growth_mb(call: Callable[[], object], count: int) -> float:
    """Resident memory after `count` calls over that after the first tenth of them."""
    process = psutil.Process()
    for _ in range(count // 10):
        call()
    gc.collect()
    before = process.memory_info().rss
    for _ in range(count):
        call()
    gc.collect()
    return (process.memory_info().rss - before) / MB


@contextlib.contextmanager
def _quietly() -> Any:
    """deriva-py writes all it does to stderr."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        yield


def main() -> None:
    """Run it all."""
    options = arguments("basics")
    quick = options.quick
    report = Report("basics", quick)
    imports(report, quick)
    with server() as box:
        url, _ = job_table(box, COLUMNS, rows(ROWS))
        pages(report, url, f"{ROWS:,} rows", ROWS)
        heavy = rows(20 if quick else 100, {"planes": "x" * MB})
        url, _ = job_table(box, COLUMNS, heavy, at_once=10)
        pages(report, url, f"{len(heavy)} rows + 1 MB json", len(heavy))
        looks(report, url, 1_000 if quick else 10_000)
    with server("--price") as box:
        claims(report, box, 2 if quick else 25)
    report.write(options.json)


if __name__ == "__main__":
    main()

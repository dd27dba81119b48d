"""Work on a cluster of dask beside threads: ``python -m tests.bench.dask_executor``.

One agent at a sandbox that charges what a real service does (``--price``), in a process
of its own. The workers of the cluster are processes of this machine with one thread
each, so that what is measured is the way to them and back, not what more machines give.
"""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

from dask.distributed import Client, LocalCluster

import ermpoll
from ermpoll.sandbox.box import Box
from tests.bench.common import Report, arguments, job_table, server
from tests.helpers.conditions import let_pass

COLUMNS = {"state": "text", "owner": "text"}
#: Seconds that a job takes, and what that is called.
KINDS = {0.0: "empty work", 0.05: "work of 50 ms"}


def empty(row: dict[str, Any]) -> dict[str, Any] | None:
    return None


def busy(row: dict[str, Any]) -> dict[str, Any] | None:
    let_pass(0.05)
    return None


def rate(box: Box, work_s: float, rows: int, options: dict[str, Any]) -> float:
    """Jobs a second of one agent with these options, from its start until idle."""
    url, table = job_table(box, COLUMNS, [{"state": "ready"}] * rows)
    with closing(ermpoll.connect(url)) as catalog:
        jobs = ermpoll.Queue(catalog, table, ready="ready", owner="owner")
        work = busy if work_s else empty
        agent = ermpoll.Agent(jobs, work, **options)
        began = time.perf_counter()
        done = agent.run(until_idle=True).done
        took_s = time.perf_counter() - began
    assert done == rows, f"{done} of {rows} done"
    return done / took_s


def measure(report: Report, box: Box, n: int, quick: bool) -> None:
    """Note the figures for so many workers."""
    with (
        LocalCluster(
            n_workers=n, threads_per_worker=1, dashboard_address="127.0.0.1:0"
        ) as made,
        Client(made) as client,
    ):
        executor = client.get_executor()
        on_dask = {"workers": n, "executor": executor}
        ways: dict[str, dict[str, Any]] = {
            "threads": {"workers": n},
            "dask": on_dask,
            "dask, prefetch": {**on_dask, "prefetch": 4 * n},
        }
        for way in ways.values():
            # who imports for the first time is not measured
            rate(box, 0.0, 20, way)
        for work_s, kind in KINDS.items():
            rows = 150 * n if work_s else 1000
            rows = rows * 2 // 5 if quick else rows
            for called, way in ways.items():
                told = f"{kind}, workers {n}, {called}"
                report.add(told, "jobs/s", rate(box, work_s, rows, way))


def main() -> None:
    options = arguments("dask_executor")
    report = Report("dask_executor", options.quick)
    with server("--price") as box:
        for n in (2,) if options.quick else (1, 2, 4):
            measure(report, box, n, options.quick)
    report.write(options.json)


if __name__ == "__main__":
    main()

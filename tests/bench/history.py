"""What it costs to tell a catalog's past, in requests, and whether it is told right.

``python -m tests.bench.history [--quick]``. Requests are what counts: on a real
service each takes 10 to 150 ms, here far less. How long a period is changes nothing of
them, so the day of the promise is as long here as the bench takes to make it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import ermpoll
from ermpoll.history import DeclaredMachine, Past, TablePast, Versions, read_versions
from ermpoll.history.breaches import may_miss
from ermpoll.history.past import forget_answers
from ermpoll.sandbox.box import Box
from tests.bench.common import Report, arguments, client, server
from tests.helpers.conditions import let_pass, wait_until

COLUMNS = {
    "state": "text",
    "owner": "text",
    "error": "text",
    "attempts": "int4",
    "result": "text",
}
OPTIONS = {"ready": "new", "done": "done", "owner": "owner", "error": "error"}
#: Rows that a worker claims and finishes in one PUT each.
BATCH = 250
#: One in so many rows fails.
FAILS = 50


def queue(url: str, **options: Any) -> ermpoll.Queue:
    catalog = ermpoll.connect(url, {})
    told = {**OPTIONS, "attempts": "attempts", **options}
    return ermpoll.Queue(catalog, "Ops:Job", **told)


def table(box: Box) -> ermpoll.Queue:
    """An empty table of jobs in a catalog of its own, and its queue."""
    url = box.new_catalog()
    with client(url) as door:
        door.table("Job", COLUMNS)
    return queue(url)


def add(jobs: ermpoll.Queue, count: int) -> None:
    jobs.catalog.post("entity/Ops:Job", [{"state": "new"}] * count)


def work(jobs: ermpoll.Queue, batch: int = BATCH) -> bool:
    """Claim a batch, fail some, finish the others; False when none was left."""
    claim = jobs.claim(batch)
    failed = claim.rids[::FAILS]
    if failed:
        jobs.fail(claim, dict.fromkeys(failed, "no disk"))
    if claim.unfinished:
        jobs.complete(claim, {rid: {"result": rid} for rid in claim.unfinished})
    return len(claim) > 0


def last_change(jobs: ermpoll.Queue) -> datetime:
    return Past(jobs.catalog, rate=None).last


def took(call: Callable[[], Any]) -> tuple[Any, float]:
    forget_answers()
    began = time.perf_counter()
    made = call()
    return made, time.perf_counter() - began


def life(report: Report, box: Box) -> None:
    """A row of 40 versions."""
    jobs = table(box)
    add(jobs, 1)
    rid = str(jobs.candidates(1).rids[0])
    for number in range(39):
        rows = [{"RID": rid, "result": str(number)}]
        jobs.catalog.put("attributegroup/Ops:Job/RID;result", rows)
    told, seconds = took(lambda: jobs.history(rid, rate=None))
    report.add("a row's life: versions found, of 40", "rows", len(told.versions),
               goal=40, at_least=True)  # fmt: skip
    report.add("a row's life: requests", "GETs", told.requests, goal=60)
    report.add("a row's life: time here", "s", seconds)


def timeline(report: Report, box: Box, count: int) -> None:
    """A queue over time, beside what was counted live."""
    jobs = table(box)
    begin = last_change(jobs)
    live: dict[datetime, dict[str, int]] = {}
    add(jobs, count)
    while work(jobs):
        live[last_change(jobs)] = jobs.counts()
    told, seconds = took(lambda: jobs.timeline(begin, rate=None))
    report.add(f"timeline of {count:,} rows, 60 points: requests", "GETs",
               told.requests, goal=100)  # fmt: skip
    report.add("timeline: time here", "s", seconds)
    report.add("timeline: rows of the sample", "rows", told.working.rows)
    report.add(
        "timeline: moments that differ from live", "", _differ(jobs, live), goal=0
    )
    finished = sum(told.completions) + sum(told.failures)
    report.add("timeline: finished rows not counted", "rows", count - finished, goal=0)


def _differ(jobs: ermpoll.Queue, live: dict[datetime, dict[str, int]]) -> int:
    """Count moments at which the past is told otherwise than it was met."""
    some = dict(list(live.items())[:: max(len(live) // 20, 1)])
    return sum(jobs.at(at, rate=None).counts() != met for at, met in some.items())


def period(report: Report, box: Box, count: int) -> None:
    """All versions of a period: by the known write times, and in 60 windows."""
    jobs = table(box)
    begin = last_change(jobs)
    add(jobs, count)
    while work(jobs, 5):
        pass
    written = {
        (row.rid, row.after["RMT"])
        for write in box.log
        if write.catalog == jobs.catalog.url.rpartition("/")[2]
        for row in write.rows
        if row.after
    }
    times = len({rmt for _, rmt in written})
    machine = DeclaredMachine.of(jobs.definition)

    def read(**how: Any) -> tuple[Versions, int]:
        forget_answers()
        past = Past(jobs.catalog, rate=None)
        found = read_versions(
            TablePast(past, jobs.definition), past.period(begin), **how
        )
        return found, past.requests

    ways: dict[str, dict[str, Any]] = {
        "every version": {},
        "60 windows": {"windows": 60, "gap": lambda before, after: False},
        "60 windows, repaired": {
            "windows": 60,
            "gap": lambda before, after: may_miss(machine, before, after),
        },
    }
    report.add("a period: versions at times", "writes", times)
    for name, how in ways.items():
        found, requests = read(**how)
        known = {(v.rid, v.rmt) for vs in found.by_rid.values() for v in vs}
        goal = 100.0 if name == "every version" else None
        share = 100 * len(known & written) / len(written)
        report.add(f"{name}: found", "%", share, goal=goal, at_least=True)
        most = times + 12 if name == "every version" else None
        report.add(f"{name}: requests", "GETs", requests, goal=most)


def backtest(report: Report, box: Box, changes: int) -> None:
    """A transform on the past: a request for each time at which was written."""
    jobs = table(box)
    add(jobs, changes // 2)
    begin, number = last_change(jobs), len(box.log)
    while work(jobs, 5):
        pass
    writes = len(box.log_from(number + 1))
    told, seconds = took(lambda: jobs.backtest(as_it_was, begin, rate=None))
    wrong = told.counts["other"] + told.counts["missed"] + told.counts["new"]
    report.add(f"back-test of {changes:,} changes: times", "writes", writes)
    report.add("back-test: requests", "GETs", told.requests, goal=writes + 12)
    report.add("back-test: time here", "s", seconds)
    report.add("back-test: rows not compared", "rows",
               changes // 2 - len(told.rows), goal=0)  # fmt: skip
    report.add("back-test: rows told wrongly", "rows",
               abs(wrong - jobs.counts()["failed"]), goal=0)  # fmt: skip


def as_it_was(row: Any) -> dict[str, Any]:
    return {"result": row["RID"]}


def shadow(report: Report, box: Box, seconds: float) -> None:
    """A shadow beside a worker that writes some four times a second."""
    jobs = table(box)
    add(jobs, 2_000)
    watching = ermpoll.shadow(queue(jobs.catalog.url), as_it_was).start()
    wait_until(lambda: watching.comparison.since)
    began = time.monotonic()
    while time.monotonic() < began + seconds and work(jobs, 20):
        let_pass(0.5)
    worked, counts = time.monotonic(), jobs.counts()
    finished = counts["done"] + counts["failed"]
    wait_until(lambda: _finished(watching) >= finished, 60)
    ended = time.monotonic()
    told = watching.comparison
    watching.stop()
    report.add("shadow: rows finished beside it", "rows", finished)
    report.add("shadow: requests a second", "", told.requests / (ended - began),
               goal=5.2)  # fmt: skip
    report.add("shadow: behind at the end", "s", ended - worked)
    wrong = counts["done"] - told.counts["same"]
    report.add("shadow: rows told wrongly", "rows", abs(wrong), goal=0)


def _finished(watching: ermpoll.Shadow) -> int:
    counts = watching.comparison.counts
    return sum(counts.values()) - counts["new"]


def proof(report: Report, box: Box, count: int) -> None:
    """History against the machine, as it was and with planted breaches."""
    jobs = table(box)
    begin = last_change(jobs)
    add(jobs, count)
    while work(jobs, 25):
        pass
    fine, seconds = took(lambda: jobs.prove(begin, rate=None))
    report.add(
        f"proof of {fine.claims:,} claims: found", "", len(fine.findings), goal=0
    )
    report.add("proof: requests", "GETs", fine.requests)
    report.add("proof: time here", "s", seconds)
    planted = _plant(jobs)
    wrong = jobs.prove(begin, rate=None)
    named = {(one.rid, one.breach.name) for one in wrong.findings}
    report.add("proof: planted and not named", "", len(planted - named), goal=0)
    report.add("proof: named and not planted", "", len(named - planted), goal=0)


def _plant(jobs: ermpoll.Queue) -> set[tuple[str, str]]:
    """Write what nobody should, one row for each breach."""

    def put(rid: str, **values: Any) -> None:
        path = f"attributegroup/Ops:Job/RID;{','.join(values)}"
        jobs.catalog.put(path, [{"RID": rid, **values}])

    add(jobs, 6)
    orphan, miscounted, *rids = jobs.candidates(6).rids
    put(orphan, state="claimed", owner=f"x~{'0' * 16}~0.000001", attempts=1)
    put(miscounted, state="claimed", owner=f"x~{'1' * 16}~600", attempts=2)
    two, tokenless, freed, edited = rids
    claim = jobs.claim(4, rows=rids)
    put(two, owner=f"x~{'2' * 16}~600")
    put(tokenless, state="done", owner=None)
    put(freed, state="new", owner=None)
    put(edited, result="by hand")
    jobs.complete(claim, {edited: {"result": "by work"}}, on_edit="overwrite")
    return {
        (orphan, "ORPHANED"), (miscounted, "ATTEMPTS"), (two, "TWO_HOLDERS"),
        (tokenless, "NO_TOKEN"), (freed, "NO_RIGHT"), (edited, "OVERWRITTEN"),
    }  # fmt: skip


def main() -> None:
    asked = arguments("history")
    report = Report("history", asked.quick)
    with server() as box:
        life(report, box)
        timeline(report, box, 2_000 if asked.quick else 20_000)
        period(report, box, 500 if asked.quick else 2_000)
        backtest(report, box, 1_000 if asked.quick else 5_000)
        shadow(report, box, 10 if asked.quick else 30)
        proof(report, box, 500 if asked.quick else 5_000)
    report.write(asked.json)


if __name__ == "__main__":
    main()

"""What a person waits for: the first page, a filter, a page, a dry run, a redraw.

``python -m tests.bench.console [--quick]``. In the kernel alone: what a browser takes
to draw 50 rows is not in it. The sandbox sorts and searches in SQLite; a real service
has PostgreSQL and its indexes.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

import ermpoll
from tests.bench.basics import COLUMNS, QUEUE, SHOWN, rows
from tests.bench.common import Report, arguments, job_table, server, timed

ROWS = 100_000
#: Changes of a dry run.
CHANGES = 10_000
#: Failed rows of a monitor.
FAILED = 10_000


def decide(row: Any) -> dict[str, Any] | None:
    """Most rows change, some are problems, some left alone."""
    n = row["bytes"] % 10
    if n == 0:
        return {"bytes": "huge"}
    return None if n == 1 else {"specimen": row["specimen"] + "-2"}


def views(report: Report, what: str, table: Any, times: int = 3) -> None:
    """Time what a person asks of a table: its rows, and then how many there are.

    Rows at hand are kept in the order they were asked for last: of them, once.
    """
    bare, reader = type(table.view)(), table.pages.reader
    asked = {
        "a word above a column": bare.filtered("specimen", "K042"),
        "a range": bare.filtered("bytes", "20_050_000.."),
        "a word in any column": bare.searched("_05417"),
        "a word that is nowhere": bare.searched("nowhere"),
        "sort by a column": bare.sorted_by("file"),
    }
    for said, view in asked.items():
        first_s = timed(lambda view=view: reader.page(view, None, 50), times).median
        report.add(f"{said}: rows, {what}", "s", first_s, goal=0.3)
        number_s = timed(lambda view=view: reader.count(view), times).median
        report.add(f"{said}: their number, {what}", "s", number_s)
    table.look(bare)
    report.add(
        f"next page, {what}", "s", timed(lambda: table.turn(1), 3).median, goal=0.3
    )


def sent_kb(table: Any) -> float:
    """What a redraw of the whole table sends, in KB."""
    table.draw()
    traits = (table.widget.page, table.widget.bar)
    return sum(len(json.dumps(one).encode()) for one in traits) / 1024


def previewed(report: Report, jobs: ermpoll.Queue, count: int) -> None:
    """The candidates of a long queue."""
    what = f"{count:,} candidates"

    def opened() -> None:
        ermpoll.preview(jobs).close()

    report.add(f"first page of {what}", "s", timed(opened, 3).median, goal=1.0)
    with ermpoll.preview(jobs) as panel:
        table = panel.table
        views(report, what, table)
        report.add(f"redraw, {what}", "KB", sent_kb(table), goal=200)


def tried(report: Report, jobs: ermpoll.Queue, count: int) -> None:
    """A dry run of many rows, on the page."""
    panel = ermpoll.widgets.DryRunPanel(jobs, decide, limit=count)
    with panel:
        panel.run()
        shown = panel._table
        what = f"plan of {count:,} rows"
        plan = panel.plan

        def drawn() -> None:
            shown.show(plan)
            panel.refresh()

        report.add(f"page of a {what}", "s", timed(drawn, 3).median, goal=1.0)
        press_s = timed(lambda: shown.table.press("problem"), 4).median
        report.add(f"just the problems, {what}", "s", press_s, goal=0.3)
        views(report, what, shown.table, times=1)
        report.add(f"redraw, {what}", "KB", sent_kb(shown.table), goal=200)


def failed(report: Report, jobs: ermpoll.Queue, count: int) -> None:
    """The failed rows of a queue in its monitor: each error differs in a number."""
    rids = jobs.candidates(count).rids
    path = "attributegroup/Ops:Job/RID;state,error"
    for start in range(0, count, 1000):
        body = [
            {"RID": rid, "state": "failed", "error": f"GPU {n % 7} fell off: {n:x}"}
            for n, rid in enumerate(rids[start : start + 1000], start)
        ]
        jobs.catalog.put(path, body)
    what = f"{count:,} failures"
    agent = ermpoll.Agent(jobs, decide)

    def opened() -> None:
        ermpoll.monitor(agent).close()

    report.add(f"first page of {what}", "s", timed(opened, 3).median, goal=1.0)
    with ermpoll.monitor(agent) as panel:
        section = panel._table.failed
        section.follow(count, anew=True)
        press_s = timed(lambda: section.table.press(section.groups[0].text), 4).median
        report.add(f"just one error, {what}", "s", press_s, goal=0.3)
        words = itertools.cycle(("fell", "off", "GPU"))
        word_s = timed(lambda: section.table.search(next(words)), 3).median
        report.add(f"a word, {what}", "s", word_s, goal=0.3)
        read_s = timed(lambda: section.follow(count, anew=True), 3).median
        report.add(f"all errors grouped, {what}", "s", read_s)
        report.add(f"redraw, {what}", "KB", sent_kb(section.table), goal=200)


def main() -> None:
    """Print all figures."""
    options = arguments("console")
    report = Report("console", options.quick)
    count = ROWS // 10 if options.quick else ROWS
    with server() as box:
        url, _ = job_table(box, COLUMNS, rows(count))
        jobs = ermpoll.Queue(
            ermpoll.connect(url, {}), "Ops:Job", **QUEUE, columns=SHOWN
        )
        previewed(report, jobs, count)
        told = ermpoll.Queue(
            jobs.catalog, "Ops:Job", **QUEUE, columns=SHOWN, error="error"
        )
        failed(report, told, FAILED // 10 if options.quick else FAILED)
        tried(report, jobs, CHANGES // 10 if options.quick else CHANGES)
    report.write(options.json)


if __name__ == "__main__":
    main()

"""Is the sandbox fast enough not to be what is measured?

``python -m tests.bench.sandbox [--quick]``. One keep-alive ``http.client`` process
asks a sandbox in a process of its own. Nothing of deriva-py is measured here.
"""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import psutil

from ermpoll.sandbox.box import Box
from tests.bench.common import Report, Spread, arguments, client, server, timed
from tests.helpers.sandbox_client import Client

KEYS = "RID,RMT"
TARGETS = "Processing_Status,Processing_Owner,Attempts"
CLAIM = f"/attributegroup/Imaging:Image/{KEYS};{TARGETS}"
LOOK = "/entity/Imaging:Image/Processing_Status=new@sort(RID)?limit=50"
EMPTY = "/attribute/Imaging:Image/Processing_Status=none/RID@sort(RID)?limit=50"
#: Rows of a load that go into one POST.
AT_ONCE = 5_000
STATES = 1_000
MB = 1024 * 1024


class Claimer:
    """Claims the same five rows over and over, each time by their new versions."""

    def __init__(self, door: Client) -> None:
        self.door = door
        self.rows: list[dict[str, Any]] = []
        self.number = count()
        self.read()

    def read(self) -> None:
        """Learn the versions as they are now."""
        path = f"/attribute/Imaging:Image/{KEYS}@sort(RID)?limit=5"
        self.rows = self.door.rows(path)

    def claim(self) -> None:
        """Send one PUT; the answer must list all five rows."""
        number = next(self.number)
        changes = {
            "Processing_Status": "in progress",
            "Processing_Owner": f"bench~{number}~600",
            "Attempts": number % 1000,
        }
        answer = self.door.put(CLAIM, [{**row, **changes} for row in self.rows])
        assert len(answer.json) == len(self.rows), answer
        rmt = _rmt(answer.etag)
        self.rows = [{**row, "RMT": rmt} for row in self.rows]


def _rmt(etag: str) -> str:
    """Return the RMT of the rows that a write wrote, from its ETag."""
    text = etag.strip('"').split(";")[2].replace(" ", "T").removesuffix("+00:00")
    head, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    return f"{head}{'.' if fraction else ''}{fraction}+00:00"


def _per_second(runs: Spread) -> float:
    return len(runs.runs) / sum(runs.runs)


def speed(report: Report, door: Client, times: int) -> None:
    """Requests a second over one connection."""
    claimer = Claimer(door)
    timed(claimer.claim, 100)
    claims = timed(claimer.claim, times)
    report.add(
        "claims of five rows", "1/s", _per_second(claims), goal=1000, at_least=True
    )
    report.add("a claim of five rows, p99", "ms", 1000 * claims.percentile(0.99))
    looks = timed(lambda: door.rows(LOOK), times // 3)
    report.add("looks that find 36 whole rows", "1/s", _per_second(looks))
    empty = timed(lambda: door.rows(EMPTY), times)
    report.add("looks that find nothing", "1/s", _per_second(empty))
    etag = door.get(EMPTY).etag
    same = timed(lambda: door.get(EMPTY, If_None_Match=etag), times)
    report.add("looks answered by 304", "1/s", _per_second(same))


def memory(report: Report, door: Client, pid: int, requests: int) -> None:
    """What the process holds more after many requests, a third of them writes."""
    claimer = Claimer(door)
    process = psutil.Process(pid)

    def three() -> None:
        claimer.claim()
        door.rows(EMPTY)
        # Another address each time, so that what is cached by address is met too.
        door.rows(f"/attribute/Imaging:Image/RID={next(claimer.number)}/RID")

    timed(three, requests // 10 // 3)
    before = process.memory_info().rss
    timed(three, requests // 3)
    grown = (process.memory_info().rss - before) / MB
    report.add(f"memory grown over {requests:,} requests", "MB", grown, goal=20)


def many(report: Report, box: Box, rows: int) -> None:
    """A table of very many rows: loaded, then filtered by an indexed column."""
    with client(box.new_catalog()) as door:
        door.table("Job", {"state": "text", "number": "int4"})

        def load() -> None:
            for first in range(0, rows, AT_ONCE):
                numbers = range(first, min(first + AT_ONCE, rows))
                body = [{"state": f"s{n % STATES}", "number": n} for n in numbers]
                answer = door.post("/entity/Ops:Job", json.dumps(body))
                assert answer.status == 200, answer

        took = timed(load)
        report.add("rows loaded", "1/s", rows / took.median)
        path = "/attribute/Ops:Job/state=s77/RID,number@sort(RID)?limit=50"
        found = timed(lambda: door.rows(path), 20)
        report.add(
            f"{rows:,} rows, filtered and sorted", "ms", 1000 * found.median, goal=50
        )
        whole = timed(lambda: door.rows("/aggregate/Ops:Job/n:=cnt(*)"), 3)
        report.add(f"{rows:,} rows, counted", "ms", 1000 * whole.median)


def main() -> None:
    """Run all, print the table, write the figures."""
    options = arguments("sandbox")
    report = Report("sandbox", options.quick)
    with server() as box:
        (process,) = [
            child
            for child in psutil.Process().children()
            if "sandbox" in child.cmdline()
        ]
        with client(box.url) as door:
            speed(report, door, 1_000 if options.quick else 5_000)
            requests = 9_000 if options.quick else 100_000
            memory(report, door, process.pid, requests)
        many(report, box, 50_000 if options.quick else 1_000_000)
    report.write(options.json)


if __name__ == "__main__":
    main()

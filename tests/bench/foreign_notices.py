"""From a write to the look that sees it, while others write all the time.

All catalogs of a host share one exchange, so most notices are of no concern: those of
another catalog find the ETag as it was (304), those of the same catalog, of whichever
table, find a new one, and no rows. Each side watches the same query with conditional
reads in a process of its own, through a proxy that counts them.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from ermpoll.sandbox.box import Box
from tests.bench.agents import proxy
from tests.bench.common import Report, Spread, client, job_table
from tests.bench.proxy import counted
from tests.helpers.conditions import let_pass, wait_until
from tests.helpers.poller_process import TABLE, poller_process

Foreign = Literal["another catalog", "another table", "same table"]
#: Streams: whose writes, and how many a second.
STREAMS: dict[Foreign, tuple[int, ...]] = {
    "another catalog": (2, 5, 10, 20),
    "another table": (2, 20),
    "same table": (2, 20),
}
#: Own writes are so far apart, in seconds: each finds the others' stream settled.
APART_S = 1.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How one side did in one stream."""

    #: From sending a write to the look that saw it, in milliseconds.
    late: Spread
    #: Conditional reads per second.
    reads_s: float


@contextmanager
def writing(url: str, table: str, per_second: float) -> Iterator[None]:
    """Others write so many times a second, on average."""
    stop = threading.Event()

    def write() -> None:
        with client(url) as door:
            # by chance, as many who know nothing of each other do
            at, chance = time.monotonic(), random.Random(4711)
            while not stop.wait(max(0.0, at - time.monotonic())):
                door.post(f"/entity/{table}", [{"state": "theirs"}])
                at += chance.expovariate(per_second)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def seen(box: Box, whose: str, foreign: Foreign, per_second: float, times: int) -> Seen:
    """Write so many rows of our own in a stream of others' writes."""
    own, _ = job_table(box, {"state": "text"}, [])
    other, _ = job_table(box, {"state": "text"}, [])
    with client(own) as door:
        door.table("Other", {"state": "text"})
    theirs = {
        "another catalog": (other, TABLE),
        "another table": (own, "Ops:Other"),
        "same table": (own, TABLE),
    }[foreign]
    broker = urlsplit(box.amqp_url).port or 0
    late = []
    with (
        proxy(own) as port,
        poller_process(
            whose, broker, host="localhost", look="watch", url=own, through=port
        ) as poller,
        client(own) as door,
        writing(*theirs, per_second),
    ):
        wait_until(lambda: poller.looks, 30)
        # it listens, and the gap is what the stream makes it
        let_pass(4.0)
        counted(port)
        began = time.monotonic()
        for i in range(times):
            # no two at the same place between two looks
            let_pass(APART_S + 0.37 * (i * 0.618 % 1))
            sent = time.monotonic()
            [row] = door.post(f"/entity/{TABLE}", [{"state": "new"}]).json
            rid = row["RID"]
            wait_until(lambda rid=rid: rid in poller.saw, 30)
            late.append(1000 * (poller.saw[rid] - sent))
        took_s = time.monotonic() - began
        counts = counted(port)
    reads = sum(n for what, n in counts.items() if what.startswith("GET "))
    return Seen(late=Spread(tuple(late)), reads_s=reads / took_s)


def report(box: Box, told: Report, *, quick: bool) -> None:
    """Measure both sides in each stream and note the figures."""
    streams: dict[Foreign, tuple[int, ...]] = {"another catalog": (20,)}
    for foreign, rates in (streams if quick else STREAMS).items():
        for rate in rates:
            times = 3 if quick else 20
            ours = seen(box, "ermpoll", foreign, rate, times)
            theirs = seen(box, "deriva", foreign, rate, times)
            what = f"{rate}/s, {foreign}:"
            # what comes to nothing in our own catalog costs more, and is asked less
            goal = 60 if foreign == "another catalog" else None
            for name, share in (("p50", 0.5), ("p99", 0.99)):
                told.add(
                    f"{what} write -> look {name}",
                    "ms",
                    ours.late.percentile(share),
                    theirs=theirs.late.percentile(share),
                    goal=goal if name == "p50" else None,
                )
            told.add(
                f"{what} reads", "1/s", ours.reads_s, theirs=theirs.reads_s, goal=10
            )

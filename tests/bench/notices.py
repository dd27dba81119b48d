"""``python -m tests.bench.notices [--quick]``: how waiting does, beside deriva-py's.

Both listen to the same RabbitMQ, each in a process of its own; for what needs rows
both use the same sandbox. An hour is scaled to seconds: 600 s of ``poll_s`` become
one (deriva-py takes no less). Of our requests one asks who is logged in: that and
the first read are not answered 304.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import ermpoll
from tests.bench import foreign_notices
from tests.bench.agents import proxy
from tests.bench.common import Report, Spread, arguments, client, job_table, server
from tests.bench.proxy import counted
from tests.helpers.conditions import let_pass, wait_until
from tests.helpers.poller_process import TABLE, PollerProcess, poller_process
from tests.helpers.rabbitmq import EXCHANGE, Rabbit, broker

WHOSE = ("ermpoll", "deriva")
#: What 600 s of poll_s are here, and so a sixth of an hour.
POLL_S = 1.0


@contextmanager
def listening(rabbit: Rabbit, **options: Any) -> Iterator[dict[str, PollerProcess]]:
    """Both pollers, listening."""
    with ExitStack() as stack:
        both = {
            whose: stack.enter_context(poller_process(whose, rabbit.port, **options))
            for whose in WHOSE
        }
        wait_until(lambda: len(rabbit.queues()) == 2, 30)
        let_pass(1.0)
        yield both


@contextmanager
def publishing(rabbit: Rabbit) -> Iterator[Any]:
    """A function that brings a notice, and one that waits and keeps alive."""
    connection = rabbit.connect()
    channel = connection.channel()
    try:
        yield (
            lambda: channel.basic_publish(EXCHANGE, "", b"change"),
            connection.process_data_events,
        )
    finally:
        connection.close()


def delays(rabbit: Rabbit, times: int) -> dict[str, Spread]:
    """From publishing a notice to the look, in milliseconds."""
    runs: dict[str, list[float]] = {whose: [] for whose in WHOSE}
    with listening(rabbit) as both, publishing(rabbit) as (notify, wait):
        for i in range(times):
            # Unlike intervals, so that no two timers keep step with us.
            wait(0.25 + 0.05 * (i % 5))
            seen = {whose: len(poller.looks) for whose, poller in both.items()}
            began = time.monotonic()
            notify()
            for whose, poller in both.items():
                wait_until(lambda p=poller, n=seen[whose]: len(p.looks) > n, 5)
                runs[whose].append(1000 * (poller.looks[seen[whose]] - began))
    return {whose: Spread(tuple(each)) for whose, each in runs.items()}


def looks_per_second(rabbit: Rabbit, whose: str, url: str, for_s: float) -> float:
    """While a row comes every 12 ms."""
    with (
        poller_process(whose, rabbit.port, look="take", url=url) as poller,
        publishing(rabbit) as (notify, wait),
        client(url) as door,
    ):
        wait_until(rabbit.queues, 30)
        wait(1.0)
        seen, began = len(poller.looks), time.monotonic()
        i = 0
        while (at := began + 0.012 * i) < began + for_s:
            wait(max(0.0, at - time.monotonic()))
            door.post(f"/entity/{TABLE}", [{"state": "new"}])
            notify()
            i += 1
        return (len(poller.looks) - seen) / (time.monotonic() - began)


def stops(rabbit: Rabbit, times: int) -> Spread:
    """From stop() to its return, idle, in milliseconds."""
    runs = []
    for _ in range(times):
        poller = ermpoll.Poller(lambda: False, notices=rabbit.url).start()
        wait_until(lambda p=poller: p.status.notices.state == "push")
        wait_until(lambda p=poller: p.status.state == "waiting")
        began = time.perf_counter()
        poller.stop()
        runs.append(1000 * (time.perf_counter() - began))
    return Spread(tuple(runs))


def idle_hour(rabbit: Rabbit, url: str) -> dict[str, Counter[str]]:
    """Requests of six poll intervals, with three notices of another catalog."""
    with ExitStack() as stack:
        ports = {whose: stack.enter_context(proxy(url)) for whose in WHOSE}
        idlers = [
            stack.enter_context(
                poller_process(
                    whose,
                    rabbit.port,
                    look="idle",
                    url=_through(url, ports[whose]),
                    poll_s=POLL_S,
                )
            )
            for whose in WHOSE
        ]
        wait_until(lambda: all(idler.looks for idler in idlers), 30)
        for port in ports.values():
            _counts(port)
        notify, wait = stack.enter_context(publishing(rabbit))
        for _ in range(3):
            wait(POLL_S * 1.5)
            notify()
        wait(POLL_S * 1.5)
        return {whose: _counts(port) for whose, port in ports.items()}


def _through(url: str, port: int) -> str:
    parts = urlsplit(url)
    return url.replace(parts.netloc, f"{parts.hostname}:{port}")


def unacknowledged(rabbit: Rabbit, whose: str) -> int:
    """How many of 10,000 notices the broker still keeps for a listener."""
    with poller_process(whose, rabbit.port) as poller:
        wait_until(rabbit.queues, 30)
        rabbit.publish(10_000)
        seen = len(poller.looks)
        wait_until(lambda: len(poller.looks) > seen or not poller.alive, 20)
        let_pass(2.0)
        return sum(rabbit.queues().values())


def _counts(port: int) -> Counter[str]:
    return Counter({k: n for k, n in counted(port).items() if k.split()[0] == "GET"})


def main() -> None:
    """Run all, print the table, write the JSON."""
    given = arguments("notices")
    told = Report("notices", given.quick)
    with broker() as rabbit, server() as box:
        late = delays(rabbit, 30 if given.quick else 400)
        ours, theirs = late["ermpoll"], late["deriva"]
        told.add("notice -> look, p50", "ms", ours.median, theirs=theirs.median, goal=5)
        told.add(
            "notice -> look, p99",
            "ms",
            ours.percentile(0.99),
            theirs=theirs.percentile(0.99),
            goal=20,
        )
        url, _ = job_table(box, {"state": "text"}, [])
        for_s = 3.0 if given.quick else 60.0
        rates = {w: looks_per_second(rabbit, w, url, for_s) for w in WHOSE}
        what = f"row every 12 ms, {for_s:.0f} s: looks"
        told.add(what + ", at least", "1/s", rates["ermpoll"], goal=5, at_least=True)
        told.add(
            what + ", at most", "1/s", rates["ermpoll"], theirs=rates["deriva"], goal=12
        )
        told.add(
            "stop, idle, p99",
            "ms",
            stops(rabbit, 30 if given.quick else 200).percentile(0.99),
            goal=50,
        )
        foreign_notices.report(box, told, quick=given.quick)
        empty, _ = job_table(box, {"state": "text"}, [])
        asked = idle_hour(rabbit, empty)
        total = {whose: float(sum(counts.values())) for whose, counts in asked.items()}
        told.add(
            "an idle hour, 3 notices: requests",
            "",
            total["ermpoll"],
            theirs=total["deriva"],
            goal=12,
        )
        told.add(
            "... of them not answered 304",
            "",
            total["ermpoll"] - asked["ermpoll"]["GET 304"],
            theirs=total["deriva"] - asked["deriva"]["GET 304"],
            goal=1,
        )
        left = {whose: unacknowledged(rabbit, whose) for whose in WHOSE}
        told.add(
            "unacknowledged of 10,000 notices",
            "",
            left["ermpoll"],
            theirs=left["deriva"],
            goal=0,
        )
    told.write(given.json)


if __name__ == "__main__":
    main()

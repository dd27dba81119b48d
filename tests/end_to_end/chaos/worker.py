"""One agent process.

``python -m tests.end_to_end.chaos.worker URL NAME LEASE_S FOLDER [AMQP]``
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ermpoll
from ermpoll.errors import CatalogError
from tests.end_to_end.chaos.ledger import Ledger, Lines, wall_s
from tests.end_to_end.chaos.table import QUEUE, TABLE
from tests.end_to_end.chaos.words import COUNTS
from tests.helpers.bad_results import looped
from tests.helpers.conditions import let_pass

#: Shorter than the delays of the storm: some writes are given up, and then happen.
TIMEOUT_S = 0.5


class Work:
    """Jobs of all kinds: short, long, longer than the lease, failing, refused."""

    def __init__(self, lease_s: float, ledger: Ledger) -> None:
        self._lease_s, self._ledger = lease_s, ledger

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        entry = self._ledger.begin(row)
        try:
            changes = self._changes(row)
        except RuntimeError as error:
            self._ledger.end(entry, error=str(error))
            raise
        if row["number"] % 211 == 5:
            # what no row can take: this one fails, and no other
            self._ledger.end(entry, poison=True)
            return {"result": looped()}
        self._ledger.end(entry, changes, contested="code" in changes)
        return changes or None

    def _changes(self, row: Mapping[str, Any]) -> dict[str, Any]:
        number = row["number"]
        let_pass(self._seconds(number))
        # early rows: their back-off of up to ten seconds is over before the storm is
        if number < 1000 and number % 200 == 7 and row["attempts"] == 1:
            raise RuntimeError("a cosmic ray hit the first attempt")
        changes: dict[str, Any] = {}
        if not row["human"]:
            changes["note"] = f"measured {number}"
        if number % 3 == 0:
            changes["result"] = {"number": number}
        if number % 301 == 0:
            # unique in the table: the second one to come is refused by the server
            changes["code"] = "taken"
        return changes

    def _seconds(self, number: int) -> float:
        if number % 499 == 0:
            return 1.7 * self._lease_s
        return 0.15 if number % 97 == 0 else 0.002


def mark(row: Mapping[str, Any]) -> dict[str, Any]:
    """Write something with each claim, where the row is no person's."""
    return {} if row["human"] else {"note": "taken up"}


def queue(url: str, name: str, lease_s: float) -> ermpoll.Queue:
    """Open the queue, however bad the weather."""
    while True:
        try:
            catalog = ermpoll.connect(url, {"bearer-token": name}, timeout_s=TIMEOUT_S)
            return ermpoll.Queue(catalog, TABLE, lease_s=lease_s, **QUEUE)
        except CatalogError:
            let_pass(0.2)


def take_down(agent: ermpoll.Agent, lines: Lines) -> None:
    """Take down each word of an agent that stands for a write, or for a loss."""

    def hear(event: ermpoll.Event) -> None:
        if event.kind in (*COUNTS, "lost"):
            lines.add(event=event.kind, rid=event.rid)

    agent.subscribe(hear)


def counts_of(agent: ermpoll.Agent) -> dict[str, int]:
    """Return the counts of its status that words are held against."""
    names = [name for counts in COUNTS.values() for name in counts]
    return {name: getattr(agent.status, name) for name in (*names, "lost", "unknown")}


def main(url: str, name: str, lease: str, folder: str, amqp: str = "") -> int:
    lease_s = float(lease)
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    agent = ermpoll.Agent(
        queue(url, name, lease_s),
        Work(lease_s, Ledger(Path(folder) / f"{name}.ledger", name)),
        transform=mark if amqp else None,
        workers=4,
        notices=amqp or None,
        poll_s=1,
        name=name,
        spread="random" if amqp else None,
    )
    lines = Lines(Path(folder) / f"{name}.words")
    take_down(agent, lines)
    agent.start()
    told.wait()
    stopped = agent.stop(timeout_s=20)
    lines.add(counts=counts_of(agent), stopped=stopped, at=wall_s())
    return 0 if stopped else 1


if __name__ == "__main__":
    logging.basicConfig(
        level=logging.WARNING,
        format="%(asctime)s %(process)d %(levelname)s %(name)s %(message)s",
    )
    sys.exit(main(*sys.argv[1:]))

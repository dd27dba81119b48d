"""One agent process.

``python -m tests.end_to_end.chaos.worker URL NAME LEASE_S [AMQP]``
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Mapping
from typing import Any

import ermpoll
from ermpoll.errors import CatalogError
from tests.end_to_end.chaos.table import QUEUE, TABLE
from tests.helpers.conditions import let_pass

#: Shorter than the delays of the storm: some writes are given up, and then happen.
TIMEOUT_S = 0.5


class Work:
    """Jobs of all kinds: short, long, longer than the lease, failing, refused."""

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
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
        return changes or None

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


def main(url: str, name: str, lease: str, amqp: str = "") -> int:
    lease_s = float(lease)
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    agent = ermpoll.Agent(
        queue(url, name, lease_s),
        Work(lease_s),
        transform=mark if amqp else None,
        workers=4,
        notices=amqp or None,
        poll_s=1,
        name=name,
        spread="random" if amqp else None,
    )
    agent.start()
    told.wait()
    return 0 if agent.stop(timeout_s=20) else 1


if __name__ == "__main__":
    logging.basicConfig(
        level=logging.WARNING,
        format="%(asctime)s %(process)d %(levelname)s %(name)s %(message)s",
    )
    sys.exit(main(*sys.argv[1:]))

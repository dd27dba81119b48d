"""A daemon as there are many: deriva-py's loop, one column, no token, no lease.

``python -m tests.chaos.legacy HOST:PORT NAME WORK_S``
"""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any

import requests
from deriva.core.polling_ermrest_catalog import (
    ConcurrentUpdate,
    PollingErmrestCatalog,
)

from tests.chaos.place import QUEUE, TABLE

_told = threading.Event()


def _claim(row: dict[str, Any]) -> dict[str, Any]:
    return {"RID": row["RID"], "state": QUEUE["claimed"]}


def look(catalog: PollingErmrestCatalog, work_s: float) -> None:
    """Claim two rows, work for longer than any lease here, finish them."""
    query = f"/entity/{TABLE}/state={QUEUE['ready']}@sort(RID::desc::)?limit=2"
    update = f"/attributegroup/{TABLE}/RID;state"
    _, claimed = catalog.state_change_once(query, update, _claim)
    if not claimed:
        return
    _told.wait(work_s)
    done = [{"RID": row["RID"], "state": QUEUE["done"]} for row, _ in claimed]
    while True:
        try:
            catalog.put(update, json=done)
            return
        except requests.RequestException:
            threading.Event().wait(0.2)


def main(server: str, name: str, work: str) -> int:
    signal.signal(signal.SIGTERM, lambda *_: _told.set())
    catalog = PollingErmrestCatalog(
        "http", server, "1", {"bearer-token": name}, caching=False
    )
    while not _told.wait(0.1):
        try:
            look(catalog, float(work))
        except (ConcurrentUpdate, requests.RequestException):
            continue
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""A daemon as there are many: deriva-py's loop, one column, no token, no lease.

``python -m tests.end_to_end.chaos.legacy HOST:PORT NAME WORK_S``
"""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any

from tests.end_to_end.chaos.table import QUEUE, TABLE
from tests.helpers.conditions import let_pass

_UPDATE = f"/attributegroup/{TABLE}/RID;state"
_told = threading.Event()


def _claim(row: dict[str, Any]) -> dict[str, Any]:
    return {"RID": row["RID"], "state": QUEUE["claimed"]}


class Daemon:
    """Claims two rows, works for longer than any lease here, finishes them."""

    def __init__(self, server: str, name: str, work_s: float) -> None:
        # late, so that a SIGTERM while it is imported finds its handler
        from deriva.core.polling_ermrest_catalog import PollingErmrestCatalog

        login = {"bearer-token": name}
        self._catalog = PollingErmrestCatalog("http", server, "1", login, caching=False)
        self._work_s = work_s

    def look(self) -> None:
        query = f"/entity/{TABLE}/state={QUEUE['ready']}@sort(RID::desc::)?limit=2"
        _, claimed = self._catalog.state_change_once(query, _UPDATE, _claim)
        if claimed:
            _told.wait(self._work_s)
            self._finish(
                [{"RID": row["RID"], "state": QUEUE["done"]} for row, _ in claimed]
            )

    def _finish(self, done: list[dict[str, Any]]) -> None:
        from requests import RequestException

        while True:
            try:
                self._catalog.put(_UPDATE, json=done)
                return
            except RequestException:
                let_pass(0.2)


def main(server: str, name: str, work_s: str) -> int:
    signal.signal(signal.SIGTERM, lambda *_: _told.set())
    from deriva.core import ConcurrentUpdate
    from requests import RequestException

    daemon = Daemon(server, name, float(work_s))
    while not _told.wait(0.1):
        try:
            daemon.look()
        except (ConcurrentUpdate, RequestException):
            continue
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

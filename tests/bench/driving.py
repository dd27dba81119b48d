"""The processes that `tests.bench.agents` measures: ``KIND URL WORKERS [LIMIT]``.

Each says ``ready``, begins at a line on its input, and goes on until it is killed.
``loop`` is deriva-py's documented loop, ``tuned`` the same with one PUT per batch,
``agent`` is ermpoll's, ``one`` a single writer that does nothing but write.
"""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stderr
from typing import Any

import ermpoll
from ermpoll.sandbox import demo
from tests.bench.common import client, deriva_catalog

STATE = demo.QUEUE["state"]
READY, CLAIMED, DONE = "new", "in progress", "success"
ROWS = f"{demo.TABLE}/{STATE}={READY}"
_SET = f"/attributegroup/{demo.TABLE}/RID;{STATE}"


def _claim(row: dict[str, Any]) -> dict[str, Any]:
    return {"RID": row["RID"], STATE: CLAIMED}


def _done(row: dict[str, Any]) -> dict[str, Any]:
    return {"RID": row["RID"], STATE: DONE}


def loop(url: str, limit: int, at_once: bool) -> None:
    """Claim, work and finish as deriva-py's documentation shows."""
    from deriva.core.polling_ermrest_catalog import ConcurrentUpdate
    from requests import RequestException

    catalog = deriva_catalog(url)
    while True:
        try:
            with redirect_stderr(io.StringIO()):
                _, batch = catalog.state_change_once(
                    f"/entity/{ROWS}?limit={limit}", _SET, _claim
                )
        except ConcurrentUpdate:
            continue
        except RequestException:
            # 503 after deriva-py's own retries: its loop would end here
            continue
        finished = [_done(row) for row, _ in batch]
        parts = [finished] if at_once else [[row] for row in finished]
        for part in parts:
            _surely(lambda part=part: catalog.put(_SET, json=part))


def _surely(write: Callable[[], object]) -> None:
    from requests import RequestException

    while True:
        try:
            write()
        except RequestException:
            continue
        return


def one(url: str, size: int) -> None:
    """Finish a batch and claim the next in one PUT, after one GET: the ceiling."""
    path = f"/attributegroup/{demo.TABLE}/RID,was:={STATE};{STATE}"
    held: list[str] = []
    with client(url) as door:
        while True:
            found = [
                row["RID"] for row in door.rows(f"/attribute/{ROWS}/RID{_page(size)}")
            ]
            door.put(
                path,
                [{"RID": rid, "was": CLAIMED, STATE: DONE} for rid in held]
                + [{"RID": rid, "was": READY, STATE: CLAIMED} for rid in found],
            )
            held = found


def _page(size: int) -> str:
    return f"@sort(RID)?limit={size}"


def agent(url: str, workers: int) -> None:
    """Run ermpoll's agent on empty work."""
    jobs = ermpoll.Queue(ermpoll.connect(url), demo.TABLE, **demo.QUEUE)
    ermpoll.Agent(jobs, lambda row: None, workers=workers, poll_s=1).run()


def main(kind: str, url: str, workers: int, limit: int) -> None:
    runs: dict[str, Callable[[], None]] = {
        "loop": lambda: loop(url, limit, at_once=False),
        "tuned": lambda: loop(url, limit, at_once=True),
        "one": lambda: one(url, limit),
        "agent": lambda: agent(url, workers),
    }
    run = runs[kind]
    print("ready", flush=True)
    sys.stdin.readline()
    many = workers if kind in ("loop", "tuned") else 1
    threads = [threading.Thread(target=run) for _ in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))

"""The processes that `tests.bench.agents` measures: ``ROLE`` as JSON.

Each says ``ready``, begins at a line on its input, goes on until the next one, and then
prints when its work ended on some rows. ``loop`` is deriva-py's documented loop,
``tuned`` the same with one PUT per batch, ``agent`` is ermpoll's, ``puts`` a single
writer that does nothing but write.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import asdict, dataclass
from typing import Any

import ermpoll
from tests.bench.common import client, deriva_catalog

#: A table of few columns, as the real service was measured with.
TABLE, COLUMNS = "Ops:Job", {"state": "text", "owner": "text"}
READY, CLAIMED, DONE = "new", "busy", "done"
ROWS = f"{TABLE}/state={READY}"
_SET = f"/attributegroup/{TABLE}/RID;state"
#: Of so many rows it is noted of one when its work ended.
SAMPLE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What a process does."""

    kind: str
    url: str
    workers: int = 1
    #: Rows that a loop claims at a time, or a writer finishes and claims.
    limit: int = 5
    name: str = ""
    #: Its slot among other machines, or None.
    spread: tuple[int, int] | None = None

    @property
    def text(self) -> str:
        """It as one word of a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Role:
        """Read it from a command line."""
        told = json.loads(text)
        spread = told.pop("spread")
        return cls(spread=tuple(spread) if spread else None, **told)


def _claim(row: dict[str, Any]) -> dict[str, Any]:
    return {"RID": row["RID"], "state": CLAIMED}


def _done(row: dict[str, Any]) -> dict[str, Any]:
    return {"RID": row["RID"], "state": DONE}


def loop(role: Role) -> None:
    """Claim, work and finish as deriva-py's documentation shows."""
    from deriva.core.polling_ermrest_catalog import ConcurrentUpdate
    from requests import RequestException

    catalog = deriva_catalog(role.url)
    while True:
        try:
            with redirect_stderr(io.StringIO()):
                _, batch = catalog.state_change_once(
                    f"/entity/{ROWS}?limit={role.limit}", _SET, _claim
                )
        except ConcurrentUpdate:
            continue
        except RequestException:
            # 503 after deriva-py's own retries: its loop would end here
            continue
        finished = [_done(row) for row, _ in batch]
        tuned = role.kind == "tuned"
        parts = [finished] if tuned else [[row] for row in finished]
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


def puts(role: Role) -> None:
    """Finish a batch and claim the next in one PUT, and nothing else: the ceiling."""
    path = f"/attributegroup/{TABLE}/RID,was:=state;state"
    with client(role.url) as door:
        rows = iter([row["RID"] for row in door.rows(f"/attribute/{ROWS}/RID")])
        held: list[str] = []
        while True:
            found = list(itertools.islice(rows, role.limit))
            if not found:
                return
            door.put(
                path,
                [{"RID": rid, "was": CLAIMED, "state": DONE} for rid in held]
                + [{"RID": rid, "was": READY, "state": CLAIMED} for rid in found],
            )
            held = found


def agent(role: Role, ended: dict[str, float]) -> None:
    """Run ermpoll's agent on empty work."""
    numbers = itertools.count()

    def work(row: dict[str, Any]) -> None:
        if next(numbers) % SAMPLE == 0:
            ended[row["RID"]] = time.time()

    jobs = ermpoll.Queue(
        ermpoll.connect(role.url),
        TABLE,
        state="state",
        ready=READY,
        claimed=CLAIMED,
        done=DONE,
        failed="failed",
        owner="owner",
        worker=role.name,
    )
    ermpoll.Agent(
        jobs, work, workers=role.workers, poll_s=1, spread=role.spread
    ).start()


def done(url: str) -> Counter[str]:
    """Return how many rows each process finished; without a token, all together."""
    path = f"/attributegroup/{TABLE}/state={DONE}/owner;n:=cnt(RID)"
    with client(url) as door:
        rows = door.rows(path)
    counts: Counter[str] = Counter()
    for row in rows:
        counts[(row["owner"] or "").partition(" ")[0]] += int(row["n"])
    return counts


def main(role: Role) -> None:
    ended: dict[str, float] = {}
    runs: dict[str, Callable[[], None]] = {
        "loop": lambda: loop(role),
        "tuned": lambda: loop(role),
        "puts": lambda: puts(role),
        "agent": lambda: agent(role, ended),
    }
    print("ready", flush=True)
    sys.stdin.readline()
    many = role.workers if role.kind in ("loop", "tuned") else 1
    for _ in range(many):
        threading.Thread(target=runs[role.kind], daemon=True).start()
    sys.stdin.readline()
    print(json.dumps(ended), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(Role.read(sys.argv[1]))

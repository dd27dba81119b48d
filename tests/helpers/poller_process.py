"""A poller in a process of its own, ours or deriva-py's, over a real broker.

``poller_process()`` starts it and reads the one line it writes for each look.
deriva-py's class can't be stopped, knows no port, and may spin: hence the process.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal
from urllib.parse import urlsplit

import psutil

from tests.helpers.conditions import let_pass

TABLE = "Ops:Job"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What runs in that process."""

    whose: str
    port: int
    host: str = "127.0.0.1"
    poll_s: float = 600
    #: Of ours; deriva-py takes the broker's.
    heartbeat_s: int = 30
    #: "bare" finds nothing; "take" marks all new rows as done; "idle" is an agent
    #: (or deriva-py's documented loop) that waits for rows that never come; "watch"
    #: reads new rows under the ETag of the last look, and says which it saw first.
    look: Literal["bare", "take", "idle", "watch"] = "bare"
    #: The catalog with the table, for all but "bare".
    url: str = ""
    #: The port of a proxy before it, or 0.
    through: int = 0


class PollerProcess:
    """The looks of a poller that runs in another process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._usage = psutil.Process(process.pid)
        #: When each look began, on this machine's monotonic clock.
        self.looks: list[float] = []
        #: By RID: when the look that saw a row first began.
        self.saw: dict[str, float] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("look "):
                self.looks.append(float(line.split()[1]))
            elif line.startswith("saw "):
                self.saw[line.split()[1]] = self.looks[-1]

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def size(self) -> tuple[int, int]:
        """How many threads it has, and how many files and sockets."""
        return self._usage.num_threads(), self._usage.num_fds()

    def cpu(self, for_s: float) -> float:
        """Share of one core that it takes from now on."""
        before, began = sum(self._usage.cpu_times()[:2]), time.monotonic()
        let_pass(for_s)
        used = sum(self._usage.cpu_times()[:2]) - before
        return float(used / (time.monotonic() - began))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join(5)
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextmanager
def poller_process(whose: str, port: int, **options: Any) -> Iterator[PollerProcess]:
    setting = Setting(whose=whose, port=port, **options)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.helpers.poller_process",
            json.dumps(asdict(setting)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    poller = PollerProcess(process)
    try:
        yield poller
    finally:
        poller.close()


def _told() -> None:
    sys.stdout.write(f"look {time.monotonic()}\n")
    sys.stdout.flush()


def _watching(
    read: Callable[[], Iterable[Mapping[str, Any]]],
) -> Callable[[], list[str]]:
    """Read rows and say which are new; returns their RIDs."""
    seen: set[str] = set()

    def look() -> list[str]:
        new = [rid for row in read() if (rid := str(row["RID"])) not in seen]
        seen.update(new)
        sys.stdout.write("".join(f"saw {rid}\n" for rid in new))
        sys.stdout.flush()
        return new

    return look


#: The newest rows, for who watches.
NEWEST = f"entity/{TABLE}/state=new@sort(RCT::desc::,RID)?limit=5"


def _taking(url: str) -> Callable[[], int]:
    """Mark all new rows as done; the same two requests for both."""
    import requests

    session = requests.Session()

    def take() -> int:
        rows = session.get(f"{url}/entity/{TABLE}/state=new?limit=500").json()
        done = [{"RID": row["RID"], "state": "done"} for row in rows]
        if done:
            session.put(f"{url}/attributegroup/{TABLE}/RID;state", json=done)
        return len(done)

    return take


def _ours(setting: Setting) -> None:
    import ermpoll
    from ermpoll.polling.watcher import Query, QueryWatcher
    from ermpoll.records import LookResult

    options = f"?heartbeat={setting.heartbeat_s}"
    notices = f"amqp://{setting.host}:{setting.port}/{options}"
    if setting.look == "idle":
        words = {"ready": "new", "claimed": "busy", "done": "done", "failed": "failed"}
        jobs = ermpoll.Queue(ermpoll.connect(setting.url), TABLE, **words)
        agent = ermpoll.Agent(
            jobs, lambda row: None, notices=notices, poll_s=setting.poll_s
        )
        _told()
        agent.run()
    if setting.look == "watch":
        query = Query(path=lambda: NEWEST, limit=5)
        watcher = QueryWatcher(ermpoll.connect(setting.url), query)

        def watch() -> LookResult:
            _told()
            looked = watcher.look()
            newest()
            return looked

        newest = _watching(lambda: watcher.rows or ())
        ermpoll.Poller(watch, notices=notices, poll_s=setting.poll_s).run()
    take = _taking(setting.url)

    def look() -> LookResult:
        _told()
        n = take() if setting.look == "take" else 0
        return LookResult(found=n > 0, more=n == 500, outcome="rows" if n else "empty")

    ermpoll.Poller(look, notices=notices, poll_s=setting.poll_s).run()


def _derivas(setting: Setting) -> None:
    import pika.connection
    from deriva.core.polling_ermrest_catalog import PollingErmrestCatalog

    pika.connection.Parameters.DEFAULT_PORT = setting.port
    server = urlsplit(setting.url).netloc or "localhost"
    number = setting.url.rpartition("/")[2] or "1"
    catalog = PollingErmrestCatalog("http", server, number, amqp_server=setting.host)
    take, etag = _taking(setting.url), None
    # deriva-py's own cache sends the ETag and answers 304 from what it kept
    watch = _watching(lambda: catalog.get(f"/{NEWEST}").json())

    def look() -> bool:
        nonlocal etag
        _told()
        if setting.look == "idle":
            etag, batch = catalog.state_change_once(
                f"/entity/{TABLE}/state=new?limit=5",
                f"/attributegroup/{TABLE}/RID;state",
                lambda row: {"RID": row["RID"], "state": "busy"},
                etag,
            )
            return bool(batch)
        if setting.look == "watch":
            watch()
            return False
        return setting.look == "take" and take() == 500

    catalog.blocking_poll(look, polling_seconds=setting.poll_s)


def main(given: str) -> None:
    setting = Setting(**json.loads(given))
    if setting.through:
        place = urlsplit(setting.url)
        url = setting.url.replace(place.netloc, f"localhost:{setting.through}")
        setting = replace(setting, url=url)
    (_ours if setting.whose == "ermpoll" else _derivas)(setting)


if __name__ == "__main__":
    main(*sys.argv[1:])

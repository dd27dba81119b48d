"""A poller in a process of its own, ours or deriva-py's, over a real broker.

``python -m tests.apart WHOSE HOST PORT [POLL_S [LOOK_S]]`` writes one line with the
time for each look; ``apart()`` starts it and reads them. deriva-py's class can't be
stopped, knows no port, and may spin: hence the process.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

WHOSE = ("ermpoll", "deriva")


class Apart:
    """The looks of a poller that runs in another process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._usage = psutil.Process(process.pid)
        #: When each look began, on this machine's monotonic clock.
        self.looks: list[float] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("look "):
                self.looks.append(float(line.split()[1]))

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def cpu(self, for_s: float) -> float:
        """Share of one core that it takes from now on."""
        before, began = sum(self._usage.cpu_times()[:2]), time.monotonic()
        threading.Event().wait(for_s)
        used = sum(self._usage.cpu_times()[:2]) - before
        return float(used / (time.monotonic() - began))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join(5)
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextmanager
def apart(
    whose: str,
    port: int,
    *,
    host: str = "127.0.0.1",
    poll_s: float = 600,
    look_s: float = 0,
) -> Iterator[Apart]:
    words = [whose, host, str(port), str(poll_s), str(look_s)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.apart", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    poller = Apart(process)
    try:
        yield poller
    finally:
        poller.close()


def main(
    whose: str, host: str, port: str, poll_s: str = "600", look_s: str = "0"
) -> None:
    busy = threading.Event()

    def look() -> bool:
        sys.stdout.write(f"look {time.monotonic()}\n")
        sys.stdout.flush()
        busy.wait(float(look_s))
        return False

    if whose == "ermpoll":
        import ermpoll

        ermpoll.Poller(
            look, notices=f"amqp://{host}:{port}", poll_s=float(poll_s)
        ).run()
    else:
        import pika.connection
        from deriva.core.polling_ermrest_catalog import PollingErmrestCatalog

        pika.connection.Parameters.DEFAULT_PORT = int(port)
        catalog = PollingErmrestCatalog("http", "localhost", "1", amqp_server=host)
        catalog.blocking_poll(look, polling_seconds=float(poll_s))


if __name__ == "__main__":
    main(*sys.argv[1:])

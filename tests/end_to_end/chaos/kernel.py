"""An agent in a Jupyter kernel that is restarted all the time, until SIGTERM.

``python -m tests.end_to_end.chaos.kernel ROLE``
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from jupyter_client.manager import KernelManager

from tests.end_to_end.chaos.ledger import wall_s
from tests.end_to_end.chaos.worker import role_of

#: Seconds from one restart to the next.
EVERY_S = 4.0
CELL = """
from tests.end_to_end.chaos import worker
agent = worker.begin(worker.role_of({role!r}))
"""


def main(text: str) -> int:
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    words = role_of(text).words
    manager = KernelManager()
    manager.start_kernel(env={**os.environ, "PYTHONPATH": os.getcwd()})
    client = manager.client()
    client.start_channels()
    away_since = wall_s()
    try:
        while not told.is_set():
            client.wait_for_ready(timeout=60)
            client.execute_interactive(
                CELL.format(role=text), timeout=60, output_hook=lambda _: None
            )
            words.add(away=[away_since, wall_s()])
            if told.wait(EVERY_S):
                break
            away_since = wall_s()
            manager.restart_kernel()
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
        manager.cleanup_resources()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

"""The end of the program: agents claim no more, and give back what they hold.

Threads of ours are daemons, so nothing of ours holds the interpreter. It is found
out twice: when the main thread has ended, which others' threads may outlive by
hours, and when the interpreter ends.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from typing import Protocol

from ermpoll.polling import registry

#: How long work that runs may go on when the interpreter ends, and how long it may
#: take to give it back then, in seconds: a kernel that is restarted has 2.5 for all.
GRACE_S, LAST_S = 1.0, 1.0


class Drains(Protocol):
    """What holds rows: an agent."""

    def drain(self) -> None:
        """Claim no more, give back what was not begun, stop; does not wait."""

    def abandon(self) -> None:
        """Give back what still runs; does not wait."""

    def stop(self, timeout_s: float = 30) -> bool:
        """Stop; False when that takes longer."""


_lock = threading.Lock()
_agents: weakref.WeakSet[Drains] = weakref.WeakSet()
#: The process that is watched: a fork has neither our thread nor our agents.
_watched: int | None = None


def watch(agent: Drains) -> None:
    """Drain this agent once the program's main thread has ended."""
    global _watched
    with _lock:
        if _watched != os.getpid():
            _agents.clear()
            # registered late, so called before what was there when it began
            atexit.register(_end, os.getpid())
            thread = threading.Thread(
                target=_drain_after_main, name="watch main thread", daemon=True
            )
            thread.start()
            _watched = os.getpid()
        _agents.add(agent)


def _drain_after_main() -> None:
    threading.main_thread().join()
    for agent in _running():
        agent.drain()


def _end(pid: int) -> None:
    if pid != os.getpid():
        return
    agents = _running()
    for agent in agents:
        agent.drain()
    for agent in (left := _wait(agents, GRACE_S)):
        agent.abandon()
    _wait(left, LAST_S)
    stopped: list[object] = [*agents]
    for thing in registry.agents():
        if thing not in stopped:
            thing.stop(timeout_s=0)


def _wait(agents: list[Drains], seconds: float) -> list[Drains]:
    """Wait that long at most, in all, until they have stopped; return who has not."""
    deadline = time.monotonic() + seconds
    return [
        agent
        for agent in agents
        if not agent.stop(max(deadline - time.monotonic(), 0.0))
    ]


def _running() -> list[Drains]:
    with _lock:
        return list(_agents)

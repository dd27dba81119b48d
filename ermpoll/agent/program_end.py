"""The end of the program: agents claim no more, and give back what they hold.

Threads of ours are daemons, so nothing of ours holds the interpreter. It is found
out twice: when the main thread has ended, which others' threads may outlive by
hours, and when the interpreter ends.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from typing import Protocol

from ermpoll.backoff import REAL, Clocks
from ermpoll.polling import Poller, registry

#: How long work that runs may go on when the interpreter ends, and how long it may
#: take to give it back then, in seconds: a kernel that is restarted has 2.5 for all.
GRACE_S, LAST_S = 1.0, 1.0


class _Drains(Protocol):
    """What holds rows; only ``stop`` waits."""

    def drain(self) -> None: ...

    def abandon(self) -> None: ...

    def stop(self, timeout_s: float, abandon: bool) -> bool: ...


_lock = threading.Lock()
_watched: weakref.WeakSet[_Drains] = weakref.WeakSet()
#: The process that is watched: a fork has neither our thread nor our agents.
_pid: int | None = None


def watch(agent: _Drains) -> None:
    """Drain this agent once the program's main thread has ended."""
    global _pid
    with _lock:
        if _pid is None and hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_forget)
        if _pid != os.getpid():
            _watched.clear()
            # registered late, so called before what was there when it began
            atexit.register(_end, os.getpid())
            thread = threading.Thread(
                target=_drain_after_main, name="watch main thread", daemon=True
            )
            thread.start()
            _pid = os.getpid()
        _watched.add(agent)


def _forget() -> None:
    """Have no agents: their threads, and the rows, are the parent's."""
    global _lock
    # whoever held it is not here
    _lock = threading.Lock()
    _watched.clear()
    registry.forget()


def _drain_after_main() -> None:
    threading.main_thread().join()
    for agent in _running():
        agent.drain()


def _end(pid: int, clocks: Clocks = REAL) -> None:
    if pid != os.getpid():
        return
    agents = _running()
    for agent in agents:
        agent.drain()
    for agent in (left := _still_running(agents, GRACE_S, clocks)):
        agent.abandon()
    _still_running(left, LAST_S, clocks)
    for thing in registry.agents():
        if isinstance(thing, Poller):
            thing.stop(timeout_s=0)


def _still_running(
    agents: list[_Drains], seconds: float, clocks: Clocks
) -> list[_Drains]:
    """Wait that long at most, in all, until they have stopped; return who has not."""
    deadline = clocks.monotonic() + seconds
    return [
        agent
        for agent in agents
        if not agent.stop(max(deadline - clocks.monotonic(), 0.0), False)
    ]


def _running() -> list[_Drains]:
    with _lock:
        return list(_watched)

"""What each request says of itself, for the log of the service.

The service reads ``Deriva-Client-Context``: percent-quoted JSON. The program (``cid``),
the process (``wid``), what the request is for (``action``), and the agent or poller
that asks. No address, no value of a row, no login. ``User-Agent`` names the release.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from secrets import token_hex
from urllib.parse import quote

from ermpoll.redact import clipped
from ermpoll.version import __version__

#: Characters of a name or an action that are told: some services cut long headers.
LONGEST = 64

_here: ContextVar[tuple[str, str]] = ContextVar("ermpoll_doing", default=("", ""))


@contextmanager
def doing(action: str, agent: str = "") -> Iterator[None]:
    """Say what the requests of this context (a thread, mostly) are for.

    Parameters
    ----------
    action
        A short word; what is said further in counts.
    agent
        Who asks; "": whoever was said further out.
    """
    before = _here.set((action, agent or _here.get()[1]))
    try:
        yield
    finally:
        _here.reset(before)


def client_context() -> str:
    """Return the header for a request that is sent here and now; plain ASCII."""
    action, agent = (clipped(text)[:LONGEST] for text in _here.get())
    told = {"cid": "ermpoll", "wid": _wid(os.getpid()), "action": action}
    told = {key: value for key, value in {**told, "agent": agent}.items() if value}
    text = json.dumps(told, separators=(",", ":"), ensure_ascii=False)
    return quote(text, safe='~{}",:', errors="replace")


def user_agent(below: object) -> str:
    """Return a User-Agent that names us first, then what sends the request."""
    return f"ermpoll/{__version__} {below or ''}".rstrip()


@cache
def _wid(pid: int) -> str:
    # a fork is a stream of requests of its own
    return token_hex(16)

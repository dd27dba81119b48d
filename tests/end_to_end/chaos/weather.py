"""What goes wrong in a storm, in a shuffled order that a seed decides."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

#: Faults hit the agents' requests; commands and inserted rows are POSTs.
_ALL = ("GET", "PUT")
_PUT = ("PUT",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gust:
    """One thing that goes wrong."""

    name: str
    #: How long it lasts, in seconds.
    seconds: float = 0.8
    #: What the sandbox is told to do wrong.
    faults: dict[str, Any] = field(default_factory=dict)
    #: What is done to processes: ``kill``, ``freeze`` an agent; ``restart`` the server.
    act: str = ""


def gusts(
    rng: random.Random, lease_s: float, timeout_s: float
) -> Iterator[Gust | None]:
    """Yield gusts for ever, in rounds of one of each kind; None ends a round."""
    late, long = timeout_s * 1.6, lease_s + 0.4
    kinds = [
        Gust(name="replies dropped", faults={"drop_reply": 0.4, "methods": _PUT}),
        Gust(name="500 after commit", faults=_after(500)),
        Gust(name="504 after commit", faults=_after(504)),
        Gust(name="aborts", faults={"abort": 0.5, "methods": _PUT}),
        Gust(name="commits late", faults={"delay_s": late, "methods": _PUT}),
        Gust(name="503 storm", faults={"status": 503, "times": 40, "methods": _ALL}),
        Gust(name="server frozen", faults={"freeze_s": long}, seconds=long),
        Gust(name="agent frozen", act="freeze", seconds=long),
        Gust(name="server killed", act="restart"),
        Gust(name="notices cut", faults={"cut_notices": True}),
        Gust(name="calm"),
    ]
    while True:
        rng.shuffle(kinds)
        yield from kinds
        yield None


def _after(status: int) -> dict[str, Any]:
    return {"status_after": status, "drop_reply": 0.4, "methods": _PUT}

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
    #: What is done: ``freeze`` an agent, ``restart`` the server, ``take over`` rows.
    act: str = ""
    #: Which headers are spoilt (`headers.Headers`).
    headers: str = ""

    @property
    def hinders(self) -> bool:
        """Whether agents can't be asked to keep any time meanwhile."""
        return bool(self.faults.keys() - {"cut_notices"}) or self.act == "restart"


def gusts(
    rng: random.Random, lease_s: float, timeout_s: float
) -> Iterator[Gust | None]:
    """Yield gusts for ever, in rounds of one of each kind; None ends a round."""
    late, long = timeout_s * 1.6, lease_s + 0.4
    late_puts = {"delay_s": late, "methods": _PUT}
    unavailable = {"status": 503, "times": 40, "methods": _ALL}
    unread = {"status": 503, "methods": ("GET",)}
    frozen = {"freeze_s": long}
    kinds = [
        Gust(name="replies dropped", faults={"drop_reply": 0.4, "methods": _PUT}),
        Gust(name="500 after commit", faults=_after(500)),
        Gust(name="504 after commit", faults=_after(504)),
        Gust(name="aborts", faults={"abort": 0.5, "methods": _PUT}),
        Gust(name="commits late", faults=late_puts),
        Gust(name="503 storm", faults=unavailable),
        Gust(name="server frozen", faults=frozen, seconds=long),
        Gust(name="agent frozen", act="freeze", seconds=long),
        Gust(name="server killed", act="restart"),
        Gust(name="takeover, then no reads", act="take over", faults=unread),
        Gust(name="bad dates", headers="dates"),
        Gust(name="bad ETags", headers="etags"),
        Gust(name="notices cut", faults={"cut_notices": True}),
        Gust(name="calm"),
    ]
    while True:
        rng.shuffle(kinds)
        yield from kinds
        yield None


def _after(status: int) -> dict[str, Any]:
    return {"status_after": status, "drop_reply": 0.4, "methods": _PUT}

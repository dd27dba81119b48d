"""What the judges read: the rows of every committed write, and what is wrong.

Knows nothing of ermpoll: columns and words stand here once more, on purpose.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Row = Mapping[str, Any]
#: What the catalog itself writes.
SYSTEM = frozenset(("RID", "RCT", "RMT", "RCB", "RMB"))
_TOKEN = re.compile(r"[^~]*~[0-9a-f]{16,}~(?P<lease>[0-9.]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The declared machine: columns and words of the queue, and who is a person."""

    state: str = "state"
    owner: str = "owner"
    attempts: str = "attempts"
    retry_at: str = "retry_at"
    error: str = "error"
    ready: str = "new"
    claimed: str = "claimed"
    done: str = "done"
    failed: str = "failed"
    #: Set and ended by people alone.
    hold: str = "hold"
    #: Claims of a row at most.
    max_attempts: int = 8
    #: Logins of people; all others are workers.
    people: frozenset[str] = frozenset()
    #: Logins of daemons of old, which finish what was taken from them meanwhile.
    daemons: frozenset[str] = frozenset(("daemon",))

    def step(self, entry: Entry) -> tuple[Any, Any]:
        """The states before and after a write."""
        before, after = entry.before or {}, entry.after or {}
        return before.get(self.state), after.get(self.state)

    def key(self, row: Row, who: str) -> tuple[str, str]:
        """What a claim goes by: its token, or who made it where there are none."""
        return str(row["RID"]), row.get(self.owner) or f"of {who}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of one committed write."""

    seq: int
    #: Time of the commit, in seconds.
    at: float
    #: Login of who wrote.
    who: str
    rid: str
    before: Row | None
    after: Row | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A broken promise."""

    #: In few words: "two holders", "done without working", ...
    kind: str
    seq: int
    rid: str
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: row {self.rid}, write {self.seq}: {self.detail}"


def seconds(text: object) -> float:
    """Return a time that the catalog wrote, in seconds; none is long ago."""
    if text is None:
        return float("-inf")
    if text == "infinity":
        return float("inf")
    return datetime.fromisoformat(str(text)).timestamp()


def lease_of(token: str | None) -> float:
    """Return the lease that a token names, in seconds; for ever where none does."""
    match = _TOKEN.fullmatch(token or "")
    return float(match["lease"]) if match else float("inf")

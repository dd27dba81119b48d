"""The ledger that work itself writes, outside of the catalog.

What it was given, and a digest of what it made of it: nobody between work and the
catalog can change that.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True, kw_only=True)
class Worked:
    """One call of work."""

    agent: str
    rid: str
    token: str | None
    attempt: int
    #: When it began and was over, in seconds; for ever if it was killed.
    at: float
    until: float = math.inf
    #: The version of the row that it was given: that of its claim, or "".
    version: str = ""
    #: What it returned, as a digest of each column.
    digests: Mapping[str, str] = field(default_factory=dict)
    #: What it raised; "" if it returned.
    error: str = ""
    #: It ended its whole process.
    died: bool = False
    #: It returned what no row can take: this row fails, and no other.
    poison: bool = False
    #: It returned what a rule of the table may refuse.
    contested: bool = False
    #: The row's code, which may say what work does with it.
    code: str = ""

    @property
    def may_fail(self) -> bool:
        return bool(self.error) or self.poison or self.contested


def digest(value: object) -> str:
    """Digest a value as the catalog gives it back."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def wall_s() -> float:
    """The time of this machine, whatever a process believes that it is."""
    return time.clock_gettime(time.CLOCK_REALTIME)


class Lines:
    """A file that threads and processes add lines to, each whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def add(self, **values: Any) -> None:
        """Add a line. It stands there even if the process is killed just after."""
        line = json.dumps(values) + "\n"
        file = os.open(self._path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)

    def read(self) -> Iterator[dict[str, Any]]:
        """Read what was added, in order; nothing if there is no file."""
        path = Path(self._path)
        if path.exists():
            with path.open(encoding="utf-8") as file:
                yield from map(json.loads, file)


class Ledger:
    """The ledger of one agent's work; travels to where the work is done."""

    def __init__(self, path: Path, agent: str) -> None:
        self._lines, self._agent = Lines(path), agent

    def begin(self, row: Mapping[str, Any]) -> str:
        """Take down that work begins with a row; returns what `end` is told."""
        entry = os.urandom(8).hex()
        token, attempt = row.get("owner"), row.get("attempts") or 0
        self._lines.add(
            entry=entry,
            rid=row["RID"],
            token=token,
            attempt=attempt,
            at=wall_s(),
            version=row.get("RMT") or "",
        )
        return entry

    def end(self, entry: str, changes: Mapping[str, Any] = {}, **more: Any) -> None:
        """Take down what work returns, or why it does not (`Worked`)."""
        digests = {name: digest(value) for name, value in changes.items()}
        self._lines.add(entry=entry, until=wall_s(), digests=digests, **more)

    def read(self) -> list[Worked]:
        """Read the calls, in the order in which they began."""
        calls: dict[str, dict[str, Any]] = {}
        for line in self._lines.read():
            calls.setdefault(line.pop("entry"), {"agent": self._agent}).update(line)
        return [Worked(**call) for call in calls.values()]

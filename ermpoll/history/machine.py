"""The declared machine, for judging: what a row's columns say of it.

Written a second time, on purpose: who judges what was written must not share the code
that wrote it. Of the queue it knows the declaration alone. Pure.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from hashlib import sha256

from ermpoll.catalog.clock import parse_time
from ermpoll.queue.definition import QueueDefinition
from ermpoll.records import SYSTEM_COLUMNS, Row, same


class RowPhase(Enum):
    """What a state word means to the queue."""

    READY = "ready"
    CLAIMED = "claimed"
    DONE = "done"
    FAILED = "failed"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What ermpoll leaves in the owner column of a row that it claims."""

    text: str
    #: Who holds the row, for people.
    name: str
    lease_s: float
    #: 8 digits that stand for the ready word it was claimed from; "" where none do.
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredMachine:
    """The words and columns of a queue."""

    state: str
    ready: tuple[str | None, ...]
    claimed: str
    done: str
    failed: re.Pattern[str] = field(repr=False)
    #: One word for all that mean failed.
    failed_label: str
    owner: str | None
    error: str | None
    attempts: str | None
    retry_at: str | None
    max_attempts: int

    @classmethod
    def of(cls, definition: QueueDefinition) -> DeclaredMachine:
        """Return the machine that a queue was declared to be."""
        pieces = (re.escape(piece) for piece in definition.failed.split("{error}"))
        return cls(
            state=definition.state,
            ready=definition.ready,
            claimed=definition.claimed,
            done=definition.done,
            failed=re.compile(".*".join(pieces), re.DOTALL),
            failed_label=definition.failed.replace("{error}", "…"),
            owner=definition.owner,
            error=definition.error,
            attempts=definition.attempts,
            retry_at=definition.retry_at,
            max_attempts=definition.max_attempts,
        )

    def phase(self, row: Row) -> RowPhase:
        """Return what the row's state means."""
        word = row.get(self.state)
        if word == self.claimed:
            return RowPhase.CLAIMED
        if word in self.ready:
            return RowPhase.READY
        if word == self.done:
            return RowPhase.DONE
        if isinstance(word, str) and self.failed.fullmatch(word):
            return RowPhase.FAILED
        return RowPhase.OTHER

    def word(self, row: Row) -> str:
        """Return the row's state for people: NULL has a name, all failures one."""
        if self.phase(row) is RowPhase.FAILED:
            return self.failed_label
        word = row.get(self.state)
        return "NULL" if word is None else str(word)

    def owner_of(self, row: Row) -> str | None:
        """Return the text in the owner column; None without one, or empty."""
        text = row.get(self.owner) if self.owner else None
        return text if isinstance(text, str) and text else None

    def mark(self, row: Row) -> Mark | None:
        """Return the mark that a claim of ermpoll left; None where there is none."""
        return mark_in(self.owner_of(row))

    def is_ours(self, mark: Mark) -> bool:
        """Whether a mark may be of this queue, and not of another one of the table."""
        words = ("" if word is None else f"={word}" for word in self.ready)
        known = {sha256(word.encode()).hexdigest()[:8] for word in words}
        return not mark.origin or mark.origin in known

    def tried(self, row: Row) -> int:
        """Return how often the row says that it was tried; NULL is 0."""
        value = row.get(self.attempts) if self.attempts else 0
        return value if isinstance(value, int) else 0

    def time(self, row: Row, column: str | None) -> datetime | None:
        """Return the time in a column; None where there is none to compare."""
        return parse_time(row.get(column)) if column else None

    def over_s(self, row: Row, at: datetime) -> float | None:
        """Return for how long a claim's own lease is over; None: it carries none."""
        mark, written = self.mark(row), self.time(row, "RMT")
        if mark is None or written is None:
            return None
        return (at - written).total_seconds() - mark.lease_s

    def changed(self, before: Row, after: Row) -> tuple[str, ...]:
        """Return the columns that differ, without those that the catalog sets."""
        names = dict.fromkeys((*before, *after))
        return tuple(
            name
            for name in names
            if name not in SYSTEM_COLUMNS
            and not same(before.get(name), after.get(name))
        )

    def is_own(self, column: str) -> bool:
        """Whether claiming itself writes the column."""
        own = (self.state, self.owner, self.error, self.attempts, self.retry_at)
        return column in own


def mark_in(text: str | None) -> Mark | None:
    """Take apart ``name~digits~lease``; None for any other text."""
    parts = (text or "").split("~")
    if len(parts) != 3 or len(parts[1]) not in (16, 24):
        return None
    name, digits, lease = parts
    if set(digits) - set("0123456789abcdef") or set(lease) - set("0123456789."):
        return None
    try:
        lease_s = float(lease)
    except ValueError:
        return None
    if not (math.isfinite(lease_s) and lease_s <= 1e10):
        return None
    return Mark(text=text or "", name=name, lease_s=lease_s, origin=digits[16:])

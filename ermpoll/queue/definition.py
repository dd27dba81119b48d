"""What a queue is: a table, its state column and the words in it. Frozen.

Knows no HTTP, and takes what it is told: `validation` says what can't be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ermpoll.catalog import paths
from ermpoll.catalog.model import Table
from ermpoll.catalog.values import clean_text
from ermpoll.errors import UsageError
from ermpoll.records import JSON

#: Longest error text that is written, in characters.
ERROR_LENGTH = 4000


#: The state column's name, unless another one is given.
DEFAULT_STATE = "state"
#: The columns that claiming itself reads and writes: of which types, and in words.
COLUMN_TYPES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "state": (("text",), "text"),
    "owner": (("text",), "text"),
    "attempts": (("int2", "int4", "int8"), "an integer"),
    # without its zone a time of the catalog can't be compared with any other
    "retry_at": (("timestamptz",), "timestamptz"),
    "error": (("text",), "text"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDefinition:
    """A queue's definition, as `Queue` was told."""

    table: Table
    state: str
    #: Words that make a row a candidate; None is NULL.
    ready: tuple[str | None, ...]
    claimed: str
    done: str
    #: A word, or a pattern with ``{error}``.
    failed: str
    where: str = ""
    order: paths.Order
    #: A whole entity path instead of ``where``, or None.
    path: str | None = None
    #: What is fetched and shown, in order, or None for all.
    columns: tuple[str, ...] | None = None
    owner: str | None = None
    error: str | None = None
    attempts: str | None = None
    retry_at: str | None = None
    lease_s: float = 600
    max_attempts: int = 3
    #: Other state words that are meant, however near to one of the queue's.
    words: tuple[str, ...] = ()
    #: Who claims, for people; empty: this process.
    worker: str = ""

    @property
    def first_ready(self) -> str | None:
        """The word a row goes to that nobody knows a better one for."""
        return self.ready[0]

    @property
    def own_columns(self) -> tuple[str, ...]:
        """The columns that claiming itself reads and writes."""
        named = (getattr(self, use) for use in COLUMN_TYPES)
        return tuple(name for name in named if name is not None)

    @property
    def rights_by_row(self) -> bool:
        """Whether it depends on the row what of it this login may write."""
        columns = self.table.columns
        own = [columns[name] for name in self.own_columns if name in columns]
        return None in [self.table.may_update, *(column.may_update for column in own)]

    @property
    def columns_denied(self) -> tuple[str, ...]:
        """The columns that claiming writes and this login may not."""
        columns = self.table.columns
        own = [columns[name] for name in self.own_columns if name in columns]
        return tuple(column.name for column in own if column.may_update is False)

    def is_ready(self, word: JSON) -> bool:
        """Whether a state word makes a row a candidate."""
        return word in self.ready

    def is_failed(self, word: JSON) -> bool:
        """Whether a state word means failed."""
        return isinstance(word, str) and bool(self.failed_pattern.fullmatch(word))

    def near_miss(self, word: JSON) -> str | None:
        """Return the queue's word that a strange one is within two edits of."""
        own = [*self.ready, self.claimed, self.done, self.failed]
        if not isinstance(word, str) or word in (*own, *self.words):
            return None
        if self.is_failed(word):
            return None
        near = (known for known in own if known and _edits(word, known) <= 2)
        return next(near, None)

    @property
    def failed_pattern(self) -> re.Pattern[str]:
        """What the words that mean failed look like."""
        parts = self.failed.split("{error}")
        return re.compile("(?s:.*)".join(map(re.escape, parts)))

    @property
    def failed_label(self) -> str:
        """One word for all that mean failed: ``error: …``."""
        return self.failed.replace("{error}", "…")

    def failed_word(self, error: str) -> str:
        """Return the state word for a failure."""
        return self.failed.replace("{error}", self.error_text(error, 500))

    def error_text(self, error: str, length: int = ERROR_LENGTH) -> str:
        """Return an error text as a column takes it."""
        return clean_text(error, length)

    def label(self, word: JSON) -> str:
        """Return what a state word is called in counts."""
        if word is None:
            return "NULL"
        return self.failed_label if self.is_failed(word) else str(word)


def _edits(one: str, other: str) -> int:
    """Count the letters to change, add or leave out between two words."""
    if abs(len(one) - len(other)) > 2:
        return 3
    before = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        now = [i]
        for j, mark in enumerate(other, 1):
            same = before[j - 1] + (letter != mark)
            now.append(min(before[j] + 1, now[j - 1] + 1, same))
        before = now
    return before[-1]


def words_of(ready: str | Sequence[str | None] | None) -> tuple[str | None, ...]:
    """Return the ready words as a tuple."""
    words = (ready,) if ready is None or isinstance(ready, str) else tuple(ready)
    if not words:
        raise UsageError("expected at least one ready word, found none")
    return words

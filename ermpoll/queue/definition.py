"""What a queue is: a table, its state column and the words in it. Frozen, checked.

Knows no HTTP: the checks take the table's model as an argument.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ermpoll.catalog import paths
from ermpoll.catalog.model import Column, Table
from ermpoll.catalog.values import clean_text
from ermpoll.errors import UsageError
from ermpoll.records import JSON, Row

#: Longest error text that is written, in characters.
ERROR_LENGTH = 4000


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

    @property
    def first_ready(self) -> str | None:
        """The word a row goes to that nobody knows a better one for."""
        return self.ready[0]

    @property
    def own_columns(self) -> tuple[str, ...]:
        """The columns that claiming itself reads and writes."""
        optional = (self.owner, self.attempts, self.retry_at, self.error)
        return (self.state, *(name for name in optional if name))

    def is_ready(self, word: JSON) -> bool:
        """Whether a state word makes a row a candidate."""
        return word in self.ready

    def is_failed(self, word: JSON) -> bool:
        """Whether a state word means failed."""
        return isinstance(word, str) and bool(self.failed_pattern.fullmatch(word))

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


def words_of(ready: str | Sequence[str | None] | None) -> tuple[str | None, ...]:
    """Return the ready words as a tuple."""
    words = (ready,) if ready is None or isinstance(ready, str) else tuple(ready)
    if not words:
        raise UsageError("expected at least one ready word, found none")
    return words


def check(spec: QueueDefinition) -> None:
    """Check a queue against its table.

    Raises
    ------
    UsageError
        A column that isn't there or has the wrong type; words that are equal, so
        that a claim would not leave the query; a lease or number that can't be.
    """
    _check_words(spec)
    _check_numbers(spec)
    _check_path(spec)
    for name, what, bases, wanted in (
        (spec.state, "state", ("text",), "text"),
        (spec.owner, "owner", ("text",), "text"),
        (spec.error, "error", ("text",), "text"),
        (spec.attempts, "attempts", ("int2", "int4", "int8"), "an integer"),
        # without its zone a time of the catalog can't be compared with any other
        (spec.retry_at, "retry_at", ("timestamptz",), "timestamptz"),
    ):
        if name is not None:
            _check_column(spec.table.column(name, what), what, bases, wanted)
    for name in ("RID", "RMT"):
        spec.table.column(name, "table")
    for name in (*(spec.columns or ()), *spec.order.columns):
        spec.table.column(name, "columns" if name in (spec.columns or ()) else "order")
    _check_distinct(spec)
    _check_unique(spec)


def _check_words(spec: QueueDefinition) -> None:
    words = {"claimed": spec.claimed, "done": spec.done, "failed": spec.failed}
    for what, word in words.items():
        if not isinstance(word, str) or not word:
            raise UsageError(f"{what}: expected a state word, found {word!r}")
        if word in spec.ready:
            raise UsageError(
                f"{what}: expected a word that is not a ready one, found {word!r}; "
                "a row in it would be a candidate again at once"
            )
    if len(set(words.values())) < len(words):
        raise UsageError(
            "expected different words for claimed, done and failed, found "
            + ", ".join(f"{what}={word!r}" for what, word in words.items())
        )
    for other in (*spec.ready, spec.claimed, spec.done):
        if spec.is_failed(other):
            raise UsageError(
                f"failed: expected a word unlike the others, found {spec.failed!r}, "
                f"which also means {other!r}"
            )


def _check_numbers(spec: QueueDefinition) -> None:
    if not spec.lease_s >= 1:
        raise UsageError(
            f"lease_s: expected at least 1 second, found {spec.lease_s}; "
            "a shorter lease can't be kept by three renewals"
        )
    if spec.max_attempts < 1:
        raise UsageError(f"max_attempts: expected 1 or more, found {spec.max_attempts}")


def _check_path(spec: QueueDefinition) -> None:
    for what, text in (("where", spec.where), ("path", spec.path or "")):
        if re.search(r"[?@\s]", text):
            raise UsageError(
                f"{what}: expected ERMrest path text without '@', '?' and spaces, "
                f"found {text!r}; use order= and limit=, and percent-encode values"
            )
    if spec.path is not None and spec.where:
        raise UsageError("expected where or path, found both; put the filter in path")


def _check_column(
    column: Column, what: str, bases: tuple[str, ...], wanted: str
) -> None:
    if column.base not in bases or column.is_array:
        raise UsageError(
            f"{what}: expected a column of type {wanted}, found {column.name!r} of "
            f"type {column.typename}"
        )


def _check_distinct(spec: QueueDefinition) -> None:
    names = spec.own_columns
    if len(set(names)) < len(names):
        raise UsageError(
            f"expected different columns for state, owner, attempts, retry_at and "
            f"error, found {', '.join(names)}"
        )


def _check_unique(spec: QueueDefinition) -> None:
    for key in spec.table.keys:
        if len(key) == 1 and key[0] in spec.own_columns:
            raise UsageError(
                f"expected {key[0]!r} to hold one value for many rows, but it is a "
                f"key of {spec.table.label}; two rows could not be claimed together"
            )


def check_change_of_state(spec: QueueDefinition, changes: Row) -> str | None:
    """Say why the state that a finishing change asks for can't be; None if it can."""
    if spec.state not in changes:
        return None
    word = changes[spec.state]
    if spec.is_ready(word):
        return f"{spec.state}: {word!r} would make the row a candidate again"
    if word == spec.claimed:
        return f"{spec.state}: {word!r} would leave the row claimed"
    return None

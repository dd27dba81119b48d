"""What the sandbox's SQL needs and SQLite lacks, and the time limit on queries."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import regex

from ermpoll.sandbox.errors import conflict
from ermpoll.sandbox.model.types import type_named

#: The shipped configuration's ``request_timeout_s``.
LIMIT_S = 15.0
#: Instructions of SQLite between two looks at the clock.
_STEPS = 100_000


class TimeLimit:
    """When the request that is served now has taken too long."""

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self.limit_s = limit_s
        self._at = time.monotonic() + limit_s

    def start(self) -> None:
        """Count from now on."""
        self._at = time.monotonic() + self.limit_s

    @property
    def left_s(self) -> float:
        """The seconds left; not above 0 when it has passed."""
        return self._at - time.monotonic()


@lru_cache(maxsize=256)
def pattern(text: str, *, fold: bool) -> regex.Pattern[str]:
    """Return PostgreSQL's regular expression `text` as Python's, or refuse (409)."""
    flags = regex.IGNORECASE if fold else 0
    try:
        return regex.compile(text.replace(r"\y", r"\b"), flags)
    except (regex.error, RecursionError, OverflowError) as error:
        raise conflict("The regular expression is not valid.") from error


def register(
    db: sqlite3.Connection, *, now: Callable[[], int], deadline: TimeLimit
) -> None:
    """Make the functions known to a connection.

    Parameters
    ----------
    now
        The time of the transaction, in microseconds since 1970.
    deadline
        After it, statements end with "interrupted".
    """

    def matches(value: Any, typename: str, text: str, fold: int) -> bool | None:
        if value is None:
            return None
        shown = value if typename == "text" else type_named(typename).to_text(value)
        # Such an expression can need longer than anybody lives.
        limit_s = max(deadline.left_s, 0.001)
        return pattern(text, fold=bool(fold)).search(shown, timeout=limit_s) is not None

    db.create_function("transaction_time", 0, now)
    db.create_function("matches", 4, matches)
    db.create_function("row_array", -1, _row, deterministic=True)
    db.create_aggregate("values_array", 1, _Array)  # type: ignore[arg-type]
    db.set_progress_handler(lambda: deadline.left_s <= 0, _STEPS)


def _row(*values: Any) -> str:
    return json.dumps(values, ensure_ascii=False)


class _Array:
    """Collects values as the JSON text of a list; NULL over no rows at all."""

    def __init__(self) -> None:
        self.items: list[Any] = []

    def step(self, value: Any) -> None:
        self.items.append(value)

    def finalize(self) -> str | None:
        return json.dumps(self.items, ensure_ascii=False) if self.items else None

"""What the sandbox's SQL needs and SQLite lacks, and the time limit on queries."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NoReturn

from ermpoll.sandbox.model.types import collations, type_named
from ermpoll.sandbox.store.patterns import pattern

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
    for name, order in collations().items():
        db.create_collation(name, _comparing(lru_cache(maxsize=4096)(order)))
    db.create_function("no_bucket", 0, _no_bucket)
    db.create_function("matches", 4, matches)
    db.create_function("row_array", -1, _row, deterministic=True)
    db.create_aggregate("values_array", 1, _Array)  # type: ignore[arg-type]
    db.create_aggregate("first_of", 2, _First)  # type: ignore[arg-type]
    db.create_aggregate("exact_sum", 1, _ExactSum)
    db.create_aggregate("exact_avg", 1, _ExactMean)
    db.set_progress_handler(lambda: deadline.left_s <= 0, _STEPS)


def _comparing(order: Callable[[str], Any]) -> Callable[[str, str], int]:
    """Return what compares two kept texts by their sort keys."""

    def compare(left: str, right: str) -> int:
        first, second = order(left), order(right)
        return int(first > second) - int(first < second)

    return compare


def _no_bucket() -> NoReturn:
    raise ValueError("a range without extent has no buckets")


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


class _First:
    """Of values that compare as equal, the one of the oldest row, by its RID."""

    def __init__(self) -> None:
        self.found: tuple[tuple[int, str], Any] | None = None

    def step(self, value: Any, rid: str | None) -> None:
        age = len(rid or ""), rid or ""
        if self.found is None or age < self.found[0]:
            self.found = age, value

    def finalize(self) -> Any:
        return self.found[1] if self.found else None


class _ExactSum:
    """Adds whole numbers of any size; the sum goes out as text."""

    def __init__(self) -> None:
        self.total, self.count = 0, 0

    def step(self, value: int | None) -> None:
        if value is not None:
            self.total += value
            self.count += 1

    def finalize(self) -> Any:
        return str(self.total) if self.count else None


class _ExactMean(_ExactSum):
    """The mean of whole numbers, which stays whole where it is."""

    def finalize(self) -> Any:
        if not self.count:
            return None
        whole, rest = divmod(self.total, self.count)
        return self.total / self.count if rest or abs(whole) >= 2**63 else whole

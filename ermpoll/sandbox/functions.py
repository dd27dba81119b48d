"""What the sandbox's SQL needs and SQLite lacks: functions written in Python."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ermpoll.sandbox.refusals import conflict
from ermpoll.sandbox.values import type_named

_CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "space": r"\s",
    "upper": "A-Z",
    "lower": "a-z",
    "punct": r"!-/:-@\[-`{-~",
    "xdigit": "0-9A-Fa-f",
}


@lru_cache(maxsize=256)
def pattern(text: str, *, fold: bool) -> re.Pattern[str]:
    """Return PostgreSQL's regular expression `text` as Python's, or refuse (409)."""
    translated = re.sub(
        r"\[:(\w+):\]", lambda found: _CLASSES.get(found[1], found[0]), text
    )
    translated = re.sub(r"\\[mMy]", r"\\b", translated)
    try:
        return re.compile(translated, re.IGNORECASE if fold else 0)
    except (re.error, RecursionError, OverflowError) as error:
        raise conflict("The regular expression is not valid.") from error


def _matches(value: Any, typename: str, text: str, fold: int) -> bool | None:
    if value is None:
        return None
    shown = value if typename == "text" else type_named(typename).to_text(value)
    return pattern(text, fold=bool(fold)).search(shown) is not None


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


def register(db: sqlite3.Connection, *, now: Callable[[], int]) -> None:
    """Make the functions known to a connection; `now` is the transaction's time."""
    db.create_function("transaction_time", 0, now)
    db.create_function("matches", 4, _matches, deterministic=True)
    db.create_function("row_array", -1, _row, deterministic=True)
    db.create_aggregate("values_array", 1, _Array)  # type: ignore[arg-type]

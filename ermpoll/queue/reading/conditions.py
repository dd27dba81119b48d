"""What a person asks of a column: a word, a range, empty. Pure.

It is read once, by the column's type, and is then both a test of a value that is
there and a filter of a path, so that a page and a catalog mean the same by it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TypeAlias

from ermpoll.catalog import paths
from ermpoll.catalog.clock import time_text
from ermpoll.errors import UsageError
from ermpoll.records import JSON

#: Characters of a value that are searched where the row is at hand.
_SEARCHED = 10_000
_NUMBERS = {"Int64": "whole numbers", "Float64": "numbers"}
_TIME = "datetime64[us, UTC]"
# PostgreSQL's regular expressions and Python's: escape what is not plain
_SPECIAL = re.compile(r"([.^$*+?()\[\]{}|\\])")
_RANGE = re.compile(r"^(.*?)\s*\.\.\s*(.*)$", re.DOTALL)
_BOUND = re.compile(r"^(>=|<=|>|<)\s*(.+)$", re.DOTALL)

Test: TypeAlias = Callable[[JSON], bool]
_End: TypeAlias = "int | float | datetime"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What one column, or one of several, must be."""

    #: The filter of a path, ready to be put into one.
    path: str
    #: Whether a value is so.
    test: Test


def condition(
    column: str, text: str, dtype: str = "string", zone: tzinfo = UTC
) -> Condition:
    """Read what was typed above a column.

    Parameters
    ----------
    text
        ``confocal`` (a word, anywhere in the value, however it is written);
        ``=new`` (just that); ``empty`` or ``filled``; of numbers and times also
        ``5``, ``5..10``, ``5..``, ``..10``, ``>5``, ``<=10``; of times also a day,
        ``2026-11-20`` or ``2026-11-20..2026-11-22``, the last one included.
    dtype
        The column's pandas type.
    zone
        The zone of times that name none.

    Raises
    ------
    UsageError
        It is no range that the column's type has.

    Examples
    --------
    >>> condition("Bytes", "1000..2000", "Int64").path
    'Bytes::geq::1000/Bytes::leq::2000'
    """
    text = text.strip()
    if text.casefold() in ("empty", "filled"):
        return _emptiness(column, text.casefold() == "empty", dtype)
    if dtype in _NUMBERS or dtype == _TIME:
        return _range(column, text, dtype, zone)
    if text.startswith("="):
        return _exactly(column, text[1:].strip(), dtype)
    return word(column, text)


def word(column: str, text: str) -> Condition:
    """A word that stands in a column, however it is written."""
    folded = text.strip().casefold()
    pattern = paths.literal(_SPECIAL.sub(r"\\\1", text.strip()))
    path = f"{paths.quote(column)}::ciregexp::{pattern}"
    return Condition(path=path, test=lambda value: folded in said(value))


def anywhere(columns: Mapping[str, str], text: str) -> dict[str, Condition]:
    """Say what each of these columns must be where one of them is to have a word.

    A text has it somewhere, a number is it; times, which a page shows in other zones
    than a catalog, are not searched.

    Parameters
    ----------
    columns
        The pandas type of each column, by name.
    """
    made = {}
    for name, dtype in columns.items():
        if dtype in ("string", "object"):
            made[name] = word(name, text)
        elif dtype in _NUMBERS and re.fullmatch(r"\s*-?\d[\d,]*(\.\d+)?\s*", text):
            made[name] = condition(name, text, dtype)
    return made


def said(value: JSON) -> str:
    """Give a value as it is searched: its beginning, in small letters."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text[:_SEARCHED].casefold()


def order_key(value: JSON) -> tuple[int, float, str]:
    """Sort key of a value: numbers, then texts, then the rest, and NULL last."""
    if value is None:
        return (3, 0.0, "")
    if isinstance(value, int | float):
        return (0, float(value), "")
    if isinstance(value, str):
        return (1, 0.0, value.casefold())
    return (2, 0.0, said(value))


def narrowed(
    columns: Mapping[str, str],
    search: str,
    filters: Mapping[str, str],
    zone: tzinfo = UTC,
) -> str:
    """Give the filter of a path for a search and what stands above columns.

    Parameters
    ----------
    columns
        The pandas type of each column that is shown, by name; the search is in all
        of them, as `anywhere` says.
    """
    parts = [
        condition(name, text, columns.get(name, "string"), zone).path
        for name, text in filters.items()
        if text.strip()
    ]
    if search.strip():
        found = anywhere(columns, search).values()
        parts.append(";".join(one.path for one in found))
    return paths.join(*parts)


def _emptiness(column: str, empty: bool, dtype: str) -> Condition:
    # a text may be there and hold nothing
    path = paths.equals(column, None, "") if dtype == "string" else ""
    path = path or paths.equals(column, None)
    return Condition(
        path=path if empty else f"!({path})",
        test=lambda value: (value in (None, "")) is empty,
    )


def _exactly(column: str, text: str, dtype: str) -> Condition:
    folded = text.casefold()
    if dtype == "object":
        return word(column, text)
    return Condition(
        path=paths.equals(column, text), test=lambda value: said(value) == folded
    )


def _range(column: str, text: str, dtype: str, zone: tzinfo) -> Condition:
    ends = _times(column, text, zone) if dtype == _TIME else _numbers(column, text)
    if not ends:
        return _emptiness(column, False, dtype)
    name = paths.quote(column)
    parts = [f"{name}::{sign}::{_literal(end)}" for sign, end in ends]

    def test(value: JSON) -> bool:
        found = _of_type(value, dtype)
        return found is not None and all(_TESTS[sign](found, end) for sign, end in ends)

    return Condition(path=paths.join(*parts), test=test)


_TESTS: Mapping[str, Callable[[_End, _End], bool]] = {
    "geq": lambda a, b: a >= b,  # type: ignore[operator]
    "leq": lambda a, b: a <= b,  # type: ignore[operator]
    "gt": lambda a, b: a > b,  # type: ignore[operator]
    "lt": lambda a, b: a < b,  # type: ignore[operator]
}
_SIGNS = {">=": "geq", "<=": "leq", ">": "gt", "<": "lt"}


def _literal(end: _End) -> str:
    return paths.literal(time_text(end) if isinstance(end, datetime) else end)


def _of_type(value: JSON, dtype: str) -> _End | None:
    if dtype != _TIME:
        return value if isinstance(value, int | float) else None
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _numbers(column: str, text: str) -> list[tuple[str, _End]]:
    low, high, sign = _parted(text)
    if sign:
        return [(sign, _number(column, high))]
    parts = (("geq", low), ("leq", high))
    return [(sign, _number(column, end)) for sign, end in parts if end]


def _times(column: str, text: str, zone: tzinfo) -> list[tuple[str, _End]]:
    low, high, sign = _parted(text)
    if sign:
        start, stop = _span(column, high, zone)
        return [(sign, start if sign in ("geq", "lt") else stop - _ONE_US)]
    made: list[tuple[str, _End]] = []
    if low:
        made.append(("geq", _span(column, low, zone)[0]))
    if high:
        made.append(("lt", _span(column, high, zone)[1]))
    return made


_ONE_US = timedelta(microseconds=1)


def _parted(text: str) -> tuple[str, str, str]:
    """Part ``a..b`` into both ends; a bound is the second one, with its sign."""
    if found := _BOUND.match(text):
        return "", found[2], _SIGNS[found[1]]
    if found := _RANGE.match(text):
        return found[1].strip(), found[2].strip(), ""
    only = text.removeprefix("=").strip()
    return only, only, ""


def _number(column: str, text: str) -> int | float:
    digits = text.replace(",", "").replace("_", "")
    for kind in (int, float):
        try:
            return kind(digits)
        except ValueError:
            continue
    raise UsageError(
        f"{column}: expected a number, a range like 5..10, >5, empty or filled, "
        f"found {text[:40]!r}"
    )


def _span(column: str, text: str, zone: tzinfo) -> tuple[datetime, datetime]:
    """Give a moment and the end of what it names: a day, a minute, a second."""
    try:
        start = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{column}: expected a time like 2026-11-20 or 2026-11-20 14:30, a range "
            f"of two with .. between, empty or filled, found {text[:40]!r}"
        ) from None
    start = start if start.tzinfo else start.replace(tzinfo=zone)
    long = len(text)
    step = timedelta(days=1) if long <= 10 else timedelta(minutes=1)
    return start, start + (step if long <= 16 else timedelta(seconds=1))

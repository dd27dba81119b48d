"""What a column takes: Python values made ready for JSON, and what would be refused.

The checks are those whose refusal is certain; a value they let through may still
be refused by the catalog, whose word is the last.
"""

from __future__ import annotations

import datetime
import decimal
import json
import math
import pathlib
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ermpoll.catalog.clock import parse_time
from ermpoll.catalog.model import SYSTEM_COLUMNS, BaseType, Column
from ermpoll.errors import Unreadable, UsageError
from ermpoll.records import JSON, Row
from ermpoll.redact import told

#: How deeply nested and how large what somebody's function gives back may be.
DEEPEST, LARGEST = 200, 10_000_000
#: What a number or a container counts for, in bytes: small ones cost time as well.
_EVERY = 8
#: Python refuses to read thousands of digits; no column takes so many.
_LONGEST_INT = 1000
_LONGEST_BITS = int(_LONGEST_INT * math.log2(10))
_BOOLEANS = {"true", "t", "false", "f", "yes", "no", "y", "n", "on", "off", "1", "0"}
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_changes(asked: object) -> dict[str, JSON]:
    """Read the changes that somebody's function gave back into values of our own.

    They are read whole: what comes after can neither fail on them nor see them
    change. Dates, times, UUIDs and paths become their text, a time without a zone
    with that of this machine; numpy scalars become numbers or times; pandas' NA and
    NaT become None. Decimals stay what they are.

    Raises
    ------
    Unreadable
        They are no dict, or hold what has no form in JSON, what raises when it is
        read, more than ``DEEPEST`` levels or more than ``LARGEST`` bytes.
    """
    reading = _Reading()
    try:
        if not isinstance(asked, Mapping):
            raise Unreadable(
                "expected a dict of changes or None, "
                f"found {type(asked).__name__} (return None to leave a row alone)"
            )
        return dict(reading.columns(asked))
    except Unreadable:
        raise
    except Exception as error:
        # any object of a user's: its own methods are called here
        raise reading.refused(f"can't be read: {told(error)}") from error


class _Reading:
    """One reading, and how much room it has left.

    The depth ends a value that holds itself, the size one without an end.
    """

    def __init__(self) -> None:
        self._column = ""
        self._room = LARGEST

    def columns(self, asked: Mapping[Any, object]) -> Iterator[tuple[str, JSON]]:
        """Read changes column by column."""
        for name, value in asked.items():
            self._column = self._name(name)
            yield self._column, self.value(value)

    def refused(self, why: str) -> Unreadable:
        """Return the refusal of what is being read."""
        column = clean_text(self._column, 80)
        return Unreadable(f"{column}: {why}" if column else why)

    def value(self, value: object, depth: int = 0) -> JSON:
        """Read a value."""
        if depth > DEEPEST:
            raise self.refused(f"is nested more than {DEEPEST} levels deep")
        if value is None or isinstance(value, str | bool | int | float):
            # a subclass (an enum, numpy's float64) is sent as its plain value
            plainly = _scalar(value)
            self._take(self._size(plainly))
            return plainly
        if isinstance(value, decimal.Decimal):
            self._take(len(str(value)))
            return value if value.is_finite() else str(value)
        self._take(_EVERY)
        if isinstance(value, Mapping):
            return {
                self._name(key): self.value(item, depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(item, depth + 1) for item in value]
        return self.value(self._simpler(value), depth + 1)

    def _simpler(self, value: object) -> object:
        """Return what is none of JSON's as something that is nearer to it."""
        if isinstance(value, uuid.UUID | pathlib.PurePath):
            return str(value)
        if type(value).__name__ in ("NAType", "NaTType"):
            return None
        if isinstance(value, datetime.datetime):
            return _with_zone(value)
        if isinstance(value, datetime.date | datetime.time):
            return value.isoformat()
        kind = getattr(getattr(value, "dtype", None), "kind", "")
        if kind == "M":
            return self._times(value)
        if kind != "m" and hasattr(value, "tolist"):  # numpy's scalars and arrays
            return value.tolist()
        raise self.refused(f"{type(value).__name__} has no form in JSON")

    def _times(self, value: Any) -> object:
        """Return numpy's times as Python's, which count microseconds."""
        if re.search(r"\[[npfa]s\]", str(value.dtype)):
            value = value.astype("datetime64[us]")
        times = value.tolist()
        for time in times if isinstance(times, list) else [times]:
            if isinstance(time, int):
                raise self.refused("a time that the calendar of Python has not")
        return times

    def _name(self, name: object) -> str:
        text = str(_scalar(name) if isinstance(name, str) else name)
        self._take(self._size(text))
        return text

    def _size(self, value: JSON) -> int:
        """Return about how many bytes a scalar takes as JSON."""
        if isinstance(value, str):
            # what is too long in any case is not encoded to be measured
            short = value.isascii() or len(value) > LARGEST
            return 2 + (len(value) if short else len(value.encode(errors="replace")))
        if type(value) is int and value.bit_length() > _LONGEST_BITS:
            raise self.refused(f"a number of more than {_LONGEST_INT} digits")
        return _EVERY

    def _take(self, size: int) -> None:
        self._room -= size
        if self._room < 0:
            raise self.refused(f"is larger than {LARGEST // 10**6} MB")


def _with_zone(value: datetime.datetime) -> str:
    """Write a time; one without a zone is of this machine's, as Python has it.

    A column without a zone takes the time of day of it.
    """
    if value.tzinfo is not None:
        return value.isoformat()
    # plain: pandas' own would take it for UTC
    plain = datetime.datetime.combine(value.date(), value.time())
    return plain.astimezone().isoformat()


def number_of(text: str) -> float | decimal.Decimal:
    """Read a number with a fraction: a float, where that is the number written."""
    number = float(text)
    if len(text) <= 16 and "e" not in text.lower():
        return number  # a float has 15 digits in any case
    exact = decimal.Decimal(text)
    return number if decimal.Decimal(repr(number)) == exact else exact


def body_of(path: str, rows: Sequence[Row]) -> bytes:
    """Return rows as the body of a write.

    Raises
    ------
    UsageError
        They are no rows, or hold what JSON hasn't: nothing can be sent.
    """
    if isinstance(rows, str | Mapping) or not all(isinstance(r, Mapping) for r in rows):
        raise UsageError(
            f"expected a list of rows (mappings) for {path}, found "
            f"{type(rows).__name__} of other things; nothing was sent"
        )
    try:
        return _dumped([dict(row) for row in rows]).encode()
    except TypeError as error:
        raise UsageError(
            f"expected values that JSON has for {path}, found another: {error}; "
            "give dates as text"
        ) from None
    except ValueError:
        raise UsageError(
            f"expected numbers that JSON has, found NaN or infinity for {path}; "
            "write None instead"
        ) from None


def _dumped(value: object) -> str:
    """Write JSON, decimals with all their digits, which the library has no way to."""
    mark = uuid.uuid4().hex

    def other(value: object) -> str:
        if isinstance(value, decimal.Decimal) and value.is_finite():
            return f"{mark}{value}{mark}"
        raise TypeError(f"{type(value).__name__} is none of JSON's")

    text = json.dumps(value, allow_nan=False, default=other)
    return text.replace(f'"{mark}', "").replace(f'{mark}"', "")


def _scalar(value: str | float | None) -> JSON:
    # the value itself, not what a subclass makes of it: str() of an enum is its name
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    return str.__str__(value)


def refusal(column: Column, value: JSON) -> str | None:
    """Say why the catalog would refuse the value for the column; None if it may not."""
    if column.name in SYSTEM_COLUMNS:
        return "is a system column; the catalog sets it"
    if column.may_update is False:
        return "may not be written by this login"
    if value is None:
        return None if column.nullok else "may not be NULL"
    unclean = _unclean(value)
    if unclean:
        return unclean
    if column.is_json:
        return None
    if column.is_array:
        if not isinstance(value, list):
            return f"{_show(value)} is no list, but the column is {column.typename}"
        reasons = (_misfit(column, item) for item in value if item is not None)
        return next((reason for reason in reasons if reason), None)
    return _misfit(column, value)


def clean_text(text: str, length: int | None = None) -> str:
    """Return text that a column takes: no NUL, no lone surrogate, cut to fit."""
    text = _SURROGATE.sub("�", text.replace("\0", ""))
    if length is not None and len(text) > length:
        text = text[: max(length - 1, 0)] + "…"
    return text


def _unclean(value: JSON) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value} has no form in JSON"
    if isinstance(value, str):
        if "\0" in value:
            return "holds a NUL character, which the catalog refuses"
        return "holds a lone surrogate" if _SURROGATE.search(value) else None
    if isinstance(value, Mapping):
        items = [*value.keys(), *value.values()]
        return next((bad for item in items if (bad := _unclean(item))), None)
    if isinstance(value, list):
        return next((bad for item in value if (bad := _unclean(item))), None)
    return None


def _misfit(column: Column, value: JSON) -> str | None:
    if isinstance(value, decimal.Decimal):
        value = str(value)
    check = _CHECKS.get(column.type.kind)
    if check is None or check(column.type, value):
        return None
    return f"{_show(value)} is no {column.base}"


def _is_int(base: BaseType, value: JSON) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, str):
        if not re.fullmatch(r"\s*[+-]?\d+\s*", value):
            return False
        value = int(value) if len(value) < _LONGEST_INT else base.limit
    return isinstance(value, int) and -base.limit <= value < base.limit


def _is_float(base: BaseType, value: JSON) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return False
        return True
    return isinstance(value, int | float)


def _is_boolean(base: BaseType, value: JSON) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in _BOOLEANS
    # the catalog reads a number as its text, and 0 and 1 are booleans
    return isinstance(value, int) and value in (0, 1)


def _is_time(base: BaseType, value: JSON) -> bool:
    # PostgreSQL reads many more forms than ISO; only what can be none is refused
    if isinstance(value, int) and not isinstance(value, bool):
        # read as its text, and 20260228 is a date
        return len(str(value)) in (6, 8, 14)
    return isinstance(value, str) and (
        parse_time(value) is not None
        or any(c.isdigit() for c in value)
        or value.strip().lower() in ("now", "today", "epoch", "infinity", "-infinity")
    )


def _is_uuid(base: BaseType, value: JSON) -> bool:
    try:
        uuid.UUID(str(value))
    except ValueError:
        return False
    return True


_CHECKS = {
    "integer": _is_int,
    "float": _is_float,
    "boolean": _is_boolean,
    "time": _is_time,
    "uuid": _is_uuid,
}


def _show(value: JSON) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"

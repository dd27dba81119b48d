"""What a column takes: Python values made ready for JSON, and what would be refused.

The checks are those whose refusal is certain; a value they let through may still
be refused by the catalog, whose word is the last.
"""

from __future__ import annotations

import datetime
import decimal
import math
import pathlib
import re
import uuid
from collections.abc import Mapping

from ermpoll.clock import parse_time
from ermpoll.model import Column
from ermpoll.records import JSON

_RANGES = {"int2": 2**15, "int4": 2**31, "int8": 2**63}
#: Python refuses to read thousands of digits; no column takes so many.
_LONGEST_INT = 1000
_BOOLEANS = {"true", "t", "false", "f", "yes", "no", "y", "n", "on", "off", "1", "0"}
_SURROGATE = re.compile("[\ud800-\udfff]")


def plain(value: object) -> JSON:
    """Return a Python value as JSON has it.

    Dates, times, UUIDs, paths and decimals become their text; numpy scalars
    become numbers; pandas' NA and NaT become None.

    Raises
    ------
    TypeError
        The value has no form in JSON.
    """
    if value is None or isinstance(value, str | bool | int | float):
        # a subclass (an enum, numpy's float64) is sent as its plain value
        return _scalar(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, uuid.UUID | pathlib.PurePath | decimal.Decimal):
        return str(value)
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if hasattr(value, "tolist"):  # numpy's scalars and arrays
        return plain(value.tolist())
    raise TypeError(f"{type(value).__name__} has no form in JSON")


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
    if column.name in ("RID", "RCT", "RMT", "RCB", "RMB"):
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
        reasons = (_misfit(column.base, item) for item in value if item is not None)
        return next((reason for reason in reasons if reason), None)
    return _misfit(column.base, value)


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


def _misfit(base: str, value: JSON) -> str | None:
    check = _CHECKS.get(base)
    return (
        None if check is None or check(base, value) else f"{_show(value)} is no {base}"
    )


def _is_int(base: str, value: JSON) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, str):
        if not re.fullmatch(r"\s*[+-]?\d+\s*", value):
            return False
        value = int(value) if len(value) < _LONGEST_INT else _RANGES[base]
    return isinstance(value, int) and -_RANGES[base] <= value < _RANGES[base]


def _is_float(base: str, value: JSON) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return False
        return True
    return isinstance(value, int | float)


def _is_boolean(base: str, value: JSON) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in _BOOLEANS
    # the catalog reads a number as its text, and 0 and 1 are booleans
    return isinstance(value, int) and value in (0, 1)


def _is_time(base: str, value: JSON) -> bool:
    # PostgreSQL reads many more forms than ISO; only what can be none is refused
    if isinstance(value, int) and not isinstance(value, bool):
        # read as its text, and 20260228 is a date
        return len(str(value)) in (6, 8, 14)
    return isinstance(value, str) and (
        parse_time(value) is not None
        or any(c.isdigit() for c in value)
        or value.strip().lower() in ("now", "today", "epoch", "infinity", "-infinity")
    )


def _is_uuid(base: str, value: JSON) -> bool:
    try:
        uuid.UUID(str(value))
    except ValueError:
        return False
    return True


_CHECKS = {
    "int2": _is_int,
    "int4": _is_int,
    "int8": _is_int,
    "float4": _is_float,
    "float8": _is_float,
    "boolean": _is_boolean,
    "date": _is_time,
    "timestamp": _is_time,
    "timestamptz": _is_time,
    "uuid": _is_uuid,
}


def _show(value: JSON) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"

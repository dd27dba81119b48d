"""How each basic type reads and writes one value.

`SCALARS` is the one table of them: how a JSON value or a text (PostgreSQL takes the
text form of either) becomes what SQLite keeps, and how that goes out again.
"""

from __future__ import annotations

import json
import math
import re
import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

from ermpoll.sandbox.model import intervals, times

_INTEGER = re.compile(r"\s*[-+]?[0-9]+\s*")
_TRUE = ("t", "tr", "tru", "true", "y", "ye", "yes", "on", "1")
_FALSE = ("f", "fa", "fal", "fals", "false", "n", "no", "of", "off", "0")


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


def loads(text: str | bytes) -> Any:
    """Return the JSON in `text`; unlike Python's, without NaN and Infinity."""
    return json.loads(text, parse_constant=_no_constant)


def json_text(value: Any) -> str:
    """Return the text jsonb is kept as: keys sorted, so that equals are equal."""
    return _clean(
        json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    )


def _clean(text: str) -> str:
    if "\0" in text or ("\\u0000" in text and _holds_nul(text)):
        raise ValueError("NUL can't be kept")
    if not text.isascii():
        text.encode()
    return text


def _holds_nul(text: str) -> bool:
    return re.search(r"(?<!\\)(\\\\)*\\u0000", text) is not None


def _plain(value: Any) -> str:
    """Return the text form of any JSON value, as PostgreSQL's ``->>`` has it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def read_text(value: Any) -> str:
    """Return `value` as text; an object or a number is taken as its text form."""
    text = _plain(value)
    if "\0" in text:
        raise ValueError("NUL can't be kept")
    if not text.isascii():
        text.encode()
    return text


def _read_integer(limit: int, value: Any) -> int:
    if type(value) is not int:
        text = _plain(value)
        if not _INTEGER.fullmatch(text) or len(text) > 40:
            raise ValueError("no integer")
        value = int(text)
    if not -limit <= value < limit:
        raise ValueError("out of range")
    return int(value)


def _read_float8(value: Any) -> float:
    text = _plain(value).strip()
    if "_" in text:
        raise ValueError("no number")
    number = float(text)
    if not math.isfinite(number):
        # SQLite keeps NaN as NULL, so neither it nor the infinities are kept.
        raise ValueError("not finite")
    return number


def _read_float4(value: Any) -> float:
    kept: float = struct.unpack("f", struct.pack("f", _read_float8(value)))[0]
    return next(
        (
            short
            for digits in range(6, 10)
            if struct.pack("f", short := float(f"{kept:.{digits}g}"))
            == struct.pack("f", kept)
        ),
        kept,
    )


def _read_boolean(value: Any) -> int:
    word = _plain(value).strip().lower()
    if word in _TRUE:
        return 1
    if word in _FALSE:
        return 0
    raise ValueError("no boolean")


def _read_timestamptz(value: Any) -> int:
    return times.read_instant(_plain(value), zoned=True)


def _read_timestamp(value: Any) -> int:
    # PostgreSQL drops the offset of what goes into a column without zone.
    return times.read_instant(_plain(value), zoned=False)


def _read_uuid(value: Any) -> str:
    return str(uuid.UUID(_plain(value).strip()))


def _text_of_boolean(kept: int) -> str:
    return "true" if kept else "false"


def _text_of_timestamptz(kept: int) -> str:
    return times.write_zoned(kept).replace("T", " ").removesuffix(":00")


def _text_of_timestamp(kept: int) -> str:
    return times.write_unzoned(kept).replace("T", " ")


def _text_of_json(kept: str) -> str:
    return json.dumps(json.loads(kept), ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """All that is to know of one basic type."""

    #: From a JSON value or a text to what SQLite keeps; ValueError if it is none.
    read: Callable[[Any], Any]
    #: From what is kept to JSON; None: it is kept as its JSON.
    write: Callable[[Any], Any] | None = None
    #: From what is kept to PostgreSQL's text.
    text: Callable[[Any], str] = str
    #: Can be summed.
    is_number: bool = False
    #: ``min`` and ``max`` take it.
    is_ordered: bool = True
    #: Values are whole JSON documents.
    is_json: bool = False
    #: A bad literal in an address is a database error (409), not a 400.
    is_checked_late: bool = False


SCALARS: dict[str, Scalar] = {
    "text": Scalar(read=read_text),
    "int2": Scalar(read=partial(_read_integer, 2**15), is_number=True),
    "int4": Scalar(read=partial(_read_integer, 2**31), is_number=True),
    "int8": Scalar(read=partial(_read_integer, 2**63), is_number=True),
    "float4": Scalar(read=_read_float4, is_number=True),
    "float8": Scalar(read=_read_float8, is_number=True),
    "boolean": Scalar(
        read=_read_boolean,
        write=bool,
        text=_text_of_boolean,
        is_ordered=False,
        is_checked_late=True,
    ),
    "date": Scalar(
        read=lambda value: times.read_date(_plain(value)), is_checked_late=True
    ),
    "timestamptz": Scalar(
        read=_read_timestamptz,
        write=times.write_zoned,
        text=_text_of_timestamptz,
        is_checked_late=True,
    ),
    "timestamp": Scalar(
        read=_read_timestamp,
        write=times.write_unzoned,
        text=_text_of_timestamp,
        is_checked_late=True,
    ),
    "time": Scalar(
        read=lambda value: times.read_time(_plain(value)), is_checked_late=True
    ),
    "timetz": Scalar(
        read=lambda value: times.read_timetz(_plain(value)), is_checked_late=True
    ),
    "interval": Scalar(
        read=lambda value: intervals.read(_plain(value)), is_checked_late=True
    ),
    "uuid": Scalar(read=_read_uuid, is_ordered=False, is_checked_late=True),
    "json": Scalar(
        read=json_text,
        write=json.loads,
        text=_text_of_json,
        is_ordered=False,
        is_json=True,
    ),
    "jsonb": Scalar(
        read=json_text,
        write=json.loads,
        text=_text_of_json,
        is_ordered=False,
        is_json=True,
    ),
}


def array_items(text: str) -> list[Any]:
    """Return the items of PostgreSQL's ``{a,"b,c",NULL}`` or of a JSON array."""
    text = text.strip()
    if text.startswith("["):
        items = loads(text)
        return items if isinstance(items, list) else [items]
    if not (text.startswith("{") and text.endswith("}")):
        raise ValueError("no array")
    found = re.findall(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^",]*))\s*(?:,|$)', text[1:-1])
    if not text[1:-1].strip():
        return []
    items = [
        re.sub(r"\\(.)", r"\1", quoted)
        if quoted
        else (bare if bare != "NULL" else None)
        for quoted, bare in found
    ]
    return items if text[1:-1].rstrip().endswith(",") else items[: _count(text[1:-1])]


def _count(text: str) -> int:
    return len(re.sub(r'"(?:[^"\\]|\\.)*"', "", text).split(","))


def array_text(items: list[Any]) -> str:
    """Return PostgreSQL's text form of an array's JSON items."""
    return "{" + ",".join(_array_item(item) for item in items) + "}"


def _array_item(item: Any) -> str:
    if item is None:
        return "NULL"
    if isinstance(item, bool):
        return "t" if item else "f"
    text = _plain(item)
    if text and text.upper() != "NULL" and not re.search(r'[\s",{}\\]', text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

"""How each basic type reads and writes one value.

`SCALARS` is the one table of them: how a JSON value or a text (PostgreSQL takes the
text form of either) becomes what SQLite keeps, and how that goes out again.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ermpoll.sandbox.model import intervals, jsons, times
from ermpoll.sandbox.model.jsons import loads, plain
from ermpoll.sandbox.model.numbers import (
    numeric_order,
    read_float4,
    read_float8,
    read_integer,
    read_numeric,
    write_float,
    write_numeric,
)

_TRUE = ("t", "tr", "tru", "true", "y", "ye", "yes", "on", "1")
_FALSE = ("f", "fa", "fal", "fals", "false", "n", "no", "of", "off", "0")


def read_text(value: Any) -> str:
    """Return `value` as text; an object or a number is taken as its text form."""
    text = plain(value)
    if "\0" in text:
        raise ValueError("NUL can't be kept")
    if not text.isascii():
        text.encode()
    return text


def _read_boolean(value: Any) -> int:
    word = plain(value).strip().lower()
    if word in _TRUE:
        return 1
    if word in _FALSE:
        return 0
    raise ValueError("no boolean")


def _read_timestamptz(value: Any) -> int:
    return times.read_instant(plain(value), zoned=True)


def _read_timestamp(value: Any) -> int:
    # PostgreSQL drops the offset of what goes into a column without zone.
    return times.read_instant(plain(value), zoned=False)


def _read_uuid(value: Any) -> str:
    return str(uuid.UUID(plain(value).strip()))


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
    #: From what is kept to what sorts and compares; None: SQLite's order is right.
    order: Callable[[Any], Any] | None = None
    #: Whole numbers, which a filter may compare with any other.
    is_integer: bool = False
    #: A bad literal in an address is a database error (409), not a 400.
    is_checked_late: bool = False


SCALARS: dict[str, Scalar] = {
    "text": Scalar(read=read_text),
    "int2": Scalar(read=partial(read_integer, 2**15), is_number=True, is_integer=True),
    "int4": Scalar(read=partial(read_integer, 2**31), is_number=True, is_integer=True),
    "int8": Scalar(read=partial(read_integer, 2**63), is_number=True, is_integer=True),
    "float4": Scalar(read=read_float4, write=write_float, is_number=True),
    "float8": Scalar(read=read_float8, write=write_float, is_number=True),
    "numeric": Scalar(
        read=read_numeric,
        write=write_numeric,
        order=numeric_order,
        is_number=True,
        is_checked_late=True,
    ),
    "boolean": Scalar(
        read=_read_boolean,
        write=bool,
        text=_text_of_boolean,
        is_ordered=False,
        is_checked_late=True,
    ),
    "date": Scalar(
        read=lambda value: times.read_date(plain(value)), is_checked_late=True
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
        read=lambda value: times.read_time(plain(value)), is_checked_late=True
    ),
    "timetz": Scalar(
        read=lambda value: times.read_timetz(plain(value)), is_checked_late=True
    ),
    "interval": Scalar(
        read=lambda value: intervals.read(plain(value)),
        order=intervals.length,
        is_checked_late=True,
    ),
    "uuid": Scalar(read=_read_uuid, is_ordered=False, is_checked_late=True),
    "json": Scalar(
        read=jsons.json_text,
        write=json.loads,
        text=_text_of_json,
        order=jsons.order,
        is_ordered=False,
        is_json=True,
    ),
    "jsonb": Scalar(
        read=jsons.json_text,
        write=json.loads,
        text=_text_of_json,
        order=jsons.order,
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
    text = plain(item)
    if text and text.upper() != "NULL" and not re.search(r'[\s",{}\\]', text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

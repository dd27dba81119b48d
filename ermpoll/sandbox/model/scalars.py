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
from decimal import Decimal
from functools import partial
from typing import Any, NoReturn

from ermpoll.sandbox.model import intervals, times

_INTEGER = re.compile(r"\s*[-+]?[0-9]+\s*")
_TRUE = ("t", "tr", "tru", "true", "y", "ye", "yes", "on", "1")
_FALSE = ("f", "fa", "fal", "fals", "false", "n", "no", "of", "off", "0")


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


def _is_lost(number: float, digits: str) -> bool:
    """Return whether a number is 0 only for being too small to be kept."""
    return not number and re.search("[1-9]", digits.lower().split("e")[0]) is not None


def _json_float(digits: str) -> JsonFloat:
    number = JsonFloat(digits)
    if math.isinf(number) or _is_lost(number, digits):
        raise ValueError(f"{digits} is out of range")
    return number


def loads(text: str | bytes) -> Any:
    """Return the JSON in `text`; unlike Python's, without NaN and Infinity."""
    return json.loads(text, parse_constant=_no_constant, parse_float=_json_float)


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


def is_integer(text: str) -> bool:
    """Return whether a text is a whole number of any size."""
    return _INTEGER.fullmatch(text) is not None


def is_unquoted_word(text: str) -> bool:
    """Return whether the service would put a number in its SQL that is none there."""
    try:
        return not math.isfinite(float(text))
    except ValueError:
        return False


def _read_integer(limit: int, value: Any) -> int:
    if type(value) is not int:
        text = _plain(value)
        if not _INTEGER.fullmatch(text) or len(text) > 40:
            raise ValueError("no integer")
        value = int(text)
    if not -limit <= value < limit:
        raise ValueError("out of range")
    return int(value)


_WORDS: dict[str, float | str] = {
    "nan": "NaN",
    "infinity": math.inf,
    "inf": math.inf,
    "+infinity": math.inf,
    "+inf": math.inf,
    "-infinity": -math.inf,
    "-inf": -math.inf,
}


def _read_float8(value: Any) -> float | str:
    text = _plain(value).strip().lower()
    if text in _WORDS:
        # SQLite keeps NaN as NULL; as a text it sorts above all numbers, as it should.
        return _WORDS[text]
    if text.lstrip("+-").startswith("0x"):
        return float.fromhex(text)
    if "_" in text:
        raise ValueError("no number")
    number = float(text)
    if math.isinf(number) or _is_lost(number, text):
        raise ValueError("out of range")
    return number


def _read_float4(value: Any) -> float | str:
    number = _read_float8(value)
    if isinstance(number, str) or math.isinf(number):
        return number
    packed = struct.pack("f", number)
    kept: float = struct.unpack("f", packed)[0]
    if math.isinf(kept) or (kept == 0 and number != 0):
        raise ValueError("out of range")
    shorter = (float(f"{kept:.{digits}g}") for digits in range(6, 10))
    return next((short for short in shorter if struct.pack("f", short) == packed), kept)


def _write_float(kept: float | str) -> float | str:
    if isinstance(kept, float) and math.isinf(kept):
        return "Infinity" if kept > 0 else "-Infinity"
    return kept


def _read_numeric(value: Any) -> str:
    """Return the digits as they were written; NaN and the infinities as words."""
    text = getattr(value, "digits", None) or _plain(value).strip()
    if text.lower() in _WORDS:
        return str(_write_float(_WORDS[text.lower()]))
    try:
        number = Decimal(text)
    except ArithmeticError as error:
        raise ValueError("no number") from error
    if "_" in text or not number.is_finite() or abs(number.adjusted()) > 1000:
        raise ValueError("no number")
    return f"{abs(number) if number == 0 else number:f}"


def _write_numeric(kept: str | float) -> float | int | str:
    # Sums and averages are numbers already.
    if not isinstance(kept, str) or kept in ("NaN", "Infinity", "-Infinity"):
        return kept
    return float(kept) if "." in kept else int(kept)


def _numeric_order(kept: str) -> tuple[int, Decimal]:
    number = Decimal(kept)
    # PostgreSQL has NaN above all numbers, and equal to itself.
    return (1, Decimal(0)) if number.is_nan() else (0, number)


class JsonFloat(float):
    """A number of a JSON body that keeps its digits."""

    digits: str

    def __new__(cls, digits: str) -> JsonFloat:
        """Return the number that the digits mean."""
        number = super().__new__(cls, digits)
        number.digits = digits
        return number


def _json_order(kept: str) -> Any:
    return _ranked(json.loads(kept))


def _ranked(value: Any) -> Any:
    """Return a sort key of a JSON value, as PostgreSQL orders jsonb."""
    if value is None:
        return (0,)
    if isinstance(value, str):
        return (1, value)
    if isinstance(value, bool):
        return (3, value)
    if isinstance(value, list):
        return (4, len(value), [_ranked(item) for item in value])
    if isinstance(value, dict):
        # Shorter names come first.
        items = sorted(value.items(), key=lambda item: (len(item[0].encode()), item[0]))
        return (5, len(value), [(name, _ranked(item)) for name, item in items])
    return (2, value)


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
    #: From what is kept to what sorts and compares; None: SQLite's order is right.
    order: Callable[[Any], Any] | None = None
    #: Whole numbers, which a filter may compare with any other.
    is_integer: bool = False
    #: A bad literal in an address is a database error (409), not a 400.
    is_checked_late: bool = False


SCALARS: dict[str, Scalar] = {
    "text": Scalar(read=read_text),
    "int2": Scalar(read=partial(_read_integer, 2**15), is_number=True, is_integer=True),
    "int4": Scalar(read=partial(_read_integer, 2**31), is_number=True, is_integer=True),
    "int8": Scalar(read=partial(_read_integer, 2**63), is_number=True, is_integer=True),
    "float4": Scalar(read=_read_float4, write=_write_float, is_number=True),
    "float8": Scalar(read=_read_float8, write=_write_float, is_number=True),
    "numeric": Scalar(
        read=_read_numeric,
        write=_write_numeric,
        order=_numeric_order,
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
        read=lambda value: intervals.read(_plain(value)),
        order=intervals.length,
        is_checked_late=True,
    ),
    "uuid": Scalar(read=_read_uuid, is_ordered=False, is_checked_late=True),
    "json": Scalar(
        read=json_text,
        write=json.loads,
        text=_text_of_json,
        order=_json_order,
        is_ordered=False,
        is_json=True,
    ),
    "jsonb": Scalar(
        read=json_text,
        write=json.loads,
        text=_text_of_json,
        order=_json_order,
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

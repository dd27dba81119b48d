"""Numbers as PostgreSQL reads them: whole ones, floats, and numeric with its digits."""

from __future__ import annotations

import math
import re
import struct
from decimal import Decimal
from typing import Any

from ermpoll.sandbox.model.jsons import is_lost, plain

_INTEGER = re.compile(r"\s*[-+]?[0-9]+\s*")


def is_integer(text: str) -> bool:
    """Return whether a text is a whole number of any size."""
    return _INTEGER.fullmatch(text) is not None


def is_unquoted_word(text: str) -> bool:
    """Return whether the service would put a number in its SQL that is none there."""
    try:
        return not math.isfinite(float(text))
    except ValueError:
        return False


def read_integer(limit: int, value: Any) -> int:
    """Return a whole number from minus `limit` on and below it, or raise ValueError."""
    if type(value) is not int:
        text = plain(value)
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


def read_float8(value: Any) -> float | str:
    """Return a number, an infinity, or the text NaN, or raise ValueError."""
    text = plain(value).strip().lower()
    if text in _WORDS:
        # SQLite keeps NaN as NULL; as a text it sorts above all numbers, as it should.
        return _WORDS[text]
    if text.lstrip("+-").startswith("0x"):
        return float.fromhex(text)
    if "_" in text:
        raise ValueError("no number")
    number = float(text)
    if math.isinf(number) or is_lost(number, text):
        raise ValueError("out of range")
    return number


def read_float4(value: Any) -> float | str:
    """Return the shortest number that is the same with four bytes."""
    number = read_float8(value)
    if isinstance(number, str) or math.isinf(number):
        return number
    packed = struct.pack("f", number)
    kept: float = struct.unpack("f", packed)[0]
    if math.isinf(kept) or (kept == 0 and number != 0):
        raise ValueError("out of range")
    shorter = (float(f"{kept:.{digits}g}") for digits in range(6, 10))
    return next((short for short in shorter if struct.pack("f", short) == packed), kept)


def write_float(kept: float | str) -> float | str:
    """Return the JSON of a float."""
    if isinstance(kept, float) and math.isinf(kept):
        return "Infinity" if kept > 0 else "-Infinity"
    return kept


def read_numeric(value: Any) -> str:
    """Return the digits as they were written; NaN and the infinities as words."""
    text = getattr(value, "digits", None) or plain(value).strip()
    if text.lower() in _WORDS:
        return str(write_float(_WORDS[text.lower()]))
    try:
        number = Decimal(text)
    except ArithmeticError as error:
        raise ValueError("no number") from error
    if "_" in text or not number.is_finite() or abs(number.adjusted()) > 1000:
        raise ValueError("no number")
    return f"{abs(number) if number == 0 else number:f}"


def write_numeric(kept: str | float) -> float | int | str:
    """Return the JSON of a numeric."""
    # Sums and averages are numbers already.
    if not isinstance(kept, str) or kept in ("NaN", "Infinity", "-Infinity"):
        return kept
    return float(kept) if "." in kept else int(kept)


def numeric_order(kept: str) -> tuple[int, Decimal]:
    """Return a sort key of a numeric."""
    number = Decimal(kept)
    # PostgreSQL has NaN above all numbers, and equal to itself.
    return (1, Decimal(0)) if number.is_nan() else (0, number)

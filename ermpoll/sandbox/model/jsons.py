"""JSON documents as the sandbox reads, keeps and orders them."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


def is_lost(number: float, digits: str) -> bool:
    """Return whether a number is 0 only for being too small to be kept."""
    return not number and re.search("[1-9]", digits.lower().split("e")[0]) is not None


def _json_float(digits: str) -> JsonFloat:
    number = JsonFloat(digits)
    if math.isinf(number) or is_lost(number, digits):
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


def plain(value: Any) -> str:
    """Return the text form of any JSON value, as PostgreSQL's ``->>`` has it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class JsonFloat(float):
    """A number of a JSON body that keeps its digits."""

    digits: str

    def __new__(cls, digits: str) -> JsonFloat:
        """Return the number that the digits mean."""
        number = super().__new__(cls, digits)
        number.digits = digits
        return number


def order(kept: str) -> Any:
    """Return a sort key of a kept document, as PostgreSQL orders jsonb."""
    return _ranked(json.loads(kept))


def _ranked(value: Any) -> Any:
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

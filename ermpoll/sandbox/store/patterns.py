"""PostgreSQL's regular expressions, by way of the ``regex`` package."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import regex

from ermpoll.sandbox.errors import conflict

#: Escapes that mean something else in Python.
_ESCAPES = {"y": r"\b", "Y": r"\B", "Z": r"\Z", "A": r"\A"}


@lru_cache(maxsize=256)
def pattern(text: str, *, fold: bool) -> regex.Pattern[str]:
    """Return PostgreSQL's regular expression `text` as Python's, or refuse (409)."""
    # There a dot matches the end of a line as well, and $ only that of the text.
    flags = regex.DOTALL | (regex.IGNORECASE if fold else 0)
    try:
        return regex.compile("".join(_translated(text)), flags)
    except (regex.error, RecursionError, OverflowError) as error:
        raise conflict("The regular expression is not valid.") from error


@lru_cache(maxsize=256)
def plain(text: str) -> str | None:
    """Return the ASCII text that an expression stands for; None: it is more than that.

    To look for a text costs a hundredth of an expression, and pages search all rows.
    """
    made, signs = "", iter(text)
    for sign in signs:
        if sign == "\\":
            sign = next(signs, "")
            if not sign or sign.isalnum():
                return None
        elif sign in "^$*+?()[]{}|.":
            return None
        made += sign
    return made if made.isascii() else None


def _translated(text: str) -> Iterator[str]:
    if text.startswith("***="):
        yield regex.escape(text[4:])
        return
    text = text.removeprefix("***:")
    at, in_class = 0, False
    while at < len(text):
        sign = text[at]
        if sign == "\\" and at + 1 < len(text):
            escape = text[at + 1]
            yield sign + escape if in_class else _ESCAPES.get(escape, sign + escape)
            at += 2
            continue
        if sign == "[" and not in_class:
            end = _first_of_class(text, at)
            yield text[at:end]
            in_class, at = True, end
            continue
        if sign == "[" and text[at + 1 : at + 2] in (":", ".", "="):
            end = text.find("]", at) + 1 or len(text)
            yield text[at:end]
            at = end
            continue
        in_class = in_class and sign != "]"
        yield r"\Z" if sign == "$" and not in_class else sign
        at += 1


def _first_of_class(text: str, at: int) -> int:
    """Return the place after ``[``, ``[^``, and a ``]`` that stands for itself."""
    at += 1
    at += text[at : at + 1] == "^"
    return at + (text[at : at + 1] == "]")

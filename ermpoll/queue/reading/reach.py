"""How far a queue reaches: what of its filter or path holds of a claimed row too.

Pure: path text in, path text or names out. The catalog's word on the text is the last.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from urllib.parse import unquote

#: A column where a predicate begins: ``name=``, ``alias:name::gt::``.
_COLUMN = re.compile(r"(?:^|[/&;(!])(?:([^/&;()!=:,]+):)?([^/&;()!=:,]+)(?==|::)")
_ALIAS = re.compile(r"([^/&;()!=:,]+):=(.*)", re.DOTALL)
_LINK = re.compile(r"(?:left|right|full)?\([^()]*\)=\([^()]*\)")


def lasting(where: str, own: Set[str]) -> str:
    """Return the filter without those of its conditions that name own columns.

    Those may hold of a candidate and not of the same row once it is claimed.
    """
    kept = (part for part in _conditions(where) if not own & columns_of(part))
    return "/".join(kept)


def columns_of(predicate: str) -> set[str]:
    """Return the columns that a filter names, whatever table they are of."""
    return {unquote(name) for _, name in _COLUMN.findall(predicate)}


def columns_of_path(path: str) -> set[str]:
    """Return the columns that an entity path filters its last table by.

    Each place where a path meets a table counts by itself: a filter on a row's
    parent, in the same table, is none on the row.
    """
    here, last = 0, 0
    places: dict[str, int] = {}
    named: list[tuple[int, str]] = []
    for part in _split(path, "/"):
        if part.startswith("$"):
            here = places.get(part[1:], -1)
            continue
        alias, element = _named(part)
        if _is_table(element):
            here = last = last + 1
            places[alias] = here
            continue
        for other, name in _COLUMN.findall(element):
            named.append((places.get(other, -1) if other else here, unquote(name)))
    return {name for place, name in named if place == here}


def _named(part: str) -> tuple[str, str]:
    match = _ALIAS.fullmatch(part)
    return (match[1], match[2]) if match else ("", part)


def _is_table(element: str) -> bool:
    """Whether an element goes to a table: by its name, a key or equal columns."""
    return bool(_LINK.fullmatch(element)) or not ("=" in element or "::" in element)


def _conditions(where: str) -> Iterator[str]:
    """Take a filter apart into conditions that all have to hold."""
    for part in _split(where, "/"):
        if len(_split(part, ";")) > 1:
            yield part
            continue
        for piece in _split(part, "&"):
            inside = piece[1:-1]
            if piece.startswith("(") and _is_balanced(inside):
                yield from _conditions(inside)
            elif piece:
                yield piece


def _is_balanced(text: str) -> bool:
    depth = 0
    for mark in text:
        depth += (mark == "(") - (mark == ")")
        if depth < 0:
            return False
    return depth == 0


def _split(text: str, at: str) -> list[str]:
    """Split at a mark that stands in no parentheses."""
    parts, depth = [""], 0
    for mark in text:
        depth += (mark == "(") - (mark == ")")
        if mark == at and depth <= 0:
            parts.append("")
        else:
            parts[-1] += mark
    return parts

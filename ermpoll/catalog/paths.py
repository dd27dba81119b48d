"""ERMrest data paths as text: every name and value quoted, nothing sent.

The syntax: names and values are percent-encoded, what is not encoded is syntax.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from urllib.parse import quote as _quote

from ermpoll.errors import UsageError
from ermpoll.records import JSON


def quote(text: str) -> str:
    """Percent-encode a name or value for a path."""
    try:
        return _quote(text, safe="")
    except UnicodeEncodeError:
        raise UsageError(
            f"expected text, found a lone surrogate in {text[:40]!a}; "
            "it can't be sent to a catalog"
        ) from None


def literal(value: JSON) -> str:
    """Write a value as the right side of a filter."""
    if isinstance(value, str | Decimal):
        return quote(str(value))
    return quote(json.dumps(value))


def equals(column: str, *values: JSON) -> str:
    """Filter on a column that holds one of the values; None means NULL."""
    name = quote(column)
    words = [value for value in values if value is not None]
    parts = [f"{name}::null::"] if len(words) < len(values) else []
    if len(words) == 1:
        parts.append(f"{name}={literal(words[0])}")
    elif words:
        parts.append(f"{name}=any({','.join(map(literal, words))})")
    if not parts:
        raise UsageError(f"expected a value to compare {column!r} with, found none")
    return ";".join(parts)


def join(*parts: str) -> str:
    """Put path elements together, leaving out the empty ones."""
    return "/".join(part.strip("/") for part in parts if part)


def names(columns: Iterable[str]) -> str:
    """Write a list of column names."""
    return ",".join(quote(column) for column in columns)


def keys_and_targets(keys: Sequence[str], targets: Sequence[str]) -> str:
    """Write ``K1,K2;T1,T2`` of an attributegroup; an item may be ``alias:=column``."""

    def item(text: str) -> str:
        return ":=".join(quote(part) for part in text.split(":=", 1))

    return f"{','.join(map(item, keys))};{','.join(map(item, targets))}"


class Order:
    """A sort order: ``priority::desc::,RCT`` with RID as the last key.

    Raises
    ------
    UsageError
        The text has an empty key.
    """

    def __init__(self, text: str) -> None:
        keys = [part.strip() for part in text.split(",")]
        if not all(keys):
            raise UsageError(
                f"expected an order like 'priority::desc::,RCT', found {text!r}"
            )
        self.columns = [key.removesuffix("::desc::") for key in keys]
        if "RID" not in self.columns:
            keys.append("RID")
            self.columns.append("RID")
        self.text = ",".join(
            quote(name) + ("::desc::" if key.endswith("::desc::") else "")
            for name, key in zip(self.columns, keys, strict=True)
        )

    def sort(self) -> str:
        """Return the ``@sort`` modifier."""
        return f"@sort({self.text})"

    def after(self, row: dict[str, JSON]) -> str:
        """Return the ``@after`` modifier that pages past a row."""
        values = [
            "::null::" if row[name] is None else literal(row[name])
            for name in self.columns
        ]
        return f"@after({','.join(values)})"

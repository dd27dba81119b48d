"""ERMrest data paths as text: every name and value quoted, nothing sent.

The syntax: names and values are percent-encoded, what is not encoded is syntax.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from urllib.parse import quote as _quote

from ermpoll.errors import BadRequest, UsageError
from ermpoll.records import JSON

#: Bytes of an address behind the server's name: services refuse those over 8,190, and
#: what stands before them may refuse them earlier.
LONGEST_ADDRESS = 4000
#: ... and what is left of them for a path below a catalog.
LONGEST = 3800
#: Bytes that a list of columns may take in a path; where it takes more, all are read.
LONGEST_COLUMNS = 2000
#: Values in one filter at most.
MOST_VALUES = 100
#: What is sent as it stands in a path.
_AS_IT_STANDS = "!#$%&'()*+,/:;=?@[]~"
#: What stays as it is: most names and all RIDs, of which there are many.
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*")


def quote(text: str) -> str:
    """Percent-encode a name or value for a path."""
    if _PLAIN.fullmatch(text):
        return text
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


def size(path: str) -> int:
    """Count the bytes of a path as it is sent, what was left unquoted quoted."""
    return len(_quote(path, safe=_AS_IT_STANDS, errors="replace"))


def check_size(path: str) -> None:
    """Check that an address, from its first slash on, is one that servers take.

    Raises
    ------
    BadRequest
        It is too long. Nothing was sent; its status is that of a server's refusal.
    """
    if (found := size(path)) > LONGEST_ADDRESS:
        detail = (
            f"the address would have {found:,} bytes, and at most {LONGEST_ADDRESS:,} "
            "are sent: give fewer or shorter column names, or a shorter filter"
        )
        raise BadRequest(f"nothing was sent: {detail}", status=414, detail=detail)


def parts(values: Iterable[str], around: int) -> list[tuple[str, ...]]:
    """Split values into filters of addresses that pass; one is never split.

    Parameters
    ----------
    around
        Bytes of the path without them.
    """
    made: list[tuple[str, ...]] = []
    part: list[str] = []
    length = around
    for value in values:
        more = len(quote(value)) + 1
        if part and (len(part) >= MOST_VALUES or length + more > LONGEST):
            made.append(tuple(part))
            part, length = [], around
        part.append(value)
        length += more
    return [*made, tuple(part)] if part else made


def names(columns: Iterable[str]) -> str:
    """Write a list of column names."""
    return ",".join(quote(column) for column in columns)


def keys_and_targets(keys: Sequence[str], targets: Sequence[str]) -> str:
    """Write ``K1,K2;T1,T2`` of an attributegroup; an item may be ``alias:=column``."""

    def item(text: str) -> str:
        return ":=".join(quote(part) for part in text.split(":=", 1))

    return f"{','.join(map(item, keys))};{','.join(map(item, targets))}"


_DOWN = "::desc::"


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
        self._take([(k.removesuffix(_DOWN), k.endswith(_DOWN)) for k in keys])

    @classmethod
    def by(cls, column: str, *, descending: bool = False) -> Order:
        """Return the order by one column, whatever its name is."""
        made = cls.__new__(cls)
        made._take([(column, descending)])
        return made

    def _take(self, keys: list[tuple[str, bool]]) -> None:
        self.columns = [name for name, _ in keys]
        if "RID" not in self.columns:
            keys = [*keys, ("RID", False)]
            self.columns.append("RID")
        self.text = ",".join(
            quote(name) + (_DOWN if down else "") for name, down in keys
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

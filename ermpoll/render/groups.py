"""Errors that are alike but for what differs from row to row: one line with its number.

Pure. What differs is masked: RIDs, paths, addresses, and words with a digit in them:
numbers, times, names of files, hex digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ermpoll.records import Row
from ermpoll.render.shapes import PlanLike
from ermpoll.render.tables import fates_of, reason_of, rid_of

#: What stands for what differs.
MASK = "…"
#: Characters of a text that are looked at.
_READ = 300
_DIFFERS = re.compile(
    r"""
      [a-z][a-z0-9+.-]*://[^\s'"<>,;)]+                            # an address
    | (?<![\w.])(?:[A-Za-z]:|~|\.{1,2})?[\\/][\w.@~+%\\/-]+       # a path from a root
    | (?<![\w.@+%-])(?:[\w.@+%-]+[\\/]){2,}[\w.@+%-]+            # or with two steps
    | (?<![\w.@+%-])[\w.@+%-]+[\\/][\w.@+%-]+\.[A-Za-z]\w{1,4}\b # or to a file
    | (?<![\w.-])[\w.-]*\d(?:[\w.:,+%-]*\w)?                     # a word with a digit
    """,
    re.VERBOSE | re.IGNORECASE,
)
_WORD = re.compile(r"[\w-]+")
_MASKS = re.compile(rf"{MASK}(?:[\s,]*{MASK})+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorGroup:
    """Rows that failed alike."""

    #: Their error, with what differs masked.
    text: str
    #: The rows, the newest first.
    rows: Sequence[Row]

    @property
    def piece(self) -> str:
        """The longest piece that all of them have: what to search for."""
        return piece_of(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonGroup:
    """Rows of a plan that something alike stops."""

    #: The kind of their changes, or what became of the rows, where it was applied.
    kind: str
    #: Why, with what differs masked.
    reason: str
    rids: tuple[str, ...]

    @property
    def filter(self) -> str:
        """What finds them in a column of reasons."""
        whole = MASK not in self.reason
        return f"={self.reason}" if whole else piece_of(self.reason)


def piece_of(text: str) -> str:
    """Return the longest piece of a masked text that nothing in it was masked of."""
    return max((one.strip() for one in text.split(MASK)), key=len)


def masked(text: str, rid: str = "") -> str:
    """Mask what differs between errors that are alike.

    Examples
    --------
    >>> masked("GPU 3 fell off the bus at 12:30:01 (1-7RT2)")
    'GPU … fell off the bus at … (…)'
    """
    text = " ".join(text[:_READ].split())
    if rid and rid in text:
        text = _WORD.sub(lambda found: MASK if found[0] == rid else found[0], text)
    return _MASKS.sub(MASK, _DIFFERS.sub(MASK, text))


def grouped(rows: Iterable[Row], column: str) -> tuple[ErrorGroup, ...]:
    """Group failed rows, the newest first, by the error in a column.

    The largest group comes first; a row without an error is in that of no text.
    """
    found: dict[str, list[Row]] = {}
    for row in rows:
        text = masked(str(row.get(column) or ""), rid_of(row))
        found.setdefault(text, []).append(row)
    ordered = sorted(found.items(), key=lambda item: -len(item[1]))
    return tuple(ErrorGroup(text=text, rows=tuple(alike)) for text, alike in ordered)


def alike_reasons(shown: PlanLike) -> list[ReasonGroup]:
    """Group what stops more than one row of a plan, the most rows first."""
    fates = fates_of(shown)
    found: dict[tuple[str, str], dict[str, str]] = {}
    for change in shown.changes:
        if reason := reason_of(shown, change):
            key = (fates[change.rid], masked(reason, change.rid))
            found.setdefault(key, {})[change.rid] = reason
    made = [
        ReasonGroup(
            kind=kind,
            # what is the same for all is told as it is
            reason=text if len(set(told.values())) > 1 else next(iter(told.values())),
            rids=tuple(told),
        )
        for (kind, text), told in found.items()
        if len(told) > 1
    ]
    return sorted(made, key=lambda one: -len(one.rids))

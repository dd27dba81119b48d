"""``bin(column;count;min;max)``: in which of equal parts of a range a value is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ermpoll.sandbox.errors import bad_request, conflict
from ermpoll.sandbox.model import times
from ermpoll.sandbox.model.model import ColumnDef
from ermpoll.sandbox.model.types import Type
from ermpoll.sandbox.query.scope import Path

_BINNED = ("timestamptz", "timestamp", "date")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A division of a range, as PostgreSQL's ``width_bucket`` numbers it."""

    type: Type
    count: int
    low: Any
    high: Any

    def sql(self, path: Path, column: str) -> str:
        """Return the SQL of the bucket's number: 0 below the range, count + 1 above.

        That of NULL is -1, so that it sorts below all others.
        """
        if self.low == self.high or self.count < 1:
            # As there, only a value that is to be put in it finds that out.
            return f"CASE WHEN {column} IS NULL THEN -1 ELSE no_bucket() END"
        low, high, count = (
            path.bind(item) for item in (self.low, self.high, self.count)
        )
        value = column
        if self.type.scalar == "date":
            value = f"(CAST(julianday({column}) - 2440587.5 AS INTEGER))"
        below, above = ("<", ">=") if self.low < self.high else (">", "<=")
        return (
            f"CASE WHEN {column} IS NULL THEN -1 WHEN {value} {below} {low} THEN 0"
            f" WHEN {value} {above} {high} THEN {count} + 1 ELSE"
            f" CAST(({value} - {low}) * 1.0 * {count} / ({high} - {low}) AS INT) + 1"
            " END"
        )

    @property
    def writer(self) -> Callable[[Any], Any]:
        """From a bucket's number to ``[number, from, to]``; open ends are null."""

        def edge(number: int) -> Any:
            span = (self.high - self.low) * number / self.count
            if self.type.scalar == "date":
                return times.write_unzoned(round((self.low + span) * _DAY))
            if not isinstance(self.low, float):
                span = round(span)
            return self.type.to_json(self.low + span)

        return lambda number: (
            [None, None, None]
            if number < 0
            else [
                number,
                edge(number - 1) if number > 0 else None,
                edge(number) if number <= self.count else None,
            ]
        )


_DAY = 86_400_000_000


def bucket(column: ColumnDef, arguments: Sequence[str]) -> Bucket:
    """Return the division that ``bin(column;...)`` asks for, or refuse (400, 409)."""
    kind = column.type
    if not (kind.is_number or kind.scalar in _BINNED) or kind.array:
        raise conflict(f"Values of {kind.name} can't be put in bins.")
    if len(arguments) != 3:
        raise bad_request("A bin is bin(column;count;min;max).")
    low, high = (_bound(kind, text) for text in arguments[1:])
    if not arguments[0].isdigit() or len(arguments[0]) > 9:
        raise conflict("A bin's count must be a number.")
    return Bucket(type=kind, count=int(arguments[0]), low=low, high=high)


def _bound(kind: Type, text: str) -> Any:
    kept = kind.from_text(text)
    if kind.scalar == "date":
        return times.read_instant(kept, zoned=False) // _DAY
    if kind.scalar == "numeric":
        return float(kept)
    if not isinstance(kept, int | float):
        raise conflict("A bin's bound must be a number.")
    return kept

"""``bin(column;count;min;max)``: in which of equal parts of a range a value is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ermpoll.sandbox.errors import bad_request, conflict
from ermpoll.sandbox.model.model import ColumnDef
from ermpoll.sandbox.model.types import Type


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A division of a range, as PostgreSQL's ``width_bucket`` numbers it."""

    type: Type
    count: int
    low: Any
    high: Any

    @property
    def parameters(self) -> tuple[Any, ...]:
        """The values that `sql` needs as parameters, in order."""
        return (self.low, self.high, self.count)

    def sql(self, column: str, parameters: Sequence[str]) -> str:
        """Return the SQL of the bucket's number: 0 below the range, count + 1 above."""
        low, high, count = parameters
        return (
            f"CASE WHEN {column} IS NULL THEN NULL WHEN {column} < {low} THEN 0"
            f" WHEN {column} >= {high} THEN {count} + 1 ELSE"
            f" CAST(({column} - {low}) * 1.0 * {count} / ({high} - {low}) AS INT) + 1"
            " END"
        )

    @property
    def writer(self) -> Callable[[Any], Any]:
        """From a bucket's number to ``[number, from, to]``; open ends are null."""

        def edge(number: int) -> Any:
            span = (self.high - self.low) * number / self.count
            if not isinstance(self.low, float):
                span = round(span)
            return self.type.to_json(self.low + span)

        return lambda number: [
            number,
            edge(number - 1) if number > 0 else None,
            edge(number) if number <= self.count else None,
        ]


def bucket(column: ColumnDef, arguments: Sequence[str]) -> Bucket:
    """Return the division that ``bin(column;...)`` asks for, or refuse (400, 409)."""
    kind = column.type
    if not (kind.is_number or kind.scalar in ("timestamptz", "timestamp")):
        raise conflict(f"Values of {kind.name} can't be put in bins.")
    if len(arguments) != 3 or not arguments[0].isdigit() or len(arguments[0]) > 9:
        raise bad_request("A bin is bin(column;count;min;max).")
    count, low, high = int(arguments[0]), *map(kind.from_text, arguments[1:])
    if count < 1 or not low < high:
        raise bad_request("A bin needs a count above 0 and a min below its max.")
    return Bucket(type=kind, count=count, low=low, high=high)

"""Columns under the names they have in a body, and rows of them in and out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ermpoll.sandbox.errors import conflict
from ermpoll.sandbox.model.model import ColumnDef
from ermpoll.sandbox.model.types import Type
from ermpoll.sandbox.store.journal import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One column as a body has it, with all that reading its values needs."""

    #: Its name in the body.
    name: str
    column: ColumnDef
    type: Type
    #: What is kept where a JSON row lacks the name.
    absent: Any
    #: From what is kept, if it is not NULL, to JSON; None: as it is.
    write: Callable[[Any], Any] | None


def field_of(column: ColumnDef, name: str | None = None) -> Field:
    """Return the field of a column, under its own name or another."""
    kind = column.type
    return Field(
        name=column.name if name is None else name,
        column=column,
        type=kind,
        absent="[]" if kind.array else None,
        write=kind.writer,
    )


class Body(Protocol):
    """The rows of a request."""

    def kept(self, fields: Sequence[Field], others: Iterable[str]) -> list[Image]:
        """Return what is kept for each row, by the fields' names.

        CSV must have every field, and may have the `others`; JSON need not and may
        have anything.
        """


def staged(
    body: Body, fields: Sequence[Field], others: Iterable[str] = ()
) -> list[Image]:
    """Return the rows of a body, or refuse: 400 for bad values, then 409 for NULLs."""
    rows = body.kept(fields, others)
    for item in fields:
        if not item.column.nullok and any(row[item.name] is None for row in rows):
            raise conflict(f"The column {item.column.name} can't be NULL.")
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenRows:
    """The rows of an answer, in lists of which each has fields of its own."""

    parts: tuple[tuple[Sequence[Field], list[Image]], ...]

    def fields(self) -> Sequence[Field]:
        """Return the fields of the answer: those of the widest list."""
        return max((fields for fields, _ in self.parts), key=len, default=())

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows with values as JSON."""
        return [
            _as_json(fields, image) for fields, images in self.parts for image in images
        ]


def _as_json(fields: Sequence[Field], image: Image) -> dict[str, Any]:
    row = {}
    for item in fields:
        kept = image[item.name]
        row[item.name] = (
            kept if kept is None or item.write is None else item.write(kept)
        )
    return row

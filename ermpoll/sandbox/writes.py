"""What POST and PUT of entities do, after the address was understood.

Each kind of write is prepared once for an address (names, rights on columns) and then
run on the rows of a body inside a transaction. Updates and deletes stand in `updates`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ermpoll.sandbox import syntax
from ermpoll.sandbox.journal import Image
from ermpoll.sandbox.model import Column, Model, Table
from ermpoll.sandbox.paths import resolve
from ermpoll.sandbox.refusals import conflict, forbidden, malformed
from ermpoll.sandbox.rows import Transaction

#: A body's row as it came: from JSON, or from CSV with every value as text.
BodyRow = dict[str, Any]
_OVERRIDABLE = ("RID", "RCT", "RCB")


class Body(Protocol):
    """The rows of a request."""

    def rows(self, names: Sequence[str], optional: Sequence[str]) -> list[BodyRow]:
        """Return the rows; CSV must have all of `names` and none beyond `optional`."""

    def kept(self, column: Column, row: BodyRow, name: str) -> Any:
        """Return what is kept for the value a row has under `name`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The rows of the answer, in lists that share their columns."""

    #: For each list: name in the answer, column, and the rows by column name.
    parts: tuple[tuple[tuple[tuple[str, Column], ...], list[Image]], ...]

    def columns(self) -> tuple[tuple[str, Column], ...]:
        """Return the columns of the answer: those of the widest list."""
        return max((columns for columns, _ in self.parts), key=len, default=())

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows with values as JSON."""
        return [
            {name: column.type.to_json(image[name]) for name, column in columns}
            for columns, images in self.parts
            for image in images
        ]


def _named(columns: Iterable[Column]) -> tuple[tuple[str, Column], ...]:
    return tuple((column.name, column) for column in columns)


def only_table(query: syntax.Query, model: Model) -> Table:
    """Return the one table that a path for writing may have, or refuse (400)."""
    if len(query.path) > 1:
        raise malformed("A path for writing is one table, without filters and links.")
    return resolve(query.path, model).current.table


def not_null(column: Column, kept: Any) -> Any:
    """Return a value, or refuse (409) NULL where the column can't hold it."""
    if kept is None and not column.nullok:
        raise conflict(f"The column {column.name} can't be NULL.")
    return kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Insert:
    """POST of entities."""

    table: Table
    defaults: frozenset[str]
    nondefaults: frozenset[str]
    skip: bool

    def run(self, work: Transaction, body: Body) -> Written:
        """Insert the rows, or refuse and insert none."""
        columns = self.table.columns.values()
        free = [c.name for c in columns if not self._is_filled(c)]
        images = [
            self._image(work, body, row)
            for row in body.rows(free, list(self.table.columns))
        ]
        if self.skip:
            self._check_repeats(images)
        done = [
            image for image in images if work.insert(self.table, image, skip=self.skip)
        ]
        work.check_references(self.table, done, self.table.columns)
        return Written(parts=((_named(columns), done),))

    def _is_filled(self, column: Column) -> bool:
        if column.is_system:
            return column.name not in self.nondefaults
        return column.name in self.defaults

    def _image(self, work: Transaction, body: Body, row: BodyRow) -> Image:
        return {
            name: not_null(
                column,
                self._filled(work, column)
                if self._is_filled(column)
                else body.kept(column, row, name),
            )
            for name, column in self.table.columns.items()
        }

    def _filled(self, work: Transaction, column: Column) -> Any:
        if column.name == "RID":
            return work.catalog.new_rid()
        if column.is_system:
            return work.now if column.name in ("RCT", "RMT") else work.who
        if column.type.is_serial:
            return work.serial(column)
        if column.default is None:
            return None
        return column.type.from_json(column.default)

    def _check_repeats(self, images: Sequence[Image]) -> None:
        for key in self.table.keys:
            check_unique(
                [tuple(image[name] for name in key.columns) for image in images]
            )


def check_unique(keys: Sequence[tuple[Any, ...]]) -> None:
    """Refuse (400) two input rows with one key; those with a NULL are not seen."""
    whole = [key for key in keys if None not in key]
    if len(set(whole)) != len(whole):
        raise malformed("Two rows of the input have the same key.")


def insert(query: syntax.Query, model: Model) -> Insert:
    """Return the insert that a POST asks for, or refuse."""
    table = only_table(query, model)
    defaults = query.option("defaults") or ()
    nondefaults = query.option("nondefaults") or ()
    for name in (*defaults, *nondefaults):
        table.column(name)
    for name in nondefaults:
        if table.columns[name].is_system and name not in _OVERRIDABLE:
            raise forbidden(f"The column {name} can't be set.")
    conflicts = query.option("onconflict") or ("abort",)
    if conflicts not in (("abort",), ("skip",)):
        raise malformed("onconflict is abort or skip.")
    return Insert(
        table=table,
        defaults=frozenset(defaults),
        nondefaults=frozenset(nondefaults),
        skip=conflicts == ("skip",),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Upsert:
    """PUT of entities: update by all key columns, or insert."""

    table: Table
    keys: tuple[Column, ...]
    others: tuple[Column, ...]

    def run(self, work: Transaction, body: Body) -> Written:
        """Write the rows, or refuse and write none."""
        columns = (*self.keys, *self.others)
        names = [column.name for column in columns]
        images = [
            {c.name: not_null(c, body.kept(c, row, c.name)) for c in columns}
            for row in body.rows(names, list(self.table.columns))
        ]
        check_unique([self._key(image) for image in images])
        found = [work.select(self.table, self.keys, self._key(item)) for item in images]
        pairs = [
            (before, image)
            for image, matches in zip(images, found, strict=True)
            for before in matches
        ]
        afters = [work.update(self.table, before, image) for before, image in pairs]
        new = [item for item, matches in zip(images, found, strict=True) if not matches]
        whole = [self._insert(work, image) for image in new]
        work.check_references(self.table, [*afters, *whole], names)
        work.settle_updated(self.table, [before for before, _ in pairs], afters)
        return Written(
            parts=(
                (self._in_order(system=False), afters),
                (self._in_order(system=True), whole),
            )
        )

    def _in_order(self, *, system: bool) -> tuple[tuple[str, Column], ...]:
        columns = self.table.columns.values()
        return _named(column for column in columns if system or not column.is_system)

    def _key(self, image: Image) -> tuple[Any, ...]:
        return tuple(image[column.name] for column in self.keys)

    def _insert(self, work: Transaction, image: Image) -> Image:
        system = {
            "RID": work.catalog.new_rid(),
            "RCT": work.now,
            "RMT": work.now,
            "RCB": work.who,
            "RMB": work.who,
        }
        whole = {name: {**system, **image}[name] for name in self.table.columns}
        work.insert(self.table, whole)
        return whole


def upsert(query: syntax.Query, model: Model) -> Upsert:
    """Return the upsert that a PUT of entities asks for, or refuse."""
    table = only_table(query, model)
    names = {name for key in table.keys for name in key.columns}
    columns = [column for column in table.columns.values() if not column.is_system]
    keys = tuple(column for column in columns if column.name in names)
    if not keys:
        raise conflict(f"The table {table.title} has no key but RID.")
    others = tuple(column for column in columns if column.name not in names)
    return Upsert(table=table, keys=keys, others=others)

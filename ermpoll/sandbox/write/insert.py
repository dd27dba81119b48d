"""What POST and PUT of entities do, after the address was understood.

Each kind of write is prepared once for an address (names, rights on columns) and then
run on the rows of a body inside a transaction. Updates and deletes stand in `updates`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ermpoll.sandbox.errors import bad_request, conflict, forbidden
from ermpoll.sandbox.model.model import ColumnDef, Model, TableDef
from ermpoll.sandbox.query import syntax
from ermpoll.sandbox.query.joins import resolve
from ermpoll.sandbox.store.journal import Image
from ermpoll.sandbox.write.fields import Body, Field, WrittenRows, field_of, staged
from ermpoll.sandbox.write.rows import Transaction

_OVERRIDABLE = ("RID", "RCT", "RCB")


def only_table(query: syntax.DataQuery, model: Model) -> TableDef:
    """Return the one table that a path for writing may have, or refuse (400)."""
    if len(query.path) > 1:
        raise bad_request("A path for writing is one table, without filters and links.")
    return resolve(query.path, model).current.table


@dataclass(frozen=True, slots=True, kw_only=True)
class Insert:
    """POST of entities."""

    table: TableDef
    #: The columns that the body gives, and those that the server fills.
    given: tuple[Field, ...]
    filled: tuple[Field, ...]
    skip: bool

    def run(self, work: Transaction, body: Body) -> WrittenRows:
        """Insert the rows, or refuse and insert none."""
        names = self.table.columns
        rows = staged(body, self.given, names)
        images = [self._completed(work, row) for row in rows]
        check_unique([tuple(row[name] for name in self._key_names()) for row in rows])
        found = [work.insert(self.table, image, skip=self.skip) for image in images]
        done = [image for image in found if image is not None]
        work.check_references(self.table, done, names)
        fields = [field_of(column) for column in names.values()]
        return WrittenRows(parts=((fields, done),))

    def _completed(self, work: Transaction, row: Image) -> Image:
        for item in self.filled:
            row[item.name] = self._value(work, item)
        return {name: row[name] for name in self.table.columns}

    def _value(self, work: Transaction, item: Field) -> Any:
        if item.column.is_system:
            return work.system_value(item.name)
        if item.type.is_serial:
            return work.serial(item.column)
        default = item.column.default
        if default is None and not item.column.nullok:
            raise conflict(f"The column {item.name} can't be NULL.")
        return None if default is None else item.type.from_json(default)

    def _key_names(self) -> list[str]:
        """Return the given columns that are part of any key."""
        names = {name for key in self.table.keys for name in key.columns}
        return [item.name for item in self.given if item.name in names]


def check_unique(keys: Sequence[tuple[Any, ...]]) -> None:
    """Refuse (400) two input rows with one key; those with a NULL are not seen."""
    whole = [key for key in keys if key and None not in key]
    if len(set(whole)) != len(whole):
        raise bad_request("Two rows of the input have the same key.")


def insert(query: syntax.DataQuery, model: Model) -> Insert:
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
        raise bad_request("onconflict is abort or skip.")
    fields = [field_of(column) for column in table.columns.values()]
    free = [item for item in fields if _is_given(item.column, defaults, nondefaults)]
    return Insert(
        table=table,
        given=tuple(free),
        filled=tuple(item for item in fields if item not in free),
        skip=conflicts == ("skip",),
    )


def _is_given(
    column: ColumnDef, defaults: Sequence[str], nondefaults: Sequence[str]
) -> bool:
    if column.is_system:
        return column.name in nondefaults
    return column.name not in defaults


@dataclass(frozen=True, slots=True, kw_only=True)
class Upsert:
    """PUT of entities: update by all key columns, or insert."""

    table: TableDef
    keys: tuple[Field, ...]
    others: tuple[Field, ...]

    def run(self, work: Transaction, body: Body) -> WrittenRows:
        """Write the rows, or refuse and write none."""
        fields = (*self.keys, *self.others)
        images = staged(body, fields, self.table.columns)
        check_unique([self._key(image) for image in images])
        columns = [item.column for item in self.keys]
        found = [work.select(self.table, columns, self._key(item)) for item in images]
        pairs = [
            (before, image)
            for image, matches in zip(images, found, strict=True)
            for before in matches
        ]
        afters = [work.update(self.table, before, image) for before, image in pairs]
        new = [item for item, matches in zip(images, found, strict=True) if not matches]
        made = [self._insert(work, image) for image in new]
        whole = [image for image in made if image is not None]
        changed = [item.name for item in fields]
        work.check_references(self.table, [*afters, *whole], changed)
        work.settle_updated(self.table, [before for before, _ in pairs], afters)
        every = [field_of(column) for column in self.table.columns.values()]
        own = [item for item in every if not item.column.is_system]
        return WrittenRows(parts=((own, afters), (every, whole)))

    def _key(self, image: Image) -> tuple[Any, ...]:
        return tuple(image[item.name] for item in self.keys)

    def _insert(self, work: Transaction, image: Image) -> Image | None:
        whole = {
            name: work.system_value(name) if column.is_system else image[name]
            for name, column in self.table.columns.items()
        }
        return work.insert(self.table, whole, skip=True)


def upsert(query: syntax.DataQuery, model: Model) -> Upsert:
    """Return the upsert that a PUT of entities asks for, or refuse."""
    table = only_table(query, model)
    names = {name for key in table.keys for name in key.columns}
    fields = [field_of(c) for c in table.columns.values() if not c.is_system]
    keys = tuple(item for item in fields if item.name in names)
    if not keys:
        raise conflict(f"The table {table.title} has no key but RID.")
    others = tuple(item for item in fields if item.name not in names)
    return Upsert(table=table, keys=keys, others=others)

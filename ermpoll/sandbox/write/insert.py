"""What POST and PUT of entities do, after the address was understood.

Each kind of write is prepared once for an address (names, rights on columns) and then
run on the rows of a body inside a transaction. Updates and deletes stand in `updates`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ermpoll.sandbox.errors import bad_request, conflict
from ermpoll.sandbox.model.acls import Rights
from ermpoll.sandbox.model.model import ColumnDef, TableDef
from ermpoll.sandbox.query import syntax
from ermpoll.sandbox.query.joins import resolve
from ermpoll.sandbox.store.journal import Image
from ermpoll.sandbox.write.fields import Body, Field, WrittenRows, field_of, staged
from ermpoll.sandbox.write.guard import Guard
from ermpoll.sandbox.write.rows import Transaction

_OVERRIDABLE = ("RID", "RCT", "RCB")


def only_table(query: syntax.DataQuery, rights: Rights) -> TableDef:
    """Return the one table that a path for writing may have, or refuse (400)."""
    if len(query.path) > 1:
        raise bad_request("A path for writing is one table, without filters and links.")
    return resolve(query.path, rights, guarded=False).current.table


@dataclass(frozen=True, slots=True, kw_only=True)
class Insert:
    """POST of entities."""

    rights: Rights
    table: TableDef
    #: The columns that the body gives, and those that the server fills.
    given: tuple[Field, ...]
    filled: tuple[Field, ...]
    skip: bool

    def run(self, work: Transaction, body: Body) -> WrittenRows:
        """Insert the rows, or refuse and insert none."""
        names = self.table.columns
        rows = staged(body, self.given, names)
        check_unique([tuple(row[name] for name in self._key_names()) for row in rows])
        Guard(self.rights, self.table).check_insert(work, self.given, rows)
        images = [self._completed(work, row) for row in rows]
        found = [work.insert(self.table, image, skip=self.skip) for image in images]
        done = [image for image in found if image is not None]
        work.check_references(self.table, done, names)
        seen = self.rights.seen_columns(self.table)
        return WrittenRows(parts=(([field_of(column) for column in seen], done),))

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


def insert(query: syntax.DataQuery, rights: Rights) -> Insert:
    """Return the insert that a POST asks for, or refuse."""
    table = only_table(query, rights)
    defaults = query.option("defaults") or ()
    nondefaults = query.option("nondefaults") or ()
    for name in (*defaults, *nondefaults):
        rights.seen_column(table, name)
    for name in nondefaults:
        if table.columns[name].is_system and name not in _OVERRIDABLE:
            raise rights.denial(f"insert access to {name}")
    conflicts = query.option("onconflict") or ("abort",)
    if conflicts not in (("abort",), ("skip",)):
        raise bad_request("onconflict is abort or skip.")
    seen = [column.name for column in rights.seen_columns(table)]
    fields = [field_of(column) for column in table.columns.values()]
    given = [
        item
        for item in fields
        if item.name in seen and _is_given(item.column, defaults, nondefaults)
    ]
    if not given:
        raise conflict("An insert needs a column that is not filled by default.")
    return Insert(
        rights=rights,
        table=table,
        given=tuple(given),
        filled=tuple(item for item in fields if item not in given),
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

    rights: Rights
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
        new = [item for item, matches in zip(images, found, strict=True) if not matches]
        self._check_rights(work, pairs, new)
        changes = [
            {item.name: image[item.name] for item in fields} for _, image in pairs
        ]
        afters = [
            work.update(self.table, before, change)
            for (before, _), change in zip(pairs, changes, strict=True)
        ]
        made = [self._insert(work, image) for image in new]
        whole = [image for image in made if image is not None]
        changed = [item.name for item in fields]
        work.check_references(self.table, [*afters, *whole], changed)
        work.settle_updated(self.table, [before for before, _ in pairs], afters)
        every = [field_of(column) for column in self.rights.seen_columns(self.table)]
        own = [item for item in every if not item.column.is_system]
        return WrittenRows(parts=((own, afters), (every, whole)))

    def _check_rights(
        self,
        work: Transaction,
        pairs: Sequence[tuple[Image, Image]],
        new: Sequence[Image],
    ) -> None:
        guard = Guard(self.rights, self.table)
        if self.others:
            rows = [*new, *(image for _, image in pairs)]
            guard.check_update(work, self.others, rows, pairs)
        if new or not self.others:
            guard.check_insert(work, (*self.keys, *self.others), new)

    def _key(self, image: Image) -> tuple[Any, ...]:
        return tuple(image[item.name] for item in self.keys)

    def _insert(self, work: Transaction, image: Image) -> Image | None:
        whole = {
            name: work.system_value(name) if column.is_system else image.get(name)
            for name, column in self.table.columns.items()
        }
        return work.insert(self.table, whole, skip=True)


def upsert(query: syntax.DataQuery, rights: Rights) -> Upsert:
    """Return the upsert that a PUT of entities asks for, or refuse."""
    table = only_table(query, rights)
    names = {name for key in table.keys for name in key.columns}
    seen = rights.seen_columns(table)
    fields = [field_of(column) for column in seen if not column.is_system]
    keys = tuple(item for item in fields if item.name in names)
    if not keys:
        raise conflict(f"The table {table.title} has no key but RID.")
    others = tuple(item for item in fields if item.name not in names)
    return Upsert(rights=rights, table=table, keys=keys, others=others)

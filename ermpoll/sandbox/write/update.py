"""What PUT of attribute groups and DELETE do, after the address was understood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ermpoll.sandbox.errors import bad_request, conflict, not_found
from ermpoll.sandbox.model.acls import Rights
from ermpoll.sandbox.model.model import ColumnDef, TableDef
from ermpoll.sandbox.query import syntax
from ermpoll.sandbox.query.joins import resolve
from ermpoll.sandbox.store.journal import Image
from ermpoll.sandbox.write.fields import Body, Field, WrittenRows, field_of, staged
from ermpoll.sandbox.write.guard import Guard
from ermpoll.sandbox.write.insert import check_unique, only_table
from ermpoll.sandbox.write.rows import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupUpdate:
    """PUT of an attribute group: update by the group keys, insert nothing."""

    rights: Rights
    table: TableDef
    keys: tuple[Field, ...]
    targets: tuple[Field, ...]

    def run(self, work: Transaction, body: Body) -> WrittenRows:
        """Update the rows that match; input rows that match nothing are passed over."""
        fields = (*self.keys, *self.targets)
        rows = staged(body, fields)
        check_unique([self._key(row) for row in rows])
        columns = [item.column for item in self.keys]
        matched: dict[str, tuple[Image, Image]] = {}
        for row in rows:
            for before in work.select(self.table, columns, self._key(row)):
                matched[before["RID"]] = before, row
        guard = Guard(self.rights, self.table)
        guard.check_update(work, self.targets, rows, list(matched.values()))
        befores = [before for before, _ in matched.values()]
        afters = [
            work.update(self.table, before, self._changes(row))
            for before, row in matched.values()
        ]
        changed = [item.column.name for item in self.targets]
        work.check_references(self.table, afters, changed)
        work.settle_updated(self.table, befores, afters)
        return WrittenRows(parts=((fields, [row for _, row in matched.values()]),))

    def _key(self, row: Image) -> tuple[Any, ...]:
        return tuple(row[item.name] for item in self.keys)

    def _changes(self, row: Image) -> Image:
        return {item.column.name: row[item.name] for item in self.targets}


def update(query: syntax.DataQuery, rights: Rights) -> GroupUpdate:
    """Return the update that a PUT of an attribute group asks for, or refuse."""
    table = only_table(query, rights)
    keys, targets = (
        _targets(query, rights, items) for items in (query.outputs, query.extras)
    )
    if not targets:
        raise bad_request("An update needs group keys and targets.")
    _check_names(table, keys, targets)
    return GroupUpdate(rights=rights, table=table, keys=keys, targets=targets)


def _check_names(
    table: TableDef,
    keys: Sequence[Field],
    targets: Sequence[Field],
) -> None:
    for fields in (keys, targets):
        columns = [item.column.name for item in fields]
        if len(set(columns)) != len(columns):
            raise bad_request("A column stands twice among the keys or the targets.")
    names = [item.name for item in (*keys, *targets)]
    if len(set(names)) != len(names):
        raise conflict("Two columns have the same name in the body.")
    for item in (*keys, *targets):
        if item.name != item.column.name and item.name in table.columns:
            raise conflict(f"The alias {item.name} is a column of the table as well.")


def _targets(
    query: syntax.DataQuery, rights: Rights, items: Sequence[syntax.OutputItem]
) -> tuple[Field, ...]:
    path = resolve(query.path, rights, guarded=False)
    if any(item.function or item.column[-1] == syntax.STAR for item in items):
        raise bad_request("Only columns can be group keys and targets of an update.")
    columns = [path.column(item.column)[1] for item in items]
    return tuple(
        field_of(column, item.alias)
        for item, column in zip(items, columns, strict=True)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """DELETE of entities, or of some of their attributes."""

    rights: Rights
    table: TableDef
    #: Finds the rows, with all their columns.
    sql: str
    parameters: tuple[Any, ...]
    #: The columns to clear, or None: delete the rows.
    columns: tuple[ColumnDef, ...] | None

    def run(self, work: Transaction, body: Body) -> WrittenRows:
        """Delete or clear what the path finds, or refuse (404) when that is nothing."""
        befores = [
            dict(zip(self.table.columns, row, strict=True))
            for row in work.db.execute(self.sql, self.parameters).fetchall()
            if any(value is not None for value in row)
        ]
        guard = Guard(self.rights, self.table)
        if self.columns is None:
            guard.check_rows(work, befores, "delete")
        else:
            fields = [field_of(column) for column in self.columns]
            nothing = {column.name: None for column in self.columns}
            pairs = [(before, nothing) for before in befores]
            guard.check_update(work, fields, [nothing], pairs)
        if not befores:
            raise not_found("No row matches.")
        if self.columns is None:
            for before in befores:
                work.delete(self.table, before)
            work.settle_deleted(self.table, befores)
        else:
            afters = [work.update(self.table, item, nothing) for item in befores]
            work.settle_updated(self.table, befores, afters)
        return WrittenRows(parts=())


def delete(query: syntax.DataQuery, rights: Rights) -> Delete:
    """Return the delete that a path asks for, or refuse."""
    path = resolve(query.path, rights, guarded=False)
    table = path.current.table
    is_whole = query.api == "entity"
    # An unknown column comes before a missing right.
    targets = () if is_whole else _targets(query, rights, query.outputs)
    rights.demand_element(table, None, "delete" if is_whole else "update")
    path.readable_columns(path.current)
    slots = ", ".join(path.current.sql(column) for column in table.columns.values())
    return Delete(
        rights=rights,
        table=table,
        sql=f"SELECT DISTINCT {slots} {path.body}",
        parameters=tuple(path.parameters),
        columns=None if is_whole else _cleared(targets, rights, table),
    )


def _cleared(
    targets: Sequence[Field], rights: Rights, table: TableDef
) -> tuple[ColumnDef, ...]:
    columns = tuple(item.column for item in targets)
    keys = {name for key in table.keys for name in key.columns}
    for column in columns:
        if column.name not in keys:
            decision = rights.data(table, column, "update")
            rights.demand(decision, f"update access to {column.name}")
    if any(column.type.scalar == "json" for column in table.columns.values()):
        raise conflict("Rows with json columns can't be compared.")
    for column in columns:
        if column.name in keys or not column.nullok:
            raise conflict(f"The column {column.name} can't be cleared.")
    return columns

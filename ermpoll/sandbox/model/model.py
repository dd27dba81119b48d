"""The model of one catalog: schemas, tables, columns, keys, foreign keys.

Plain records that one request copies, changes and puts back as a whole, so that a
model in use never changes. How documents describe them is `modeldocs`' affair.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from ermpoll.sandbox.errors import conflict, not_found
from ermpoll.sandbox.model.types import Type, type_named

#: Name and type of the five columns that every table has, in order.
SYSTEM_COLUMNS = {
    "RID": "ermrest_rid",
    "RCT": "ermrest_rct",
    "RMT": "ermrest_rmt",
    "RCB": "ermrest_rcb",
    "RMB": "ermrest_rmb",
}


@dataclass(slots=True, kw_only=True)
class Element:
    """What every element of a model has."""

    rid: str
    comment: str | None = None
    annotations: dict[str, Any] = field(default_factory=dict)
    acls: dict[str, Any] = field(default_factory=dict)
    acl_bindings: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class ColumnDef(Element):
    """A column. `slot` is its name in SQLite, which no client ever chooses."""

    name: str
    typename: str
    slot: str
    nullok: bool = True
    default: Any = None

    @property
    def type(self) -> Type:
        """The column's type."""
        return type_named(self.typename)

    @property
    def is_system(self) -> bool:
        """True for the five columns that the server fills."""
        return self.name in SYSTEM_COLUMNS


@dataclass(slots=True, kw_only=True)
class Key(Element):
    """Columns whose values together are unique."""

    name: str
    columns: list[str]


@dataclass(slots=True, kw_only=True)
class ForeignKey(Element):
    """Columns whose values together are a key of another table, or NULL."""

    name: str
    columns: list[str]
    #: Schema and table that are referenced.
    ref_table: tuple[str, str]
    ref_columns: list[str]
    on_delete: str = "NO ACTION"
    on_update: str = "NO ACTION"


@dataclass(slots=True, kw_only=True)
class TableDef(Element):
    """A table. `slot` is its name in SQLite; its history's ends in ``h``."""

    schema: str
    name: str
    slot: str
    columns: dict[str, ColumnDef] = field(default_factory=dict)
    keys: list[Key] = field(default_factory=list)
    fkeys: list[ForeignKey] = field(default_factory=list)

    @property
    def title(self) -> str:
        """``S:T``, for messages."""
        return f"{self.schema}:{self.name}"

    def column(self, name: str) -> ColumnDef:
        """Return the column of that name, or refuse (409)."""
        try:
            return self.columns[name]
        except KeyError:
            shown = name.replace("\0", "")[:80]
            message = f"The table {self.title} has no column {shown!r}."
            raise conflict(message) from None

    @property
    def slots(self) -> tuple[str, ...]:
        """The SQLite names of all columns, in order."""
        return tuple(column.slot for column in self.columns.values())


@dataclass(slots=True, kw_only=True)
class Schema(Element):
    """A named set of tables."""

    name: str
    tables: dict[str, TableDef] = field(default_factory=dict)

    def table(self, name: str, *, last: bool = False) -> TableDef:
        """Return a table, or refuse: 404 for an address's `last` part, else 409."""
        if name not in self.tables:
            make = not_found if last else conflict
            raise make(f"There is no table {self.name}:{name[:80]}.")
        return self.tables[name]


@dataclass(slots=True, kw_only=True)
class Model:
    """All that a catalog has besides rows."""

    schemas: dict[str, Schema] = field(default_factory=dict)
    annotations: dict[str, Any] = field(default_factory=dict)
    acls: dict[str, Any] = field(default_factory=dict)
    #: Name, description, is_persistent, clone_source as given at creation.
    about: dict[str, Any] = field(default_factory=dict)

    def tables(self) -> Iterator[TableDef]:
        """Yield every table."""
        for schema in self.schemas.values():
            yield from schema.tables.values()

    def schema(self, name: str, *, last: bool = False) -> Schema:
        """Return a schema, or refuse: 404 for an address's `last` part, else 409."""
        if name not in self.schemas:
            make = not_found if last else conflict
            raise make(f"There is no schema {name[:80]!r}.")
        return self.schemas[name]

    def table(self, schema: str, name: str, *, last: bool = False) -> TableDef:
        """Return a table, or refuse as `schema` does."""
        return self.schema(schema).table(name, last=last)

    def find_table(self, name: tuple[str, ...]) -> TableDef:
        """Return the table that ``T`` or ``S:T`` is in data paths, or refuse (409)."""
        if len(name) == 2:
            return self.table(*name)
        found = [table for table in self.tables() if table.name == name[0]]
        if len(found) != 1:
            word = "ambiguous" if found else "unknown"
            raise conflict(f"The table name {name[0][:80]!r} is {word}.")
        return found[0]

    def references_to(self, table: TableDef) -> list[tuple[TableDef, ForeignKey]]:
        """Return each foreign key that references `table`, with the table it is in."""
        target = (table.schema, table.name)
        return [
            (other, fkey)
            for other in self.tables()
            for fkey in other.fkeys
            if fkey.ref_table == target
        ]

    def dump(self) -> str:
        """Return the whole model as the text of a JSON document, for the store."""
        return json.dumps(self, default=_members)

    @classmethod
    def load(cls, text: str) -> Model:
        """Return the model that `dump` described, as records of its own."""
        doc = json.loads(text)
        schemas = {name: _schema(item) for name, item in doc.pop("schemas").items()}
        return cls(schemas=schemas, **doc)


def _members(record: Any) -> dict[str, Any]:
    return {item.name: getattr(record, item.name) for item in fields(record)}


def _schema(doc: dict[str, Any]) -> Schema:
    tables = {name: _table(item) for name, item in doc.pop("tables").items()}
    return Schema(tables=tables, **doc)


def _table(doc: dict[str, Any]) -> TableDef:
    columns = {name: ColumnDef(**item) for name, item in doc.pop("columns").items()}
    keys = [Key(**item) for item in doc.pop("keys")]
    fkeys = [_fkey(item) for item in doc.pop("fkeys")]
    return TableDef(columns=columns, keys=keys, fkeys=fkeys, **doc)


def _fkey(doc: dict[str, Any]) -> ForeignKey:
    schema, table = doc.pop("ref_table")
    return ForeignKey(ref_table=(schema, table), **doc)

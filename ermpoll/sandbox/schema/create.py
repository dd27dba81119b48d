"""From documents to model elements: creating schemas, tables, columns, keys, links.

Works on the copy of a model that a transaction holds, and makes the SQLite tables
along with it. Dropping and altering is `altering`'s affair.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ermpoll.sandbox.errors import bad_request, conflict
from ermpoll.sandbox.model.access import BINDABLE
from ermpoll.sandbox.model.acls import Rights
from ermpoll.sandbox.model.clients import Client
from ermpoll.sandbox.model.model import (
    SYSTEM_COLUMNS,
    ColumnDef,
    Element,
    ForeignKey,
    Key,
    Model,
    Schema,
    TableDef,
)
from ermpoll.sandbox.model.types import type_named
from ermpoll.sandbox.query import policy
from ermpoll.sandbox.schema.checks import (
    check_acls,
    check_link,
    check_rows,
    check_system,
    has_rows,
    names_of,
    without_acls,
)
from ermpoll.sandbox.schema.reader import (
    a_list,
    a_mapping,
    action_of,
    column_names_of,
    common_of,
    constraint_name_of,
    default_name,
    text_of,
    typename_of,
)
from ermpoll.sandbox.store import tables
from ermpoll.sandbox.store.store import CatalogState, Store

#: The ACLs of a foreign key of which nothing else is said.
_OPEN = {"insert": ["*"], "update": ["*"]}


@dataclass(slots=True, kw_only=True)
class Builder:
    """What building works with: the copied model, and where its tables are kept."""

    store: Store
    catalog: CatalogState
    model: Model
    #: Who builds, and so owns what it makes.
    client: Client
    #: Elements with bindings that are checked when all is made: table and element.
    unchecked: list[tuple[TableDef, Element]] = field(default_factory=list)

    @property
    def rights(self) -> Rights:
        """What the client may do with the model as it stands now."""
        return Rights(self.model, self.client)

    def schema(self, doc: Mapping[str, Any]) -> Schema:
        """Make a schema with the tables its document has; their links come later."""
        name = text_of(doc, "schema_name")
        if name in self.model.schemas:
            raise conflict(f"The schema {name!r} exists.")
        self.rights.demand_catalog("create")
        schema = Schema(rid=self.catalog.new_rid(), name=name, **common_of(doc))
        self.model.schemas[name] = schema
        if not self.rights.schema(schema, "owner"):
            schema.acls.setdefault("owner", [self.client.id])
        check_acls(schema, schema.acls)
        return schema

    def table(self, schema: Schema, doc: Mapping[str, Any]) -> TableDef:
        """Make a table with columns and keys; its foreign keys come later."""
        name = text_of(doc, "table_name")
        if doc.get("kind", "table") != "table":
            raise bad_request("Only tables can be made, no views.")
        if name in schema.tables:
            raise conflict(f"The table {schema.name}:{name} exists.")
        if doc.get("schema_name", schema.name) != schema.name:
            raise conflict("The document names another schema than the address.")
        self.rights.demand_element(schema, None, "create")
        table = TableDef(
            rid=self.catalog.new_rid(),
            schema=schema.name,
            name=name,
            slot=self.store.new_slot("t"),
            **common_of(doc),
        )
        self._fill(table, doc)
        schema.tables[name] = table
        if not self.rights.table(table, "owner"):
            table.acls.setdefault("owner", [self.client.id])
        tables.make_table(self.store.db, table)
        for element in (table, *table.columns.values()):
            self._check_later(table, element)
        return table

    def _fill(self, table: TableDef, doc: Mapping[str, Any]) -> None:
        """Make the columns and keys that a table's document has."""
        for item in a_list(doc.get("column_definitions")):
            column = self.column(a_mapping(item))
            if column.name in table.columns:
                raise bad_request(f"The column {column.name!r} stands twice.")
            table.columns[column.name] = column
        check_system(table)
        for item in a_list(doc.get("keys")):
            table.keys.append(self.key(table, a_mapping(item)))
        if not any(key.columns == ["RID"] for key in table.keys):
            raise bad_request("A table needs a key on RID.")

    def finish(self) -> None:
        """Check what could not be checked before all was made, or refuse (400, 409).

        A binding may go by a foreign key that the same request makes.
        """
        for table, element in self.unchecked:
            element.acl_bindings = self.bindings(table, element, element.acl_bindings)
        self.unchecked.clear()

    def _check_later(self, table: TableDef, element: Element) -> None:
        check_acls(element, element.acls)
        if element.acl_bindings:
            self.unchecked.append((table, element))

    def bindings(
        self, table: TableDef, element: Element, docs: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the bindings that an element is given, or refuse (400, 409)."""
        return {
            name: self.binding(table, element, doc)
            for name, doc in docs.items()
            if doc is not None
        }

    def binding(self, table: TableDef, element: Element, doc: Any) -> Any:
        """Return a binding of an element with all its members, or refuse (400, 409).

        False is one as well: it hides a binding of the table from a part of it.
        """
        if doc is False:
            return False
        if isinstance(element, ForeignKey):
            table = self.model.table(*element.ref_table)
        return policy.completed(self.rights, table, BINDABLE[type(element)], doc)

    def column(self, doc: Mapping[str, Any]) -> ColumnDef:
        """Return a new column, not yet part of a table."""
        name = text_of(doc, "name")
        kind = type_named(typename_of(doc))
        nullok = doc.get("nullok", True)
        if not isinstance(nullok, bool | None):
            raise bad_request("nullok must be true or false.")
        default = doc.get("default")
        if default is not None and name not in SYSTEM_COLUMNS:
            kind.from_json(default)
        return ColumnDef(
            rid=self.catalog.new_rid(),
            name=name,
            typename=kind.name,
            slot=self.store.new_slot("c"),
            nullok=nullok is not False,
            default=None if name in SYSTEM_COLUMNS else default,
            **common_of(doc),
        )

    def key(self, table: TableDef, doc: Mapping[str, Any]) -> Key:
        """Return a new key of `table`, not yet part of it."""
        columns = column_names_of(doc.get("unique_columns"))
        for name in columns:
            if name not in table.columns:
                raise bad_request(f"The table {table.title} has no column {name!r}.")
        if any(set(key.columns) == set(columns) for key in table.keys):
            raise conflict("There is a key on these columns.")
        for name in columns:
            kind = table.columns[name].type
            if kind.scalar == "json":
                raise conflict(f"A column of type {kind.name} can't be in a key.")
        return Key(
            rid=self.catalog.new_rid(),
            name=self._constraint(table, doc, columns, "key"),
            columns=columns,
            **without_acls(common_of(doc)),
        )

    def fkey(self, table: TableDef, doc: Mapping[str, Any]) -> ForeignKey:
        """Return a new foreign key of `table`, not yet part of it."""
        own = [a_mapping(item) for item in a_list(doc.get("foreign_key_columns"))]
        far = [a_mapping(item) for item in a_list(doc.get("referenced_columns"))]
        columns = names_of(table, [item.get("column_name") for item in own])
        if not far:
            raise bad_request("A foreign key needs referenced columns.")
        schema_name = far[0].get("schema_name", table.schema)
        table_name = far[0].get("table_name", table.name)
        target = self.model.table(schema_name, table_name)
        ref_columns = names_of(target, [item.get("column_name") for item in far])
        if not any(set(key.columns) == set(ref_columns) for key in target.keys):
            raise conflict("The referenced columns are no key.")
        if len(ref_columns) != len(columns):
            raise conflict("A foreign key needs as many referenced columns as own.")
        check_link(table, columns, target, ref_columns)
        said = common_of(doc)
        return ForeignKey(
            rid=self.catalog.new_rid(),
            name=self._constraint(table, doc, columns, "fkey"),
            columns=columns,
            ref_table=(target.schema, target.name),
            ref_columns=ref_columns,
            on_delete=action_of(doc, "on_delete"),
            on_update=action_of(doc, "on_update"),
            **{**said, "acls": {**_OPEN, **said.get("acls", {})}},
        )

    def add_fkeys(self, table: TableDef, docs: Iterable[Any]) -> list[ForeignKey]:
        """Add foreign keys to `table`; refuse (409) when its rows don't obey them."""
        docs = list(docs)
        if docs:
            self.rights.demand_element(table, None, "owner")
        made = []
        for doc in docs:
            fkey = self.fkey(table, a_mapping(doc))
            check_rows(self.store.db, self.model, table, fkey)
            table.fkeys.append(fkey)
            self._check_later(table, fkey)
            made.append(fkey)
        return made

    def add_key(self, table: TableDef, doc: Mapping[str, Any]) -> Key:
        """Add a key to a table that is there; refuse (409) when its rows repeat."""
        self.rights.demand_element(table, None, "owner")
        key = self.key(table, doc)
        try:
            tables.make_key(self.store.db, table, key)
        except sqlite3.IntegrityError as error:
            raise conflict("Rows of the table repeat these columns.") from error
        table.keys.append(key)
        return key

    def add_column(self, table: TableDef, doc: Mapping[str, Any]) -> ColumnDef:
        """Add a column to a table that is there; its rows get the default."""
        self.rights.demand_element(table, None, "owner")
        column = self.column(doc)
        if column.name in table.columns:
            raise conflict(f"The column {column.name!r} exists.")
        table.columns[column.name] = column
        self._check_later(table, column)
        tables.make_column(self.store.db, table, column)
        if column.default is not None:
            # Its rows become new versions, by whoever made the column.
            names = ("RMT", "RMB", column.name)
            sets = ", ".join(f"{table.columns[name].slot} = ?" for name in names)
            kept = column.type.from_json(column.default)
            self.store.db.execute(
                f"UPDATE {table.slot} SET {sets}",
                [self.store.clock.last, self.client.id, kept],
            )
        elif not column.nullok and has_rows(self.store.db, table):
            raise conflict("The table has rows, which would be NULL there.")
        return column

    def constraints(self, table: TableDef) -> set[str]:
        """Return the names of the constraints in the schema of `table`."""
        tables = [table, *self.model.schemas[table.schema].tables.values()]
        keys = {key.name for other in tables for key in other.keys}
        return keys | {fkey.name for other in tables for fkey in other.fkeys}

    def _constraint(
        self,
        table: TableDef,
        doc: Mapping[str, Any],
        columns: Sequence[str],
        suffix: str,
    ) -> str:
        taken = self.constraints(table)
        given = constraint_name_of(doc)
        if given in taken:
            raise conflict(f"The constraint {given!r} exists.")
        if given is not None:
            return given
        number, name = 0, default_name([table.name, *columns, suffix])
        while name in taken:
            number += 1
            name = default_name([table.name, *columns, f"{suffix}{number}"])
        return name

"""Altering and dropping model elements, with what hangs on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ermpoll.sandbox.errors import HttpError, conflict
from ermpoll.sandbox.model.model import (
    ColumnDef,
    ForeignKey,
    Key,
    Model,
    Schema,
    TableDef,
)
from ermpoll.sandbox.model.types import Type, type_named
from ermpoll.sandbox.schema.address import Place
from ermpoll.sandbox.schema.checks import check_acls
from ermpoll.sandbox.schema.create import Builder
from ermpoll.sandbox.schema.reader import (
    action_of,
    common_of,
    constraint_name_of,
    text_of,
)
from ermpoll.sandbox.store import tables


def alter(builder: Builder, place: Place, doc: Mapping[str, Any]) -> None:
    """Change what the document names of an element; absent members stay."""
    for element in place.elements:
        _demand_owner(builder, place, element)
        _alter_common(builder, place, element, doc)
        if isinstance(element, Schema):
            _rename_schema(builder.model, element, doc)
        elif isinstance(element, TableDef):
            if doc.get("table_name", element.name) != element.name:
                raise conflict("Renaming a table fails at this version of the service.")
            _move_table(builder, element, doc)
        elif isinstance(element, ColumnDef) and place.table:
            _alter_column(builder, place.table, element, doc)
        elif place.table:
            _alter_constraint(builder, place.table, element, doc)


def _demand_owner(builder: Builder, place: Place, element: Any) -> None:
    builder.rights.demand_element(element, place.table, "owner")


def _alter_common(
    builder: Builder, place: Place, element: Any, doc: Mapping[str, Any]
) -> None:
    said = common_of(doc)
    table = place.table or element
    for name, value in said.items():
        if name == "acls":
            check_acls(element, value)
        elif name == "acl_bindings":
            value = builder.bindings(table, element, value)
        setattr(element, name, value)
    if "acls" in said:
        _demand_owner(builder, place, element)
    if "comment" in doc and doc["comment"] is None:
        element.comment = None


def _rename_schema(model: Model, schema: Schema, doc: Mapping[str, Any]) -> None:
    if doc.get("schema_name", schema.name) == schema.name:
        return
    old, new = schema.name, text_of(doc, "schema_name")
    if new in model.schemas:
        raise conflict(f"The schema {new!r} exists.")
    del model.schemas[old]
    model.schemas[new] = schema
    schema.name = new
    for table in schema.tables.values():
        table.schema = new
    for table in model.tables():
        for fkey in table.fkeys:
            if fkey.ref_table[0] == old:
                fkey.ref_table = (new, fkey.ref_table[1])


def _move_table(builder: Builder, table: TableDef, doc: Mapping[str, Any]) -> None:
    """Put a table into another schema, and let what refers to it follow."""
    old, new = table.schema, doc.get("schema_name", table.schema)
    if new == old:
        return
    target = builder.rights.seen_schema(str(new))
    if table.name in target.tables:
        raise conflict(f"The table {new}:{table.name} exists.")
    for _, fkey in builder.model.references_to(table):
        fkey.ref_table = (target.name, table.name)
    del builder.model.schemas[old].tables[table.name]
    target.tables[table.name] = table
    table.schema = target.name


def _alter_constraint(
    builder: Builder, table: TableDef, element: Key | ForeignKey, doc: Mapping[str, Any]
) -> None:
    name = constraint_name_of(doc) or element.name
    if name in builder.constraints(table) - {element.name}:
        raise conflict(f"The constraint {name!r} exists.")
    element.name = name
    if isinstance(element, ForeignKey):
        for action in ("on_delete", "on_update"):
            if action in doc:
                setattr(element, action, action_of(doc, action))


def _alter_column(
    builder: Builder, table: TableDef, column: ColumnDef, doc: Mapping[str, Any]
) -> None:
    if column.is_system and {"name", "type", "nullok", "default"} & set(doc):
        _check_same(column, doc)
        return
    if doc.get("name", column.name) != column.name:
        _rename_column(builder.model, table, column, text_of(doc, "name"))
    if isinstance(doc.get("type"), dict):
        _retype(builder, table, column, str(doc["type"].get("typename")))
    if "default" in doc:
        if doc["default"] is not None:
            column.type.from_json(doc["default"])
        column.default = doc["default"]
    if isinstance(doc.get("nullok"), bool):
        column.nullok = doc["nullok"]
        if (
            not column.nullok
            and builder.store.db.execute(
                f"SELECT 1 FROM {table.slot} WHERE {column.slot} IS NULL LIMIT 1"
            ).fetchone()
        ):
            raise conflict("The table has rows that are NULL there.")


def _check_same(column: ColumnDef, doc: Mapping[str, Any]) -> None:
    kind = doc.get("type")
    same = (
        doc.get("name", column.name) == column.name
        and (not isinstance(kind, dict) or kind.get("typename") == column.typename)
        and doc.get("nullok", column.nullok) == column.nullok
    )
    if not same:
        raise conflict("A system column can't be altered.")


def _rename_column(model: Model, table: TableDef, column: ColumnDef, new: str) -> None:
    old = column.name
    if new in table.columns:
        raise conflict(f"The column {new!r} exists.")
    column.name = new
    table.columns = {item.name: item for item in table.columns.values()}
    for key in table.keys:
        key.columns = [new if name == old else name for name in key.columns]
    for fkey in table.fkeys:
        fkey.columns = [new if name == old else name for name in fkey.columns]
    for _, fkey in model.references_to(table):
        fkey.ref_columns = [new if name == old else name for name in fkey.ref_columns]


def _retype(builder: Builder, table: TableDef, column: ColumnDef, name: str) -> None:
    """Convert the values of a column by way of their text."""
    kind = type_named(name)
    if kind == column.type:
        return
    if kind.array != column.type.array:
        raise conflict(f"Values of {column.typename} can't become {kind.name}.")
    db, old = builder.store.db, column.slot
    values = [
        (_converted(column, kind, kept), row)
        for row, kept in db.execute(f"SELECT rowid, {old} FROM {table.slot}").fetchall()
    ]
    # The past goes on showing the column as it was.
    column.slot = builder.store.new_slot("c")
    column.typename = kind.name
    tables.replace_column(db, table, column, old, values)


def _converted(column: ColumnDef, kind: Type, kept: Any) -> Any:
    if kept is None:
        return None
    if not kind.array and kind.scalar == "text":
        return kind.from_json(column.type.to_text(kept))
    return kind.from_json(column.type.to_json(kept))


def drop(builder: Builder, place: Place) -> None:
    """Take an element out of the model; its old rows stay in the history."""
    for element in place.elements:
        _demand_owner(builder, place, element)
        if isinstance(element, Schema):
            if element.tables:
                raise conflict(f"The schema {element.name} has tables.")
            del builder.model.schemas[element.name]
        elif isinstance(element, TableDef):
            _check_unreferenced(builder.model, element, None)
            del builder.model.schemas[element.schema].tables[element.name]
        elif place.table is not None:
            _drop_part(builder, place.table, element)


def _drop_part(builder: Builder, table: TableDef, element: Any) -> None:
    if isinstance(element, ColumnDef):
        _drop_column(builder, table, element)
    elif isinstance(element, Key):
        _drop_key(builder, table, element)
    else:
        table.fkeys.remove(element)


def _drop_column(builder: Builder, table: TableDef, column: ColumnDef) -> None:
    if column.is_system:
        raise conflict("A system column can't be dropped.")
    for key in [key for key in table.keys if column.name in key.columns]:
        _drop_key(builder, table, key)
    table.fkeys = [fkey for fkey in table.fkeys if column.name not in fkey.columns]
    del table.columns[column.name]


def _drop_key(builder: Builder, table: TableDef, key: Key) -> None:
    if key.columns == ["RID"]:
        # The real service takes this and then fails for good; nobody wants that.
        raise conflict("The key on RID can't be dropped.")
    _check_unreferenced(builder.model, table, key)
    tables.drop_key(builder.store.db, table, key)
    table.keys.remove(key)


def _check_unreferenced(model: Model, table: TableDef, key: Key | None) -> None:
    for other, fkey in model.references_to(table):
        if key is None and other is not table:
            raise conflict(f"{other.title} references the table ({fkey.name}).")
        if key is not None and set(fkey.ref_columns) == set(key.columns):
            raise conflict(f"{other.title} references the key ({fkey.name}).")


def forget_broken_bindings(builder: Builder) -> None:
    """Take away the bindings that go by what is no longer there."""
    for table in builder.model.tables():
        for element in (table, *table.columns.values(), *table.fkeys):
            for name, binding in list(element.acl_bindings.items()):
                try:
                    builder.binding(table, element, binding)
                except HttpError:
                    del element.acl_bindings[name]

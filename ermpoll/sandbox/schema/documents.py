"""The model documents that a catalog answers with.

Reads a model and writes JSON; changes nothing. What a client may not enumerate is
left out, ACLs are for owners, and `rights` says what the client may do.
"""

from __future__ import annotations

from typing import Any

from ermpoll.sandbox.model.acls import Rights
from ermpoll.sandbox.model.model import (
    ColumnDef,
    ForeignKey,
    Key,
    Schema,
    TableDef,
)

#: The SQL that a real service shows as the defaults of the system columns.
_DEFAULTS = {
    "RID": "_ermrest.urlb32_encode(nextval('_ermrest.rid_seq'::regclass))",
    "RCT": "now()",
    "RMT": "now()",
    "RCB": "_ermrest.current_client()",
    "RMB": "_ermrest.current_client()",
}


def _common(
    rights: Rights, element: Any, table: TableDef | None = None
) -> dict[str, Any]:
    doc: dict[str, Any] = {
        "RID": element.rid,
        "comment": element.comment,
        "annotations": element.annotations,
        "rights": rights.summary(element, table),
    }
    if rights.decide(element, table, "owner"):
        doc["acls"] = element.acls
        if not isinstance(element, Schema):
            doc["acl_bindings"] = element.acl_bindings
    return doc


def column_doc(
    rights: Rights, table: TableDef, column: ColumnDef, *, fresh: bool = False
) -> dict[str, Any]:
    """Return the document of a column; `fresh`: as the answer to its creation."""
    default = column.default
    if column.is_system and not fresh:
        default = _DEFAULTS[column.name]
    return {
        **_common(rights, column, table),
        "name": column.name,
        "type": column.type.doc(brief=fresh),
        "default": default,
        "nullok": column.nullok,
    }


def key_doc(table: TableDef, key: Key) -> dict[str, Any]:
    """Return the document of a key."""
    return {
        "RID": key.rid,
        "comment": key.comment,
        "annotations": key.annotations,
        "unique_columns": key.columns,
        "names": [[table.schema, key.name]],
    }


def fkey_doc(rights: Rights, table: TableDef, fkey: ForeignKey) -> dict[str, Any]:
    """Return the document of a foreign key."""
    schema, name = fkey.ref_table
    return {
        **_common(rights, fkey, table),
        "foreign_key_columns": [
            _place(table.schema, table.name, column) for column in fkey.columns
        ],
        "referenced_columns": [
            _place(schema, name, column) for column in fkey.ref_columns
        ],
        "names": [[table.schema, fkey.name]],
        "on_delete": fkey.on_delete,
        "on_update": fkey.on_update,
    }


def _place(schema: str, table: str, column: str) -> dict[str, str]:
    return {"schema_name": schema, "table_name": table, "column_name": column}


def table_doc(
    rights: Rights, table: TableDef, *, fresh: bool = False
) -> dict[str, Any]:
    """Return the document of a table; `fresh`: as the answer to its creation."""
    return {
        **_common(rights, table),
        "schema_name": table.schema,
        "table_name": table.name,
        "kind": "table",
        "column_definitions": [
            column_doc(rights, table, column, fresh=fresh)
            for column in rights.seen_columns(table)
        ],
        "keys": [key_doc(table, key) for key in table.keys if rights.key(table, key)],
        "foreign_keys": [
            fkey_doc(rights, table, fkey)
            for fkey in table.fkeys
            if rights.fkey(table, fkey, "enumerate")
        ],
    }


def schema_doc(rights: Rights, schema: Schema) -> dict[str, Any]:
    """Return the document of a schema with its tables."""
    return {
        **_common(rights, schema),
        "schema_name": schema.name,
        "tables": {
            name: table_doc(rights, table)
            for name, table in schema.tables.items()
            if rights.table(table, "enumerate")
        },
    }


def catalog_doc(rights: Rights, *, snaptime: str) -> dict[str, Any]:
    """Return what the documents of a catalog and of its model have in common."""
    model = rights.model
    doc: dict[str, Any] = {
        "snaptime": snaptime,
        "annotations": model.annotations,
        "rights": rights.summary(model),
        "features": {},
    }
    if rights.catalog("owner"):
        doc["acls"] = model.acls
    return doc


def model_doc(rights: Rights, *, snaptime: str) -> dict[str, Any]:
    """Return the document of a whole model."""
    return {
        **catalog_doc(rights, snaptime=snaptime),
        "schemas": {
            name: schema_doc(rights, schema)
            for name, schema in rights.model.schemas.items()
            if rights.schema(schema, "enumerate")
        },
    }


def element_doc(rights: Rights, table: TableDef | None, element: Any) -> Any:
    """Return the document of any element below the model."""
    if isinstance(element, Schema):
        return schema_doc(rights, element)
    if isinstance(element, TableDef):
        return table_doc(rights, element)
    assert table is not None
    if isinstance(element, ColumnDef):
        return column_doc(rights, table, element)
    if isinstance(element, ForeignKey):
        return fkey_doc(rights, table, element)
    return key_doc(table, element)

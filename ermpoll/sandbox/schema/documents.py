"""The model documents that a catalog answers with (`ermrest.md` 1.4 has their shape).

Reads a model and writes JSON; changes nothing. `owner` says whether ACLs are shown
and which rights are told.
"""

from __future__ import annotations

from typing import Any

from ermpoll.sandbox.model.model import (
    ColumnDef,
    Element,
    ForeignKey,
    Key,
    Model,
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
_NEVER_INSERTED = ("RMT", "RMB")
_NEVER_UPDATED = ("RID", "RMT", "RCB", "RMB")


def _common(element: Element, owner: bool, *, bindings: bool = True) -> dict[str, Any]:
    doc: dict[str, Any] = {
        "RID": element.rid,
        "comment": element.comment,
        "annotations": element.annotations,
    }
    if owner:
        doc["acls"] = element.acls
        if bindings:
            doc["acl_bindings"] = element.acl_bindings
    return doc


def column_doc(
    column: ColumnDef, owner: bool, *, fresh: bool = False
) -> dict[str, Any]:
    """Return the document of a column; `fresh`: as the answer to its creation."""
    default = column.default
    if column.is_system and not fresh:
        default = _DEFAULTS[column.name]
    return {
        **_common(column, owner),
        "name": column.name,
        "type": column.type.doc(brief=fresh),
        "default": default,
        "nullok": column.nullok,
        "rights": {
            "insert": owner and column.name not in _NEVER_INSERTED,
            "update": owner and column.name not in _NEVER_UPDATED,
            "select": True,
            "delete": owner,
        },
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


def fkey_doc(table: TableDef, fkey: ForeignKey, owner: bool) -> dict[str, Any]:
    """Return the document of a foreign key."""
    schema, name = fkey.ref_table
    doc = _common(fkey, owner)
    if owner:
        doc["acls"] = {"insert": ["*"], "update": ["*"], **fkey.acls}
    return {
        **doc,
        "foreign_key_columns": [
            _place(table.schema, table.name, column) for column in fkey.columns
        ],
        "referenced_columns": [
            _place(schema, name, column) for column in fkey.ref_columns
        ],
        "names": [[table.schema, fkey.name]],
        "on_delete": fkey.on_delete,
        "on_update": fkey.on_update,
        "rights": {"insert": owner, "update": owner},
    }


def _place(schema: str, table: str, column: str) -> dict[str, str]:
    return {"schema_name": schema, "table_name": table, "column_name": column}


def table_doc(table: TableDef, owner: bool, *, fresh: bool = False) -> dict[str, Any]:
    """Return the document of a table; `fresh`: as the answer to its creation."""
    rights = {"insert": owner, "update": owner, "delete": owner, "owner": owner}
    return {
        **_common(table, owner),
        "schema_name": table.schema,
        "table_name": table.name,
        "kind": "table",
        "rights": {**rights, "select": True},
        "column_definitions": [
            column_doc(column, owner, fresh=fresh) for column in table.columns.values()
        ],
        "keys": [key_doc(table, key) for key in table.keys],
        "foreign_keys": [fkey_doc(table, fkey, owner) for fkey in table.fkeys],
    }


def schema_doc(schema: Schema, owner: bool) -> dict[str, Any]:
    """Return the document of a schema with its tables."""
    return {
        **_common(schema, owner, bindings=False),
        "schema_name": schema.name,
        "rights": {"owner": owner, "create": owner},
        "tables": {
            name: table_doc(table, owner) for name, table in schema.tables.items()
        },
    }


def model_doc(model: Model, owner: bool, *, snaptime: str) -> dict[str, Any]:
    """Return the document of a whole model."""
    doc: dict[str, Any] = {
        "snaptime": snaptime,
        "annotations": model.annotations,
        "rights": {"owner": owner, "create": owner},
        "features": {},
        "schemas": {
            name: schema_doc(schema, owner) for name, schema in model.schemas.items()
        },
    }
    if owner:
        doc["acls"] = model.acls
    return doc

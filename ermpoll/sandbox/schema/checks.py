"""What a model, and the rows there are, can bear of what documents ask."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from ermpoll.sandbox.errors import bad_request, conflict
from ermpoll.sandbox.model.access import OPEN_TO_ALL, SUPPORTED
from ermpoll.sandbox.model.model import (
    SYSTEM_COLUMNS,
    Element,
    ForeignKey,
    Model,
    TableDef,
)
from ermpoll.sandbox.schema.reader import column_names_of


def check_link(
    table: TableDef, columns: list[str], target: TableDef, ref_columns: list[str]
) -> None:
    """Refuse (409) a link that is there already, or between types that differ."""
    pairs = set(zip(columns, ref_columns, strict=True))
    for fkey in table.fkeys:
        known = set(zip(fkey.columns, fkey.ref_columns, strict=True))
        if fkey.ref_table == (target.schema, target.name) and known == pairs:
            raise conflict(f"The foreign key {fkey.name} makes that link.")
    for name, ref_name in pairs:
        one, other = table.columns[name].type, target.columns[ref_name].type
        alike = one.scalar == other.scalar or (one.is_number and other.is_number)
        if not alike or one.array != other.array:
            raise conflict(f"{one.name} can't refer to {other.name}.")


def check_acls(element: Element | Model, acls: Mapping[str, Any]) -> None:
    """Refuse ACLs that an element can't have (409) or that are none (400)."""
    for name, members in acls.items():
        if name not in SUPPORTED[type(element)]:
            raise conflict(f"There is no ACL {name[:80]!r} here.")
        if members is None:
            continue
        if not isinstance(members, list) or not all(
            isinstance(item, str) for item in members
        ):
            raise bad_request("An ACL is a list of texts.")
        # Foreign keys may be used by everybody, and nothing else may be written so.
        is_open = name in OPEN_TO_ALL or isinstance(element, ForeignKey)
        if "*" in members and not is_open:
            raise bad_request(f"The ACL {name} can't hold *.")


def names_of(table: TableDef, names: Any) -> list[str]:
    """Return column names of `table` that a document lists once each, or refuse."""
    found = column_names_of(names)
    for name in found:
        table.column(name)
    return found


def without_acls(said: dict[str, Any]) -> dict[str, Any]:
    """Return what a document says of an element that has no ACLs."""
    return {name: said[name] for name in ("comment", "annotations") if name in said}


def check_system(table: TableDef) -> None:
    """Refuse (400) a table without its five system columns."""
    for name, kind in SYSTEM_COLUMNS.items():
        column = table.columns.get(name)
        if column is None or column.typename != kind:
            raise bad_request(f"A table needs the column {name} of type {kind}.")
        if column.nullok and name in ("RID", "RCT", "RMT"):
            raise bad_request(f"The column {name} can't be NULL.")


def check_rows(
    db: sqlite3.Connection, model: Model, table: TableDef, fkey: ForeignKey
) -> None:
    """Refuse (409) a foreign key that rows of its table break."""
    target = model.table(*fkey.ref_table)
    own = [f"a.{table.columns[name].slot}" for name in fkey.columns]
    far = [f"b.{target.columns[name].slot}" for name in fkey.ref_columns]
    filled = " AND ".join(f"{slot} IS NOT NULL" for slot in own)
    equal = " AND ".join(f"{x} = {y}" for x, y in zip(own, far, strict=True))
    if db.execute(
        f"SELECT 1 FROM {table.slot} AS a WHERE {filled} AND NOT EXISTS"
        f" (SELECT 1 FROM {target.slot} AS b WHERE {equal}) LIMIT 1"
    ).fetchone():
        raise conflict("Rows of the table reference what is not there.")


def has_rows(db: sqlite3.Connection, table: TableDef) -> bool:
    """Return whether a table has rows now."""
    found = db.execute(f"SELECT 1 FROM {table.slot} LIMIT 1")
    return found.fetchone() is not None

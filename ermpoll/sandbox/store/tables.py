"""The SQLite tables behind a model's tables, by their slots.

Every table ``t1`` has a twin ``t1h``, which a trigger fills with each row version
that an update or a delete ends; its ``until`` is the time of that write.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from ermpoll.sandbox.model.model import ColumnDef, Key, TableDef


def make_table(db: sqlite3.Connection, table: TableDef) -> None:
    """Make the SQLite tables of `table` and the indexes of its keys and columns."""
    slots = ", ".join(table.slots)
    db.execute(f"CREATE TABLE {table.slot} ({slots})")
    db.execute(f"CREATE TABLE {table.slot}h ({slots}, until)")
    rid = table.columns["RID"].slot
    db.execute(f"CREATE INDEX {table.slot}h_rid ON {table.slot}h ({rid})")
    _make_triggers(db, table)
    for key in table.keys:
        make_key(db, table, key)
    single = {key.columns[0] for key in table.keys if len(key.columns) == 1}
    for column in table.columns.values():
        if column.name not in single:
            make_index(db, table, column)


def make_column(db: sqlite3.Connection, table: TableDef, column: ColumnDef) -> None:
    """Add a column to the SQLite tables of `table`."""
    for slot in (table.slot, f"{table.slot}h"):
        db.execute(f"ALTER TABLE {slot} ADD COLUMN {column.slot}")
    _make_triggers(db, table)
    make_index(db, table, column)


def replace_column(
    db: sqlite3.Connection,
    table: TableDef,
    column: ColumnDef,
    old: str,
    values: Sequence[tuple[Any, int]],
) -> None:
    """Put a column of another type in place of the slot `old`.

    `values` are those of the new one, each with the rowid of its row. Nothing of this
    makes a new version of a row.
    """
    for event in ("update", "delete"):
        db.execute(f"DROP TRIGGER {table.slot}_{event}")
    for slot in (table.slot, f"{table.slot}h"):
        db.execute(f"ALTER TABLE {slot} ADD COLUMN {column.slot}")
    db.executemany(f"UPDATE {table.slot} SET {column.slot} = ? WHERE rowid = ?", values)
    _make_triggers(db, table)
    for key in table.keys:
        if column.name in key.columns:
            drop_key(db, table, key)
            make_key(db, table, key)
    make_index(db, table, column)


def make_index(db: sqlite3.Connection, table: TableDef, column: ColumnDef) -> None:
    """Index a column, if ERMrest would; rows that are alike stand by their RIDs."""
    if column.type.worth_an_index and column.name not in ("RCB", "RMB"):
        slots = f"{column.slot}, {table.columns['RID'].slot}"
        name = f"{table.slot}_{column.slot}"
        db.execute(f"CREATE INDEX {name} ON {table.slot} ({slots})")


def make_key(db: sqlite3.Connection, table: TableDef, key: Key) -> None:
    """Make the columns of `key` unique; sqlite3.IntegrityError if they are not."""
    slots = ", ".join(table.columns[name].slot for name in key.columns)
    db.execute(
        f"CREATE UNIQUE INDEX {_key_index(table, key)} ON {table.slot} ({slots})"
    )


def drop_key(db: sqlite3.Connection, table: TableDef, key: Key) -> None:
    """Let the columns of `key` repeat."""
    db.execute(f"DROP INDEX {_key_index(table, key)}")


def _key_index(table: TableDef, key: Key) -> str:
    return f"{table.slot}_k{key.rid.replace('-', '')}"


def _make_triggers(db: sqlite3.Connection, table: TableDef) -> None:
    # Columns that were dropped are still part of what the past shows.
    columns = db.execute(f"SELECT name FROM pragma_table_info('{table.slot}')")
    names = [name for (name,) in columns.fetchall()]
    slots = ", ".join(names)
    old = ", ".join(f"old.{slot}" for slot in names)
    for event in ("UPDATE", "DELETE"):
        trigger = f"{table.slot}_{event.lower()}"
        db.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        db.execute(
            f"CREATE TRIGGER {trigger} AFTER {event} ON {table.slot} BEGIN"
            f" INSERT INTO {table.slot}h ({slots}, until)"
            f" VALUES ({old}, transaction_time()); END"
        )

"""When a catalog changed, and which versions of its model and rows are still kept.

Times are microseconds since 1970.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from ermpoll.sandbox.model.model import Model, TableDef


def note_change(db: sqlite3.Connection, catalog: str, at: int) -> None:
    """Note that something of a catalog changed at a time."""
    db.execute("INSERT OR IGNORE INTO changes VALUES (?, ?)", (catalog, at))


def last_change(db: sqlite3.Connection, catalog: str, at: int) -> int | None:
    """Return the last change at or before a time, or None before the first."""
    sql = "SELECT max(at) FROM changes WHERE catalog = ? AND at <= ?"
    return _number(db, sql, catalog, at)


def first_change(db: sqlite3.Connection, catalog: str, before: int) -> int | None:
    """Return the first change of all if it was before a time, else None."""
    sql = "SELECT min(at) FROM changes WHERE catalog = ? AND at < ?"
    return _number(db, sql, catalog, before)


def _number(db: sqlite3.Connection, sql: str, *values: Any) -> int | None:
    (found,) = db.execute(sql, values).fetchone()
    return None if found is None else int(found)


def model_at(db: sqlite3.Connection, catalog: str, at: int) -> Model:
    """Return the model that held at a time."""
    (doc,) = db.execute(
        "SELECT doc FROM models WHERE catalog = ? AND at <= ? ORDER BY at DESC LIMIT 1",
        (catalog, at),
    ).fetchone()
    return Model.load(doc)


def model_versions(db: sqlite3.Connection, catalog: str) -> list[tuple[int, Model]]:
    """Return each version of a catalog's model and when it began, newest first."""
    rows = db.execute(
        "SELECT at, doc FROM models WHERE catalog = ? ORDER BY at DESC", (catalog,)
    ).fetchall()
    return [(at, Model.load(doc)) for at, doc in rows]


def keep_model(db: sqlite3.Connection, catalog: str, at: int, model: Model) -> None:
    """Keep a version of a model that begins at a time, in place of one from then on."""
    db.execute(
        "INSERT OR REPLACE INTO models VALUES (?, ?, ?)", (catalog, at, model.dump())
    )


def note_amendment(
    db: sqlite3.Connection, catalog: str, at: int, since: int, until: int
) -> None:
    """Note that a part of the past was changed at a time."""
    row = catalog, at, since, until
    db.execute("INSERT OR REPLACE INTO amendments VALUES (?, ?, ?, ?)", row)


def amended_at(
    db: sqlite3.Connection, catalog: str, since: int, until: int
) -> int | None:
    """Return when something in a part of the past was changed last, or None."""
    sql = "SELECT max(at) FROM amendments WHERE catalog = ? AND since < ? AND until > ?"
    return _number(db, sql, catalog, until, since)


def redact(
    db: sqlite3.Connection,
    table: str,
    column: str,
    filters: Mapping[str, Any],
    period: tuple[str, int, int],
) -> None:
    """Empty a column in the old row versions that lie wholly in a period.

    Parameters
    ----------
    filters
        Columns, and the values that they have in the versions that are meant.
    period
        The column that says when a version began; the period's begin and end.
    """
    since, begin, end = period
    where = "".join(f" AND {name} IS ?" for name in filters)
    db.execute(
        f"UPDATE {table} SET {column} = NULL WHERE {since} >= ? AND until <= ?{where}",
        (begin, end, *filters.values()),
    )


def whereabouts(
    db: sqlite3.Connection, catalog: str, rid: str, at: int
) -> tuple[TableDef, int | None] | None:
    """Return which table has a row at a time, or last had it before.

    With it: when the row went, by itself or with its table; None: it is there.
    """
    ends, seen = at + 1, set[str]()
    gone: tuple[TableDef, int | None] | None = None
    for since, model in model_versions(db, catalog):
        new = [t for t in model.tables() if since <= at and t.slot not in seen]
        for table in new:
            seen.add(table.slot)
            is_there, until = _lifetime(db, table, rid, ends - 1)
            if is_there and ends > at:
                return table, None
            until = ends if is_there else until
            if until is not None and (gone is None or until > (gone[1] or 0)):
                gone = table, until
        ends = since if since <= at else ends
    return gone


def _lifetime(
    db: sqlite3.Connection, table: TableDef, rid: str, at: int
) -> tuple[bool, int | None]:
    """Return whether a table has a row at a time, and when one last went by then."""
    name, since = table.columns["RID"].slot, table.columns["RMT"].slot
    row = f"{name} = ? AND {since} <= ?"
    is_there = _number(
        db,
        f"SELECT (SELECT count(*) FROM {table.slot} WHERE {row}) + (SELECT count(*)"
        f" FROM {table.slot}h WHERE {row} AND until > ?)",
        *(rid, at, rid, at, at),
    )
    sql = f"SELECT max(until) FROM {table.slot}h WHERE {name} = ? AND until <= ?"
    return bool(is_there), _number(db, sql, rid, at)


def truncate(
    db: sqlite3.Connection, catalog: str, until: int, slots: Iterable[str]
) -> None:
    """Forget what was before a time for good; the model of then stays."""
    for slot in slots:
        db.execute(f"DELETE FROM {slot} WHERE until <= ?", (until,))
    arguments: tuple[Any, ...] = (catalog, until)
    db.execute(
        "DELETE FROM models WHERE catalog = ?1 AND at < (SELECT max(at) FROM models"
        " WHERE catalog = ?1 AND at <= ?2)",
        arguments,
    )
    db.execute("DELETE FROM changes WHERE catalog = ? AND at < ?", arguments)

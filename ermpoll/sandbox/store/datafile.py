"""The SQLite file of a sandbox: opened for one process alone, or refused."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ermpoll.errors import ErmpollError

_APPLICATION_ID = 0x45524D50  # "ERMP"
#: Counts up when older data files can't be read any more.
_VERSION = 1
#: SQLite's own 2 MB would spill a busy table's indexes all the time.
_CACHE_KB = 8_192
_SCHEMA = """
CREATE TABLE catalogs (id TEXT PRIMARY KEY, data_at INTEGER, model_at INTEGER,
                       last_rid INTEGER, deleted INTEGER DEFAULT 0);
CREATE TABLE aliases (id TEXT PRIMARY KEY, owner TEXT, target TEXT);
CREATE TABLE models (catalog TEXT, at INTEGER, doc TEXT, PRIMARY KEY (catalog, at));
CREATE TABLE changes (catalog TEXT, at INTEGER, PRIMARY KEY (catalog, at))
    WITHOUT ROWID;
CREATE TABLE amendments (catalog TEXT, at INTEGER, since INTEGER, until INTEGER,
                         PRIMARY KEY (catalog, at));
CREATE TABLE serials (slot TEXT PRIMARY KEY, last INTEGER);
CREATE TABLE log (seq INTEGER PRIMARY KEY, at INTEGER, catalog TEXT, method TEXT,
                  path TEXT, who TEXT, etag TEXT, rows TEXT);
"""


class StoreError(ErmpollError):
    """The data file can't be used."""


class _Unfit(Exception):
    """Why a file is not to be used, as the end of a sentence."""


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Hold one write transaction: committed at the end, undone by any exception."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def opened(path: str | Path | None) -> sqlite3.Connection:
    """Open the data file at `path`, or a temporary one for None.

    Raises
    ------
    StoreError
        When the file can't be read, is not a sandbox's, or another process has it.
    """
    db: sqlite3.Connection | None = None
    try:
        if path is not None:
            # SQLite would make it for all to read.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        db = sqlite3.connect(
            "" if path is None else path,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=1000,
            timeout=0,
        )
        _prepare(db, on_disk=path is not None)
    except (OSError, sqlite3.Error, _Unfit) as error:
        if db is not None:
            db.close()
        raise StoreError(f"The data file {path} {_trouble(error)}") from error
    return db


def _trouble(error: Exception) -> str:
    if "locked" in str(error):
        return "is in use by another process; stop that one or name another file."
    if isinstance(error, _Unfit):
        return f"{error}; name another file, it is left as it is."
    return f"can't be used ({error}); name another file."


def _prepare(db: sqlite3.Connection, *, on_disk: bool) -> None:
    if on_disk:
        # Held from the first statement on, so a second process is refused at once.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
    tables: Iterable[tuple[str]] = db.execute("SELECT name FROM sqlite_master")
    empty = not list(tables)
    if not empty:
        _check(db)
    db.execute(f"PRAGMA journal_mode = {'WAL' if on_disk else 'MEMORY'}")
    db.execute(f"PRAGMA synchronous = {'NORMAL' if on_disk else 'OFF'}")
    db.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
    db.execute("BEGIN EXCLUSIVE")
    if empty:
        db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {_VERSION}")
        for statement in _SCHEMA.split(";"):
            db.execute(statement)
    db.execute("COMMIT")


def _check(db: sqlite3.Connection) -> None:
    """Raise unless the file is whole and one that this version made."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    if application != _APPLICATION_ID:
        raise _Unfit("is not a sandbox's")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version != _VERSION:
        age = "an older" if version < _VERSION else "a newer"
        raise _Unfit(f"was made by {age} ermpoll")
    (state,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if state != "ok":
        raise _Unfit(f"is damaged ({state.splitlines()[0]})")

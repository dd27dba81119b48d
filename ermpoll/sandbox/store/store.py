"""The one SQLite database behind a sandbox, and its transactions.

Owns the file, the catalogs' versions, the RID counter, the models' versions and the
log of writes. Tables and columns are called by numbers in SQLite ("slots"), so no
text of a client ever becomes SQL. It knows nothing of HTTP and of paths.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ermpoll.sandbox.model.clients import Client
from ermpoll.sandbox.model.identifiers import Clock, encode
from ermpoll.sandbox.model.model import Model
from ermpoll.sandbox.store import functions, history
from ermpoll.sandbox.store.datafile import opened, transaction
from ermpoll.sandbox.store.journal import Journal, told

#: All that the file has besides the rows.
_TABLES = (
    "catalogs",
    "aliases",
    "models",
    "changes",
    "amendments",
    "serials",
    "log",
)


@dataclass(slots=True, kw_only=True)
class CatalogState:
    """One catalog's state: what its last committed write left."""

    id: str
    model: Model
    #: Newest change of rows and of the model, in microseconds since 1970.
    data_at: int
    model_at: int
    last_rid: int = 0
    #: Clients known to have been here.
    clients: set[Client] = field(default_factory=set)
    #: Prepared requests by address, for as long as this model holds.
    prepared: dict[Any, Any] = field(default_factory=dict)

    @property
    def changed_at(self) -> int:
        """Newest change of any kind, in microseconds since 1970."""
        return max(self.data_at, self.model_at)

    def new_rid(self) -> str:
        """Return the next RID."""
        self.last_rid += 1
        return encode(self.last_rid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """Another id of a catalog."""

    id: str
    owner: list[str]
    #: The catalog's id; None: there is none yet.
    target: str | None


class Store:
    """A sandbox's database.

    Parameters
    ----------
    path
        The file, made if it is not there; None: a temporary one that ends with this.
    keep_log
        How many writes the log keeps at least; None: all.

    Raises
    ------
    StoreError
        When the file can't be read, is not a sandbox's, or another process has it.
    """

    def __init__(self, path: str | Path | None = None, *, keep_log: int | None = None):
        self.path = path
        self.keep_log = keep_log
        self.deadline = functions.TimeLimit()
        self.db = self._opened()
        newest = self.db.execute(
            "SELECT max(max(data_at, model_at)) FROM catalogs"
        ).fetchone()[0]
        self.clock = Clock(newest or 0)
        self.catalogs = {item.id: item for item in self._load()}
        self.aliases = {item.id: item for item in self._load_aliases()}

    def _opened(self) -> sqlite3.Connection:
        db = opened(self.path)
        functions.register(db, now=lambda: self.clock.last, deadline=self.deadline)
        return db

    def close(self) -> None:
        """Close the database."""
        self.db.close()

    def _load(self) -> Iterator[CatalogState]:
        rows = self.db.execute(
            "SELECT id, data_at, model_at, last_rid FROM catalogs WHERE NOT deleted"
        ).fetchall()
        for name, data_at, model_at, last_rid in rows:
            yield CatalogState(
                id=name,
                model=history.model_at(self.db, name, model_at),
                data_at=data_at,
                model_at=model_at,
                last_rid=last_rid,
            )

    def _load_aliases(self) -> Iterator[Alias]:
        for name, owner, target in self.db.execute("SELECT * FROM aliases").fetchall():
            yield Alias(id=name, owner=json.loads(owner), target=target)

    def keep_alias(self, alias: Alias) -> None:
        """Put an alias in place of the one of that id, if there is one."""
        with transaction(self.db):
            self.db.execute(
                "INSERT OR REPLACE INTO aliases VALUES (?, ?, ?)",
                (alias.id, json.dumps(alias.owner), alias.target),
            )
        self.aliases[alias.id] = alias

    def drop_alias(self, alias: Alias) -> None:
        """Take an alias away; its id is free again."""
        with transaction(self.db):
            self.db.execute("DELETE FROM aliases WHERE id = ?", (alias.id,))
        del self.aliases[alias.id]

    def taken(self, name: str) -> bool:
        """Return whether a catalog of that id is or was there, or an alias is."""
        sql = "SELECT 1 FROM catalogs WHERE id = ?"
        return name in self.aliases or bool(self.db.execute(sql, (name,)).fetchone())

    @contextmanager
    def writing(self, catalog: CatalogState, journal: Journal) -> Iterator[int]:
        """Hold one write transaction; its time, in microseconds, is the value.

        What the block changes is committed when it ends, or forgotten as a whole when
        it raises. Afterwards the catalog's data version is that time.
        """
        before = (catalog.data_at, catalog.last_rid)
        now = self.clock.tick()
        try:
            with transaction(self.db):
                yield now
                catalog.data_at = now
                history.note_change(self.db, catalog.id, now)
                self._keep(catalog)
                self._log(catalog, journal, now)
        except BaseException:
            catalog.data_at, catalog.last_rid = before
            raise

    @contextmanager
    def remodelling(self, catalog: CatalogState, journal: Journal) -> Iterator[Model]:
        """Hold a write transaction around a copy of the model, then put it in place."""
        model_at, data_at, model = catalog.model_at, catalog.data_at, catalog.model
        copy = Model.load(model.dump())
        try:
            with self.writing(catalog, journal) as now:
                yield copy
                catalog.model_at = now
                self.db.execute(
                    "INSERT INTO models VALUES (?, ?, ?)",
                    (catalog.id, now, copy.dump()),
                )
        except BaseException:
            catalog.model_at, catalog.data_at = model_at, data_at
            raise
        catalog.data_at = data_at
        catalog.model = copy
        catalog.prepared.clear()

    def _keep(self, catalog: CatalogState) -> None:
        self.db.execute(
            "INSERT INTO catalogs (id, data_at, model_at, last_rid)"
            " VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO UPDATE SET"
            " data_at = ?2, model_at = ?3, last_rid = ?4",
            (catalog.id, catalog.data_at, catalog.model_at, catalog.last_rid),
        )

    def _log(self, catalog: CatalogState, journal: Journal, now: int) -> None:
        if journal.silent:
            return
        seq = self.db.execute(
            "INSERT INTO log (at, catalog, method, path, who, etag, rows)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                now,
                catalog.id,
                journal.method,
                journal.path,
                journal.who,
                journal.etag_at(now),
                json.dumps(journal.rows),
            ),
        ).lastrowid
        if self.keep_log is not None and seq is not None and seq % 100 == 0:
            self.db.execute("DELETE FROM log WHERE seq <= ?", (seq - self.keep_log,))

    def read_log(self, start: int, limit: int) -> list[list[Any]]:
        """Return the logged writes from number `start` on, at most `limit`.

        Each is ``[seq, at, catalog, method, path, who, etag, rows]``, with the rows as
        `journal.told` tells them.
        """
        writes = self.db.execute(
            "SELECT log.*, max(models.at) FROM log JOIN models"
            " ON models.catalog = log.catalog AND models.at <= log.at"
            " WHERE seq >= ? GROUP BY seq ORDER BY seq LIMIT ?",
            (start, limit),
        ).fetchall()
        versions = {(write[2], write[-1]) for write in writes}
        models = {version: history.model_at(self.db, *version) for version in versions}
        return [
            [*head, [told(models[head[2], at], row) for row in json.loads(rows)]]
            for *head, rows, at in writes
        ]

    def forget(self, catalog: CatalogState) -> None:
        """Delete a catalog and its rows for good; its id stays taken."""
        with transaction(self.db):
            for slot in self._slots(catalog.id):
                self.db.execute(f"DROP TABLE {slot}")
            self.db.execute(
                "UPDATE catalogs SET deleted = 1 WHERE id = ?", (catalog.id,)
            )
        self.catalogs.pop(catalog.id, None)

    def clear(self) -> None:
        """Forget all catalogs, so that their ids are free, and empty the log."""
        self.catalogs.clear()
        self.aliases.clear()
        if self.path is None:
            # A new database is at hand sooner than an old one is emptied.
            self.db.close()
            self.db = self._opened()
            return
        with transaction(self.db):
            for slot in self._slots("%"):
                self.db.execute(f"DROP TABLE {slot}")
            for table in _TABLES:
                self.db.execute(f"DELETE FROM {table}")

    def history_slots(self, catalog: str) -> list[str]:
        """Return the SQLite tables that keep old row versions of a catalog."""
        return [slot for slot in self._slots(catalog) if slot.endswith("h")]

    def _slots(self, catalog: str) -> set[str]:
        """Return the SQLite tables that a catalog has or had; ``%`` is every one."""
        docs = self.db.execute(
            "SELECT doc FROM models WHERE catalog = ?1 OR ?1 = '%'", (catalog,)
        ).fetchall()
        models = [Model.load(doc) for (doc,) in docs]
        slots = {table.slot for model in models for table in model.tables()}
        return slots | {f"{slot}h" for slot in slots}

    def next_serial(self, slot: str) -> int:
        """Return the next number of a serial column."""
        (number,) = self.db.execute(
            "INSERT INTO serials VALUES (?1, 1) ON CONFLICT (slot) DO UPDATE"
            " SET last = last + 1 RETURNING last",
            (slot,),
        ).fetchone()
        return int(number)

    def new_slot(self, letter: str) -> str:
        """Return a new name for a table (``t``) or a column (``c``) in SQLite."""
        return f"{letter}{self.next_serial('slots')}"

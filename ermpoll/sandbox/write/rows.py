"""Insert, update and delete single rows, with all that hangs on them.

The one place that changes rows: it fills the system columns, keeps unique keys and
foreign keys (with their actions), and notes every change in the journal.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ermpoll.sandbox.errors import conflict
from ermpoll.sandbox.model.model import ColumnDef, ForeignKey, TableDef
from ermpoll.sandbox.store.journal import Image, Journal
from ermpoll.sandbox.store.store import CatalogState, Store

#: The audit log of the service, by PL/pgSQL's rules of names, takes a value in a column
#: that is called so for a record of its own, and fails: in new rows, in deleted rows.
_NAMES_IN_THE_WAY = "n", "o"
#: Columns of these names and types take ``{RID}`` for the row's own, once a value.
_TEMPLATE_NAMES = ("ID", "URI", "id", "uri")
_TEMPLATE_TYPES = ("ermrest_curie", "ermrest_uri")


@dataclass(slots=True, kw_only=True)
class Transaction:
    """What a write works with: the open transaction, its time, and who writes."""

    store: Store
    catalog: CatalogState
    journal: Journal
    now: int
    who: str

    @property
    def db(self) -> sqlite3.Connection:
        """The connection that holds the transaction."""
        return self.store.db

    def system_value(self, name: str) -> Any:
        """Return what the server fills a system column of a new row with."""
        if name == "RID":
            return self.catalog.new_rid()
        return self.now if name in ("RCT", "RMT") else self.who

    def serial(self, column: ColumnDef) -> int:
        """Return the next number of a serial column."""
        return self.store.next_serial(column.slot)

    def select(
        self, table: TableDef, columns: Sequence[ColumnDef], values: Sequence[Any]
    ) -> list[Image]:
        """Return the rows whose columns hold `values`; NULL matches NULL."""
        names = tuple(column.slot for column in columns)
        sql = self._statement(_select, table, names)
        found = self.db.execute(sql, values)
        return [dict(zip(table.columns, row, strict=True)) for row in found]

    def insert(
        self, table: TableDef, image: Image, *, skip: bool = False
    ) -> Image | None:
        """Insert one row and return it; with `skip`, None where a key is taken.

        A template in it becomes a value, by default as well as by the body's word.
        """
        image = _expanded(table, image)
        _check_audit(table, image, _NAMES_IN_THE_WAY[0])
        sql = self._statement(_insert, table, ())
        try:
            self.db.execute(sql, list(image.values()))
        except sqlite3.IntegrityError as error:
            if skip:
                return None
            raise _duplicate(table) from error
        self.journal.note(table, None, image)
        return image

    def update(self, table: TableDef, before: Image, changes: Image) -> Image:
        """Change one row and return its new version; RMT and RMB move by themselves."""
        changes = {**changes, "RMT": self.now, "RMB": self.who}
        names = tuple(table.columns[name].slot for name in changes)
        sql = self._statement(_update, table, names)
        try:
            self.db.execute(sql, [*changes.values(), before["RID"]])
        except sqlite3.IntegrityError as error:
            raise _duplicate(table) from error
        after = {**before, **changes}
        _check_audit(table, after, _NAMES_IN_THE_WAY[0])
        self.journal.note(table, before, changes)
        return after

    def delete(self, table: TableDef, before: Image) -> None:
        """Delete one row."""
        _check_audit(table, before, _NAMES_IN_THE_WAY[1])
        rid = table.columns["RID"].slot
        self.db.execute(f"DELETE FROM {table.slot} WHERE {rid} = ?", [before["RID"]])
        self.journal.note(table, before, None)

    def _statement(
        self,
        make: Callable[[TableDef, Sequence[str]], str],
        table: TableDef,
        slots: tuple[str, ...],
    ) -> str:
        """Return what `make` makes; it is made once for as long as the model holds."""
        key = make, table.slot, slots
        sql: str | None = self.catalog.prepared.get(key)
        if sql is None:
            sql = self.catalog.prepared[key] = make(table, slots)
        return sql

    # ---- foreign keys: checked when all rows of a request are written

    def check_references(
        self, table: TableDef, images: Sequence[Image], changed: Iterable[str]
    ) -> None:
        """Refuse (409) rows whose foreign keys, on changed columns, point nowhere."""
        names = set(changed)
        for fkey in [item for item in table.fkeys if names & set(item.columns)]:
            for values in {_values(image, fkey.columns) for image in images}:
                if None not in values and not self._exists(fkey, values):
                    raise conflict(
                        f"The foreign key {fkey.name} of {table.title} finds no row."
                    )

    def _exists(self, fkey: ForeignKey, values: tuple[Any, ...]) -> bool:
        table = self.catalog.model.table(*fkey.ref_table)
        return bool(self._holding(table, fkey.ref_columns, values))

    def _holding(
        self, table: TableDef, names: Sequence[str], values: Sequence[Any]
    ) -> list[Image]:
        return self.select(table, [table.column(name) for name in names], values)

    def settle_deleted(self, table: TableDef, images: Sequence[Image]) -> None:
        """Do what the foreign keys on deleted rows say, or refuse (409)."""
        for other, fkey, values, _ in self._orphans(table, images, None):
            children = self._holding(other, fkey.columns, values)
            if fkey.on_delete == "CASCADE":
                for child in children:
                    self.delete(other, child)
                self.settle_deleted(other, children)
            else:
                self._loosen(other, fkey, children, fkey.on_delete, None)

    def settle_updated(
        self, table: TableDef, befores: Sequence[Image], afters: Sequence[Image]
    ) -> None:
        """Do what the foreign keys on changed keys say, or refuse (409)."""
        for other, fkey, values, new in self._orphans(table, befores, afters):
            children = self._holding(other, fkey.columns, values)
            self._loosen(other, fkey, children, fkey.on_update, new)

    def _orphans(
        self, table: TableDef, befores: Sequence[Image], afters: Sequence[Image] | None
    ) -> Iterator[tuple[TableDef, ForeignKey, tuple[Any, ...], tuple[Any, ...] | None]]:
        """Yield each key that references had and that no row has any more."""
        for other, fkey in self.catalog.model.references_to(table):
            for at, before in enumerate(befores):
                old = _values(before, fkey.ref_columns)
                new = None if afters is None else _values(afters[at], fkey.ref_columns)
                if old == new or None in old:
                    continue
                if not self._exists(fkey, old):
                    yield other, fkey, old, new

    def _loosen(
        self,
        table: TableDef,
        fkey: ForeignKey,
        children: Sequence[Image],
        action: str,
        new: tuple[Any, ...] | None,
    ) -> None:
        if not children:
            return
        if action in ("NO ACTION", "RESTRICT"):
            raise conflict(f"Rows of {table.title} still reference it ({fkey.name}).")
        values = new if action == "CASCADE" and new is not None else None
        changes = {
            name: self._default(table.column(name), action)
            if values is None
            else values[at]
            for at, name in enumerate(fkey.columns)
        }
        afters = [self.update(table, child, changes) for child in children]
        self.check_references(table, afters, fkey.columns)
        self.settle_updated(table, children, afters)

    def _default(self, column: ColumnDef, action: str) -> Any:
        value = None
        if action == "SET DEFAULT" and column.default is not None:
            value = column.type.from_json(column.default)
        if value is None and not column.nullok:
            raise conflict(f"The column {column.name} can't be NULL.")
        return value


def _check_audit(table: TableDef, image: Image, name: str) -> None:
    """Refuse (409) a row that the audit log could not take."""
    if image.get(name) is not None:
        raise conflict(f"The audit log fails on the column {name} of {table.title}.")


def _expanded(table: TableDef, image: Image) -> Image:
    """Return a new row with its RID in the templates of its identifiers."""
    made = {
        name: image[name].replace("{RID}", image["RID"], 1)
        for name in _TEMPLATE_NAMES
        if name in table.columns
        and table.columns[name].typename in _TEMPLATE_TYPES
        and image[name] is not None
    }
    return {**image, **made} if made else image


def _select(table: TableDef, slots: Sequence[str]) -> str:
    where = " AND ".join(f"{slot} IS ?" for slot in slots)
    return f"SELECT {', '.join(table.slots)} FROM {table.slot} WHERE {where}"


def _insert(table: TableDef, slots: Sequence[str]) -> str:
    marks = ", ".join("?" * len(table.slots))
    return f"INSERT INTO {table.slot} ({', '.join(table.slots)}) VALUES ({marks})"


def _update(table: TableDef, slots: Sequence[str]) -> str:
    sets = ", ".join(f"{slot} = ?" for slot in slots)
    return f"UPDATE {table.slot} SET {sets} WHERE {table.columns['RID'].slot} = ?"


def _values(image: Image, names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(image[name] for name in names)


def _duplicate(table: TableDef) -> Exception:
    return conflict(f"A key of {table.title} is taken by another row.")

"""A queue's table in the past: what its columns were called then, and its rows.

And the queue as of a moment: the same object, on the catalog of then.
Columns are known by their RIDs, which stay when a name changes. Rows come back in the
names of today. A change of the model is told, and stops nothing that can go on.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ermpoll.catalog import paths
from ermpoll.catalog.clock import time_text
from ermpoll.catalog.model import Table, table_of
from ermpoll.errors import (
    BadRequest,
    CatalogError,
    Conflict,
    Denied,
    NoHistory,
    NotFound,
)
from ermpoll.history.past import Past, When
from ermpoll.queue.definition import QueueDefinition
from ermpoll.queue.queue import Queue
from ermpoll.records import JSON, Row
from ermpoll.redact import clipped, one_line

#: Rows to a page.
PAGE = 5000
#: Bytes that stand around the RIDs of a filter: a table, times, the order.
AROUND = 600

#: What the catalog answers where a name was another one, or was not there.
_STRANGE = (BadRequest, Conflict, NotFound)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableThen:
    """The queue in the words of one time of the model."""

    definition: QueueDefinition
    #: Name of then to name of today, where they differ.
    renamed: Mapping[str, str]

    @property
    def types(self) -> dict[str, tuple[str, str]]:
        """Each column's name and type, by its name of today; a dropped one's by its."""
        columns = self.definition.table.columns.items()
        return {self.renamed.get(n, n): (n, one.typename) for n, one in columns}

    def old(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return names of today as they were then, without columns not there yet."""
        then = {today: old for old, today in self.renamed.items()}
        names = (then.get(name, name) for name in names)
        return tuple(name for name in names if name in self.definition.table.columns)

    def today(self, row: Row) -> dict[str, JSON]:
        """Return a row of then under the names of today."""
        return {self.renamed.get(name, name): value for name, value in row.items()}


class TablePast:
    """The table of a queue, read at moments of the past."""

    def __init__(self, past: Past, definition: QueueDefinition) -> None:
        self.past = past
        self.today = definition
        #: The words of the last reading, which mostly do for the next one.
        self._then = TableThen(definition=definition, renamed={})
        self._rids: tuple[str, dict[str, str]] | None = None
        self._words: dict[datetime, TableThen] = {}
        #: Columns that whole rows came with, though the model has others: some may
        #: be hidden from this login.
        self._seen: set[tuple[int, frozenset[str]]] = set()

    def ask(
        self, at: datetime, path: Callable[[TableThen], str]
    ) -> list[dict[str, JSON]]:
        """Read a path that is made in the words of then; rows in those of today.

        Raises
        ------
        NoHistory
            The catalog knows nothing of the table at that time.
        CatalogError
            As `Past.rows` does.
        """
        then = self._then
        try:
            rows = self.past.rows(at, path(then))
            # who asks for all columns names none: strange ones tell of a change
            if not path(then).startswith("entity/") or self._fits(rows, then):
                return [then.today(row) for row in rows]
        except Denied as error:
            raise NoHistory(self._nothing(at, error)) from error
        except _STRANGE as error:
            if self._at(at) == then:
                raise NoHistory(self._nothing(at, error)) from error
        then = self._then = self._at(at)
        rows = self.past.rows(at, path(then))
        self._seen.update((id(then), frozenset(row)) for row in rows[:1])
        return [then.today(row) for row in rows]

    def rows(
        self, at: datetime, filters: str = "", columns: Iterable[str] | None = None
    ) -> list[dict[str, JSON]]:
        """Read rows of the table, page by page; None: all columns. As `ask`."""
        found: list[dict[str, JSON]] = []
        for page in self.pages(at, filters, columns):
            found += page
        return found

    def pages(
        self, at: datetime, filters: str = "", columns: Iterable[str] | None = None
    ) -> Iterator[list[dict[str, JSON]]]:
        """Read the same, a page at a time, by RID."""
        named = None if columns is None else tuple(dict.fromkeys(("RID", *columns)))
        after = ""
        while True:

            def path(then: TableThen, after: str = after) -> str:
                table = then.definition.table.path
                kind = "entity" if named is None else "attribute"
                listed = "" if named is None else paths.names(then.old(named))
                if len(listed) > paths.LONGEST_COLUMNS:
                    kind, listed = "entity", ""
                made = paths.join(kind, table, filters, listed)
                return f"{made}@sort(RID){after}?limit={PAGE}"

            rows = self.ask(at, path)
            yield rows
            if len(rows) < PAGE:
                return
            after = f"@after({paths.literal(rows[-1]['RID'])})"

    def these(
        self, at: datetime, rids: Iterable[str], columns: Iterable[str] | None = None
    ) -> dict[str, dict[str, JSON]]:
        """Read rows by RID: ``{RID: row}``, without those that were not there."""
        names = None if columns is None else tuple(columns)
        listed = min(len(paths.names(names or ())), paths.LONGEST_COLUMNS)
        return {
            str(row["RID"]): row
            for part in paths.parts(rids, AROUND + listed)
            for row in self.rows(at, paths.equals("RID", *part), names)
        }

    def count(self, at: datetime, filters: str = "") -> int:
        """Count rows. Raises as `ask`."""
        rows = self.ask(
            at,
            lambda then: paths.join(
                "aggregate", then.definition.table.path, filters, "n:=cnt(RID)"
            ),
        )
        found = rows[0].get("n") if rows else 0
        return found if isinstance(found, int) else 0

    def definition(self, at: datetime) -> QueueDefinition:
        """Return the queue's definition in the words of a moment.

        The rights of then are left out: nobody writes to the past. Raises as `ask`.
        """
        return self._at(at).definition

    def compare(self, since: datetime, until: datetime) -> None:
        """Tell what changed of the table's columns between two moments."""
        try:
            one, other = self._at(since), self._at(until)
        except NoHistory as error:
            self.past.tell(str(error))
            return
        before, after = one.types, other.types
        for name in dict.fromkeys((*before, *after)):
            if told := _difference(name, before.get(name), after.get(name)):
                self.past.tell(f"the model changed in this period: {told}")

    def _at(self, at: datetime) -> TableThen:
        if at not in self._words:
            self._words[at] = self._read_words(at)
        return self._words[at]

    def _read_words(self, at: datetime) -> TableThen:
        name, columns = self._known_rids()
        document = self._document(at, name)
        if document.get("rights", {}).get("select") is False:
            raise NoHistory(self._nothing(at, None))
        old = _rids_of(document)
        table = _without_rights(table_of(document))
        names = {today: old[rid] for rid, today in columns.items() if rid in old}
        # a catalog that tells no RIDs of columns has them under their names alone
        names = names or dict(zip(table.columns, table.columns, strict=True))
        definition = _in_words_of(self.today, table, names)
        if definition is None:
            raise NoHistory(
                f"expected {self.today.table.label} to have its state column "
                f"{self.today.state!r} at {time_text(at)[:19]}, found none: it was "
                "made later, or has another name by now"
            )
        renamed = {then: today for today, then in names.items() if then != today}
        return TableThen(definition=definition, renamed=renamed)

    def _document(self, at: datetime, rid: str) -> Any:
        table = self.today.table
        path = f"schema/{paths.quote(table.schema)}/table/{paths.quote(table.name)}"
        with suppress(*_STRANGE):
            document = self.past.document(at, path)
            if document.get("RID", rid) == rid:
                return document
        # it may have been called something else
        try:
            schemas = self.past.document(at, "schema")["schemas"].values()
        except CatalogError as error:
            raise NoHistory(self._nothing(at, error)) from error
        tables = (t for s in schemas for t in s.get("tables", {}).values())
        found = next((one for one in tables if one.get("RID") == rid), None)
        if found is None:
            raise NoHistory(self._nothing(at, None))
        return found

    def _known_rids(self) -> tuple[str, dict[str, str]]:
        """Return the table's own RID, and the names of today by the columns' RIDs."""
        if self._rids is None:
            table = self.today.table
            path = f"schema/{paths.quote(table.schema)}/table/{paths.quote(table.name)}"
            document = self.past.document(None, path)
            self._rids = (str(document.get("RID", "")), _rids_of(document))
        return self._rids

    def _fits(self, rows: list[dict[str, JSON]], then: TableThen) -> bool:
        columns = then.definition.table.columns.keys()
        return (
            not rows
            or rows[0].keys() == columns
            or (id(then), frozenset(rows[0])) in self._seen
        )

    def _nothing(self, at: datetime, error: Exception | None) -> str:
        label = self.today.table.label
        why = f" ({clipped(one_line(error))})" if error else ""
        return (
            f"the catalog tells nothing of {label} at {time_text(at)[:19]} UTC: it was "
            "made later, its history was switched off, or this login had no right to "
            f"read it then{why}"
        )


def queue_at(jobs: Queue, when: When, **reading: Any) -> Queue:
    """Return a queue as of then; see `Queue.at`.

    What is to be known of it (a clock that differs, names that changed) is warned of.
    """
    past = Past(jobs.catalog, **reading)
    at = past.moment(when)
    definition = TablePast(past, jobs.definition).definition(at)
    for sentence in past.told:
        warnings.warn(sentence, stacklevel=4)
    return Queue.of(definition, jobs.catalog.at(at))


def _rids_of(document: Any) -> dict[str, str]:
    """Return the names of a table's columns by their RIDs."""
    columns = document["column_definitions"]
    return {str(one["RID"]): str(one["name"]) for one in columns if "RID" in one}


def _without_rights(table: Table) -> Table:
    """Return a table that its rights don't speak of: those of a snapshot deny all."""
    columns = {n: replace(c, may_update=True) for n, c in table.columns.items()}
    return replace(table, columns=columns, may_update=True)


def _in_words_of(
    today: QueueDefinition, table: Table, names: Mapping[str, str]
) -> QueueDefinition | None:
    """Return a definition with the names of then; None: it had no state column."""
    state = names.get(today.state)
    if state is None:
        return None
    keys = [(key, key.removesuffix("::desc::")) for key in _keys(today.order)]
    order = [names[name] + key[len(name) :] for key, name in keys if name in names]
    shown = today.columns
    if shown is not None:
        shown = tuple(names[name] for name in shown if name in names)
    return replace(
        today,
        table=table,
        state=state,
        order=paths.Order(",".join(order) or "RID"),
        columns=shown,
        owner=names.get(today.owner or ""),
        error=names.get(today.error or ""),
        attempts=names.get(today.attempts or ""),
        retry_at=names.get(today.retry_at or ""),
    )


def _keys(order: paths.Order) -> list[str]:
    """Return the keys of an order as they were told, unquoted."""
    sorted_ = order.text.split(",")
    return [
        name + ("::desc::" if key.endswith("::desc::") else "")
        for name, key in zip(order.columns, sorted_, strict=True)
    ]


def _difference(
    name: str, before: tuple[str, str] | None, after: tuple[str, str] | None
) -> str:
    """Say how a column differs: (name, type) of two times, None where it was not."""
    if before == after:
        return ""
    if before is None:
        return f"{name!r} was made"
    if after is None:
        return f"{name!r} was dropped"
    if before[0] != after[0]:
        return f"{after[0]!r} was called {before[0]!r}"
    return f"{name!r} was of type {before[1]}, and is {after[1]}"

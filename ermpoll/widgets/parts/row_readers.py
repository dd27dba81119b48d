"""Where the rows of a paged table come from: a catalog, or what is at hand.

A reader gives a page of rows behind a row (ERMrest's ``@after``), so that no page
costs more than another, and says how many there are. It draws nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ermpoll.catalog import paths
from ermpoll.queue.reading.conditions import narrowed
from ermpoll.records import JSON, SYSTEM_COLUMNS, Row
from ermpoll.render.page import Caps
from ermpoll.render.tables import rid_of
from ermpoll.widgets.parts.table_view import TableView, apply, values_of

if TYPE_CHECKING:
    from ermpoll.queue import Queue

#: pandas types whose values can be put in order.
_ORDERED = ("string", "Int64", "Float64", "boolean", "datetime64[us, UTC]")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPage:
    """Rows that were read together."""

    rows: Sequence[Row] = ()
    #: Whether there are others behind them.
    more: bool = False
    #: What is to be said of some, by RID.
    marks: Mapping[str, str] = field(default_factory=dict)


class RowReader(Protocol):
    """Reads rows as a view asks for them."""

    @property
    def columns(self) -> Sequence[str]:
        """The columns that are shown, without the RID."""

    @property
    def types(self) -> Mapping[str, str]:
        """The pandas type of each column, by name."""

    def sortable(self, column: str) -> bool:
        """Whether rows can be sorted by a column."""

    def place(self, view: TableView, row: Row) -> Row:
        """Give what of a row says which ones come behind it: it is kept for long."""

    def page(self, view: TableView, after: Row | None, limit: int) -> RowPage:
        """Read at most so many rows, those behind a place or the first ones."""

    def count(self, view: TableView) -> int:
        """Count the rows that a view shows."""


class QueueRows:
    """Candidates or failures of a queue, read from its catalog page by page.

    Parameters
    ----------
    failures
        True for failed rows, the newest first; else candidates, as they are taken.
    columns
        Those that are shown, without the RID; None for the queue's own.
    """

    def __init__(
        self,
        jobs: Queue,
        *,
        failures: bool = False,
        columns: Sequence[str] | None = None,
    ) -> None:
        self._jobs, self._failures = jobs, failures
        shown = jobs.shown_columns("failures" if failures else "candidates")
        names = shown if columns is None else columns
        self._names = tuple(name for name in names if name != "RID")
        #: Whether nobody has said which columns and in what order.
        self._chosen = columns is not None or jobs.definition.columns is not None
        self.columns = self._names[: Caps().columns]
        self.types = jobs.types

    def sortable(self, column: str) -> bool:
        """Whether it is read with each row, and its type has an order."""
        read = column in (*self._jobs.queries.columns, "RID")
        return read and self.types.get(column) in _ORDERED

    def place(self, view: TableView, row: Row) -> Row:
        """Give the columns that the order of a view looks at."""
        order = self._order(view) or paths.Order("RMT")
        names = {*order.columns, *self._jobs.definition.order.columns}
        return {name: row[name] for name in names if name in row}

    def page(self, view: TableView, after: Row | None, limit: int) -> RowPage:
        """Read a page from the catalog."""
        jobs, order = self._jobs, self._order(view)
        narrow, last = self._narrow(view), dict(after) if after else None
        if self._failures:
            path = jobs.queries.failures(
                limit + 1, after=last, narrow=narrow, order=order
            )
            found = jobs.read("failures", path, limit)
        else:
            path = jobs.queries.candidates(
                jobs.catalog.now(), limit + 1, after=last, narrow=narrow, order=order
            )
            found = jobs.read("candidates", path, limit)
        # a join may find a row more than once
        rows = tuple({rid_of(row): row for row in found.rows}.values())
        self._choose(rows)
        marks = {**dict.fromkeys(found.outside, "outside"), **found.refused}
        return RowPage(rows=rows, more=found.more, marks=marks)

    def count(self, view: TableView) -> int:
        """Ask the catalog how many there are."""
        queries, narrow = self._jobs.queries, self._narrow(view)
        if self._failures:
            path = queries.failure_count(narrow)
        else:
            path = queries.candidate_count(self._jobs.catalog.now(), narrow)
        [row] = self._jobs.catalog.rows(path, "n")
        return int(str(row["n"]))

    def _order(self, view: TableView) -> paths.Order | None:
        if not view.order:
            return None
        return paths.Order.by(view.order, descending=view.descending)

    def _choose(self, rows: Sequence[Row]) -> None:
        """Put columns that hold nothing behind the others, once: by the first rows."""
        if self._chosen or not rows:
            return
        self._chosen = True

        def place(name: str) -> int:
            if name in SYSTEM_COLUMNS:
                return 2
            return int(all(row.get(name) is None for row in rows))

        self.columns = tuple(sorted(self._names, key=place))[: Caps().columns]

    def _narrow(self, view: TableView) -> str:
        shown = {
            name: self.types.get(name, "string") for name in ("RID", *self.columns)
        }
        return narrowed(shown, view.search, view.filters, view.zone)


class ListRows:
    """Rows that are at hand already.

    Parameters
    ----------
    rows
        Gives them, whenever a page is read.
    values
        What a row shows in a column, to search, filter and sort by.
    """

    def __init__(
        self,
        rows: Callable[[], Sequence[Row]],
        columns: Callable[[], Sequence[str]],
        types: Mapping[str, str],
        values: Callable[[Row, str], Sequence[JSON]] = values_of,
    ) -> None:
        self._rows, self._columns, self._values = rows, columns, values
        self.types = types
        self._made: tuple[object, TableView, list[Row]] | None = None

    @property
    def columns(self) -> Sequence[str]:
        """The columns that are shown, without the RID."""
        return self._columns()

    def sortable(self, column: str) -> bool:
        """Whatever its type: they are put in order here."""
        return True

    def place(self, view: TableView, row: Row) -> Row:
        """Give its RID."""
        return {"RID": row["RID"]}

    def page(self, view: TableView, after: Row | None, limit: int) -> RowPage:
        """Give a part of the rows."""
        rows = self._shown(view)
        places = {rid_of(row): n for n, row in enumerate(rows)} if after else {}
        # of other rows than before: from the first one on
        start = places.get(rid_of(after), -1) + 1 if after else 0
        return RowPage(rows=rows[start : start + limit], more=len(rows) > start + limit)

    def count(self, view: TableView) -> int:
        """Say how many there are."""
        return len(self._shown(view))

    def _shown(self, view: TableView) -> list[Row]:
        rows = self._rows()
        if self._made is None or self._made[0] is not rows or self._made[1] != view:
            made = apply(view, rows, self.types, ("RID", *self.columns), self._values)
            self._made = (rows, view, made)
        return self._made[2]

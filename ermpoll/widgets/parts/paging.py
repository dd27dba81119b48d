"""Which page of which view is wanted, and the one that was read last.

What is wanted is said at once, on any thread; reading follows, and one that is
overtaken is left out. Knows no widget.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import tzinfo

from ermpoll.errors import ErmpollError, UsageError
from ermpoll.records import Row
from ermpoll.render.tables import rid_of
from ermpoll.widgets.parts.row_readers import RowPage, RowReader
from ermpoll.widgets.parts.table_view import TableView

#: Rows that an act on all that match takes at most; more is a mistake more often.
MOST = 10_000
#: Rows of one reading, when all that match are read.
_STRIDE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class PageAt:
    """A page of a view, by the place of the last row of each page before it."""

    view: TableView
    befores: tuple[Row, ...] = ()

    @property
    def after(self) -> Row | None:
        """The row that the page follows; None: it is the first one."""
        return self.befores[-1] if self.befores else None


class Pages:
    """The pages of a reader.

    Attributes
    ----------
    reader
        Where the rows come from.
    size
        Rows of a page.
    page
        The rows that were read last.
    place
        Which page that is.
    total
        How many rows its view shows, or None while that is not known.
    """

    def __init__(
        self, reader: RowReader, size: int, changed: Callable[[], None]
    ) -> None:
        self.reader, self.size, self._changed = reader, size, changed
        self.page = RowPage()
        self.place = PageAt(view=TableView())
        self.total: int | None = None
        self._wanted = self.place
        self._reading = threading.Lock()

    @property
    def view(self) -> TableView:
        """The view that is wanted."""
        return self._wanted.view

    @property
    def first(self) -> int:
        """How many rows come before the page."""
        return self.size * len(self.place.befores)

    def want(self, view: TableView) -> None:
        """Want the first page of a view."""
        self._wanted = PageAt(view=view)

    def set_zone(self, zone: tzinfo) -> None:
        """Take note of the zone that times are typed in, once it is known."""
        if self.view.zone != zone:
            placed = (self._wanted, self.place)
            self._wanted, self.place = (
                replace(one, view=replace(one.view, zone=zone)) for one in placed
            )

    def turn(self, step: int) -> None:
        """Want the next page (1), the one before (-1) or the first (0)."""
        place, rows = self._wanted, self.page.rows
        if step == 0:
            self._wanted = replace(place, befores=())
        elif step < 0:
            self._wanted = replace(place, befores=place.befores[:-1])
        elif place == self.place and self.page.more and rows:
            last = self.reader.place(place.view, rows[-1])
            self._wanted = replace(place, befores=(*place.befores, last))

    def load(self, *, anew: bool = True) -> None:
        """Read the page that is wanted; unless ``anew``, only if it was not read.

        Raises
        ------
        ErmpollError
            It can't be read. What was read stays, and is what is wanted.
        """
        with self._reading:
            wanted = self._wanted
            if anew or wanted != self.place:
                try:
                    self._read(wanted, anew)
                except ErmpollError:
                    self._wanted = self.place
                    raise

    def all(self, view: TableView) -> tuple[Row, ...]:
        """Read all rows that a view shows, as they are now.

        Raises
        ------
        UsageError
            There are more than an act takes at once.
        ErmpollError
            They can't be read.
        """
        rows: dict[str, Row] = {}
        page = RowPage(more=True)
        while page.more:
            page = self.reader.page(view, page.rows[-1] if page.rows else None, _STRIDE)
            rows.update((rid_of(row), row) for row in page.rows)
            if len(rows) > MOST:
                raise UsageError(
                    f"expected at most {MOST:,} rows to act on, found more that match; "
                    "narrow them down by a filter, or do it by code"
                )
        return tuple(rows.values())

    def _read(self, place: PageAt, anew: bool) -> None:
        page = self.reader.page(place.view, place.after, self.size)
        again = place.view == self.place.view
        self.page, self.place = page, place
        if not page.more and not place.befores:
            self.total = len(page.rows)
            return
        if again and not anew and self.total is not None:
            return
        self.total = self.total if again else None
        # the rows are there: nobody need wait for their number
        self._changed()
        self.total = self.reader.count(place.view)

"""A table of any length: pages, sorted and searched, with rows to tick and to open.

A panel makes one over a reader (`row_readers`: `QueueRows` asks a catalog, `ListRows`
has its rows), puts ``table.widget`` on its page, calls ``table.draw(zone)`` in its own
``_draw``, and acts on ``table.picked``::

    reader = QueueRows(jobs, failures=True)
    table = RowTable(
        reader,
        drawn=rows_drawn(jobs, "Failed", lambda: reader.columns),
        changed=self._drawing.mark,       # have me drawn
        later=self._reads.submit,         # read there, not on the thread of a click
        opened=lambda row: "<p>...</p>",  # a row's drawer, by our templates; or None
        keys={"r": lambda: self._click("retry")},
    )
    self._keep(table)                     # closed with the panel
    table.load()                          # the first page; raises what reading raises

Acts: ``picked`` are the ticked rows, whole, as they were shown when they were ticked
(RID and version, so that what was touched since is left alone), those of other pages
as well. After "Select all that match" ``chosen()`` reads them: call it when the
question is asked, and act on what it gave. ``clear(rids)`` after an act; ``load()``
reads the page again. ``chips`` are filters that a panel offers, with their numbers.

Each thing that a person can do is a method: ``search``, ``sort``, ``filter``, ``turn``,
``press``, ``tick_all``, ``open``. By click or key they are done later, and what goes
wrong is said above the table, which stays as it was.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any

from ermpoll.errors import ErmpollError
from ermpoll.records import Row
from ermpoll.render.page import Caps
from ermpoll.render.tables import Grid, rid_of, rows_grid
from ermpoll.widgets.base import close_all
from ermpoll.widgets.parts import sheet_traits
from ermpoll.widgets.parts.paging import Pages
from ermpoll.widgets.parts.row_readers import RowPage, RowReader
from ermpoll.widgets.parts.sheet import Sheet
from ermpoll.widgets.parts.sheet_traits import Chip, Drawn
from ermpoll.widgets.parts.table_view import TableView

if TYPE_CHECKING:
    from ermpoll.queue import Queue

#: Rows of a page.
PAGE = 50
#: Drawers that are open at once: each may hold a whole row.
_DRAWERS = 5

_numbers = itertools.count(1)


def rows_drawn(jobs: Queue, label: str, columns: Callable[[], Sequence[str]]) -> Drawn:
    """Give what draws rows of a queue, with what is said of some before them."""

    def drawn(
        rows: Sequence[Row], marks: Mapping[str, str], caps: Caps, zone: tzinfo
    ) -> Grid:
        return rows_grid(
            label, jobs, rows, columns(), caps=caps, zone=zone, marks=marks
        )

    return drawn


class RowTable:
    """One table of a panel; see the module.

    Parameters
    ----------
    reader
        Where its rows come from.
    drawn
        Makes a grid of a page of rows and what is to be said of some.
    changed
        Called when it wants to be drawn, on any thread.
    later
        Has something done on another thread: ``later(word, act)``.
    opened
        Gives the HTML of a row's drawer, slowly or not; None: there are none.
    keys
        What else a key does while the table has the focus.
    ticks
        Whether rows can be ticked.
    size
        Rows of a page, 50 at most.
    """

    def __init__(
        self,
        reader: RowReader,
        *,
        drawn: Drawn,
        changed: Callable[[], None],
        later: Callable[[str, Callable[[], object]], object],
        opened: Callable[[Row], str] | None = None,
        keys: Mapping[str, Callable[[], object]] | None = None,
        ticks: bool = True,
        size: int = PAGE,
    ) -> None:
        self._changed, self._later, self._drawn = changed, later, drawn
        self._opened, self._keys, self._ticks = opened, dict(keys or {}), ticks
        self.pages = Pages(reader, size, changed)
        #: Filters that are offered, with their numbers.
        self.chips: Sequence[Chip] = ()
        #: What went wrong with the last click, or "".
        self.error = ""
        self._lock = threading.RLock()
        self._ticked: dict[str, Row] = {}
        self._all: TableView | None = None
        self._drawers: dict[str, str] = {}
        self._drawing: tuple[object, ...] = ()
        self.widget = Sheet(self._told, self._was_ticked)

    def close(self) -> None:
        """Close its widget. Twice is once."""
        close_all(self.widget)

    # how it is looked at

    @property
    def view(self) -> TableView:
        """How it is looked at."""
        return self.pages.view

    @property
    def page(self) -> RowPage:
        """The rows that are shown, whether there are more, and what is said of some."""
        return self.pages.page

    @property
    def total(self) -> int | None:
        """How many rows the view shows, or None while that is not known."""
        return self.pages.total

    @property
    def said(self) -> str:
        """Which rows are shown, of how many: ``51 to 100 of 3,214``."""
        return sheet_traits.count_text(self.pages)

    def look(self, view: TableView) -> None:
        """Look at it another way, from the first page on."""
        self.pages.want(view)
        self._load()

    def search(self, text: str) -> None:
        """Show the rows that have a word in a column."""
        self.look(self.view.searched(text))

    def sort(self, column: str) -> None:
        """Sort by a column; again: downwards, and then as the rows come."""
        self.look(self.view.sorted_by(column))

    def filter(self, column: str, text: str) -> None:
        """Show the rows of which a column is so; see `reading.conditions.condition`."""
        self.look(self.view.filtered(column, text))

    def press(self, key: str) -> None:
        """Show what a chip stands for, or all again."""
        self.look(sheet_traits.pressed(self.chips, key, self.view))

    def turn(self, step: int) -> None:
        """Turn to the next page (1), the one before (-1) or the first (0)."""
        self.pages.turn(step)
        self._load()

    def load(self) -> None:
        """Read the page again.

        Raises
        ------
        ErmpollError
            It can't be read; what is shown stays.
        """
        self._load(anew=True)

    def _load(self, *, anew: bool = False) -> None:
        try:
            self.pages.load(anew=anew)
            self.error = ""
        finally:
            self._changed()

    # ticks

    @property
    def picked(self) -> tuple[Row, ...]:
        """The ticked rows, whole, as they were shown."""
        with self._lock:
            return tuple(self._ticked.values())

    @property
    def selected(self) -> tuple[str, ...]:
        """The RIDs of the ticked rows."""
        return tuple(map(rid_of, self.picked))

    @property
    def picks_all(self) -> bool:
        """Whether all that match are meant, on whatever page."""
        return self._all == self.view

    @property
    def picked_count(self) -> int | None:
        """How many rows are meant; None when it is not known yet."""
        return self.total if self.picks_all else len(self._ticked)

    def chosen(self) -> tuple[Row, ...]:
        """Give the rows that are meant: the ticked ones, or all that match, read now.

        Raises
        ------
        UsageError
            More match than an act takes at once.
        ErmpollError
            They can't be read.
        """
        return self.pages.all(self.view) if self.picks_all else self.picked

    def select(self, rids: Sequence[str]) -> None:
        """Tick these rows and clear the others; RIDs not shown are left out."""
        known = {rid_of(row) for row in self.page.rows} | self._ticked.keys()
        self.widget.ticked = [rid for rid in dict.fromkeys(rids) if rid in known]

    def clear(self, rids: Sequence[str] | None = None) -> None:
        """Clear the ticks of these rows, or all."""
        gone = set(self._ticked if rids is None else rids)
        self._all = None
        self.widget.ticked = [rid for rid in self._ticked if rid not in gone]

    def tick_all(self) -> None:
        """Mean all rows that match, on every page, as they are when it is asked."""
        self.select([rid_of(row) for row in self.page.rows])
        self._all = self.view
        self._changed()

    def _was_ticked(self) -> None:
        with self._lock:
            known = {rid_of(row): row for row in self.page.rows} | self._ticked
            rids = self.widget.ticked
            # a click that is under way to a row just gone ticks no other
            self._ticked = {rid: known[rid] for rid in rids if rid in known}
            self._all = None
        self._changed()

    # drawers

    def open(self, rid: str) -> None:
        """Open a row's drawer, or close it."""
        if self._drawers.pop(rid, None) is None and self._opened is not None:
            for row in self.page.rows:
                if rid_of(row) == rid:
                    self.tell(rid, self._opened(row))
        self._changed()

    def tell(self, rid: str, html: str) -> None:
        """Show HTML of our templates in a row's drawer."""
        self._drawers = dict([*self._drawers.items(), (rid, html)][-_DRAWERS:])
        self._changed()

    def shut(self) -> None:
        """Close all drawers."""
        self._drawers = {}

    # drawing

    def draw(self, zone: tzinfo = UTC) -> None:
        """Set the traits of its widget, where something changed."""
        pages, drawers = self.pages, dict(self._drawers)
        pages.set_zone(zone)
        state = (pages.page, pages.place.view, drawers)
        if state != self._drawing:
            self._drawing = state
            made = sheet_traits.page_trait(pages, self._drawn, zone, drawers)
            opens = self._opened is not None
            self.widget.page = made | {"ticks": self._ticks, "opens": opens}
        bar = sheet_traits.bar_trait(
            pages,
            self.chips,
            ticked=self._ticked,
            picks_all=self.picks_all,
            error=self.error,
            keys=self._keys,
        )
        if bar != self.widget.bar:
            self.widget.bar = bar

    # what comes from the page

    def _told(self, content: Mapping[str, Any]) -> None:
        """Take note of a click or a key at once, and read later."""
        done = self._at_once(content)
        if done is not None:
            # each with a word of its own: one that comes meanwhile counts too
            self._later(f"table {next(_numbers)}", lambda: self._saying(done))

    def _at_once(self, content: Mapping[str, Any]) -> Callable[[], object] | None:
        """Do what needs no reading; give what is to be done later, if anything."""
        view = self._viewed(content)
        if view is not None:
            self.pages.want(view)
            return self._load
        match content:
            case {"do": "turn", "step": int(step)}:
                self.pages.turn(step)
                return self._load
            case {"do": "open", "rid": str(rid)}:
                return lambda: self.open(rid)
            case {"do": "key", "key": str(key)}:
                return self._keys.get(key)
        return {"tick_all": self.tick_all, "clear": self.clear}.get(content["do"])

    def _viewed(self, content: Mapping[str, Any]) -> TableView | None:
        """Give the view that somebody asks for; None: it is asked for no other."""
        match content:
            case {"do": "search", "text": str(text)}:
                return self.view.searched(text)
            case {"do": "sort", "column": str(column)}:
                return self.view.sorted_by(column)
            case {"do": "filter", "column": str(column), "text": str(text)}:
                return self.view.filtered(column, text)
            case {"do": "chip", "key": str(key)}:
                return sheet_traits.pressed(self.chips, key, self.view)
        return None

    def _saying(self, act: Callable[[], object]) -> None:
        """Do what was clicked; what goes wrong is said above the table."""
        try:
            act()
        except ErmpollError as error:
            self.error = str(error) or type(error).__name__
            self._changed()

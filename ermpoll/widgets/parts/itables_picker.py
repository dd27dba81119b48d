"""The same table of rows by itables: sorts and searches in the browser.

An optional other table, of all rows at once; itables escapes what it shows, but for
links, which are made here. Needs the extra ``lab``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any

import ipywidgets as W
from markupsafe import escape

from ermpoll.errors import UsageError
from ermpoll.records import JSON, Row
from ermpoll.render.page import Caps, safe_link
from ermpoll.render.tables import rid_of
from ermpoll.render.values import cell, clean
from ermpoll.widgets.base import html
from ermpoll.widgets.parts.row_readers import RowPage
from ermpoll.widgets.parts.table_view import TableView

if TYPE_CHECKING:
    from ermpoll.queue import Queue
    from ermpoll.render.frames import DataFrame

#: Characters of a text that are sent.
_CUT = 400
#: Rows that are told of below the table.
_TOLD = 5
_NUMBERS = ("Int64", "Float64")


class ITablesPicker:
    """Rows to select in an itables table; used like `RowTable`.

    Raises
    ------
    UsageError
        itables is not installed.
    """

    #: It is sorted and searched in the browser alone.
    view = TableView()

    def __init__(self, jobs: Queue, changed: Callable[[], None], limit: int) -> None:
        try:
            from itables.widget import ITable
        except ImportError:
            raise UsageError(
                "expected itables for table='itables', found it is not installed; "
                "pip install 'ermpoll[lab]', or leave table= out"
            ) from None
        self._jobs, self._limit = jobs, limit
        self._drawn: tuple[object, ...] = ()
        #: The rows that were read.
        self.page = RowPage()
        #: How many there are in all.
        self.total: int | None = None
        self._rows: list[Row] = []
        self._told: dict[str, str] = {}
        # what is text is made safe here, so that RIDs can be links
        self._table: Any = ITable(
            select=True,
            showIndex=False,
            allow_html=True,
            style="table-layout:auto;width:100%",
        )
        self._table.observe(lambda _: changed(), "selected_rows")
        self._below = html()
        self.widget = W.VBox([self._table, self._below])

    def close(self) -> None:
        """Nothing: the widget is on the page and closed with it."""

    def load(self) -> None:
        """Read the candidates again, all that the panel was told to read at most."""
        found = self._jobs.candidates(limit=self._limit)
        self.page = RowPage(rows=found.rows, more=found.more, marks=found.refused)
        self.total = self._jobs.waiting() if found.more else len(found)

    @property
    def said(self) -> str:
        """How many there are."""
        return f"{self.total or 0:,} in all"

    @property
    def picked(self) -> tuple[Row, ...]:
        """The rows that are selected, from the top, as they were listed."""
        # the page may still select by the places of a longer table
        rows = dict(enumerate(self._rows))
        return tuple(rows[at] for at in self._table.selected_rows if at in rows)

    def chosen(self) -> tuple[Row, ...]:
        """Give the rows that are selected."""
        return self.picked

    @property
    def selected(self) -> tuple[str, ...]:
        """The RIDs of the rows that are selected, from the top."""
        return tuple(map(rid_of, self.picked))

    @property
    def picked_count(self) -> int:
        """How many are selected."""
        return len(self.picked)

    def select(self, rids: Sequence[str]) -> None:
        """Select these rows and no others; RIDs not shown are left out."""
        self._table.selected_rows = _places(self._rows, rids)

    def clear(self, rids: Sequence[str]) -> None:
        """Select these rows no longer."""
        self.select([rid for rid in self.selected if rid not in rids])

    def tell(self, rid: str, html: str) -> None:
        """Show HTML of our templates about a row, below the table."""
        self._told = dict([*self._told.items(), (rid, html)][-_TOLD:])

    def shut(self) -> None:
        """Show nothing below the table any more."""
        self._told = {}

    def draw(self, zone: tzinfo = UTC) -> None:
        """Put the rows on the page, where they changed."""
        self._below.value = "".join(self._told.values())
        if self._drawn == (self.page, zone):
            return
        names = self._jobs.shown_columns("candidates")[: Caps().columns]
        rows = list(self.page.rows)
        chosen = _places(rows, self.selected)
        # both at once: places count in the table that they come with
        self._rows, self._drawn = rows, (self.page, zone)
        self._table.update(
            self._frame(names, zone),
            selected_rows=chosen,
            allow_html=True,
            columnDefs=_aligned(self._jobs.types, names),
        )

    def _frame(self, names: Sequence[str], zone: tzinfo) -> DataFrame:
        # Only who shows itables pays for pandas.
        from ermpoll.render import frames

        types = {name: self._jobs.types.get(name, "") for name in names}
        # As text, but for numbers: times sort alike, and itables knows no zones.
        said = {n: kind if kind in _NUMBERS else "string" for n, kind in types.items()}
        shown = [
            {name: _cell(row.get(name), types[name], zone) for name in names}
            for row in self._rows
        ]
        for line in shown:
            line["RID"] = self._link(str(line["RID"]))
        made = frames.frame(shown, names, said)
        made.columns = [str(escape(clean(name, 40))) for name in names]
        return made

    def _link(self, rid: str) -> str:
        """Give a RID with its address, as HTML."""
        address = safe_link(self._jobs.link(rid))
        return f'<a href="{escape(address)}" target="_blank" rel="noopener">{rid}</a>'


def _aligned(types: Mapping[str, str], names: Sequence[str]) -> list[dict[str, object]]:
    """Say which columns are texts: "K006" is no number that is right-aligned."""
    texts = [at for at, name in enumerate(names) if types.get(name) not in _NUMBERS]
    return [{"targets": texts, "className": "dt-left", "type": "html"}]


def _places(rows: Sequence[Row], rids: Sequence[str]) -> list[int]:
    return [at for at, row in enumerate(rows) if rid_of(row) in rids]


def _cell(value: JSON, dtype: str, zone: tzinfo) -> JSON:
    """Give a value as itables gets it: a number, or text that is safe as HTML."""
    number = isinstance(value, int | float) and dtype in _NUMBERS
    if value is None or number:
        return value
    return str(escape(cell(value, dtype, limit=_CUT, zone=zone).text))

"""A table of rows with a box before each: what is ticked is what acts act on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING

import ipywidgets as W

from ermpoll.records import Row
from ermpoll.render.page import fill, fitted
from ermpoll.render.tables import rid_of, rows_grid
from ermpoll.render.values import line
from ermpoll.widgets.base import box, close_all, html

if TYPE_CHECKING:
    from ermpoll.queue import Queue


#: Boxes beyond those that are shown.
_SPARE = 10


class RowPicker:
    """Rows to tick. The boxes are made once; one belongs to a row while it is shown.

    Parameters
    ----------
    label
        What the table is, for who can't see it.
    most
        The most rows it shows.
    changed
        Called when a box was ticked or cleared, on whatever thread brings it.
    """

    def __init__(self, label: str, most: int, changed: Callable[[], None]) -> None:
        self.label = label
        self._most = most
        first = W.Checkbox(indent=False)
        # One layout and one style for all: each would be a message and an object.
        alike = {"indent": False, "layout": first.layout, "style": first.style}
        made = [first, *(W.Checkbox(**alike) for _ in range(most + _SPARE - 1))]
        for one in made:
            one.observe(lambda _: changed(), "value")
        self._free = deque(made)
        #: Each row shown with its box; replaced as a whole.
        self._lines: tuple[tuple[Row, W.Checkbox], ...] = ()
        self._column = W.VBox([])
        self._column.add_class("ermpoll-boxes")
        self._table = html()
        self.widget = box("ermpoll-picks", self._column, self._table)

    def close(self) -> None:
        """Close the boxes, those that are not shown as well."""
        for one in (*self._boxes, *self._free):
            close_all(one)

    @property
    def picked(self) -> tuple[Row, ...]:
        """The rows that are ticked, from the top, as they were listed."""
        return tuple(row for row, one in self._lines if one.value)

    @property
    def selected(self) -> tuple[str, ...]:
        """The RIDs of the rows that are ticked, from the top."""
        return tuple(map(rid_of, self.picked))

    def select(self, rids: Sequence[str]) -> None:
        """Tick these rows and clear the others; RIDs not shown are left out."""
        for row, one in self._lines:
            one.value = rid_of(row) in rids

    def clear(self, rids: Sequence[str]) -> None:
        """Clear the ticks of these rows."""
        for row, one in self._lines:
            one.value = one.value and rid_of(row) not in rids

    def show(
        self,
        jobs: Queue,
        rows: Sequence[Row],
        columns: Sequence[str],
        zone: tzinfo = UTC,
    ) -> None:
        """Show rows. What is ticked stays ticked where its row is still shown."""
        rows = rows[: self._most]
        bound = {rid_of(row): one for row, one in self._lines}
        left = [bound.pop(rid_of(row), None) for row in rows]
        boxes = [one or self._fresh() for one in left]
        for row, one in zip(rows, boxes, strict=True):
            # The label can't be seen, but is what a screen reader says.
            one.description = f"select {line(rid_of(row), 40)}"
        self._lines = tuple(zip(rows, boxes, strict=True))
        self._free.extend(bound.values())
        if self._column.children != self._boxes:
            self._column.children = self._boxes
        self._table.value = fitted(
            lambda caps: fill(
                "picks.html",
                grid=rows_grid(self.label, jobs, rows, columns, caps=caps, zone=zone),
            )
        )

    def _fresh(self) -> W.Checkbox:
        """Give the box that has been free for longest, cleared."""
        # A click that is under way to a row just gone must tick no other: its box
        # comes up again as late as possible.
        one = self._free.popleft()
        one.value = False
        return one

    @property
    def _boxes(self) -> tuple[W.Checkbox, ...]:
        return tuple(one for _, one in self._lines)

    @property
    def _rids(self) -> tuple[str, ...]:
        return tuple(rid_of(row) for row, _ in self._lines)

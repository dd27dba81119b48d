"""A table of rows with a box before each: what is ticked is what acts act on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING

import ipywidgets as W

from ermpoll.records import Row
from ermpoll.render.page import fill, fitted
from ermpoll.render.tables import rid_of, rows_grid
from ermpoll.render.values import line
from ermpoll.widgets.panel import box, close_all, html

if TYPE_CHECKING:
    from ermpoll.jobqueue import Queue


class Picks:
    """Rows to tick. The boxes are made once and then only filled.

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
        self._rids: tuple[str, ...] = ()
        first = W.Checkbox(indent=False)
        # One layout and one style for all: each would be a message and an object.
        alike = {"indent": False, "layout": first.layout, "style": first.style}
        self._boxes = [first, *(W.Checkbox(**alike) for _ in range(most - 1))]
        for one in self._boxes:
            one.observe(lambda _: changed(), "value")
        self._column = W.VBox([])
        self._column.add_class("ermpoll-boxes")
        self._table = html()
        self.widget = box("ermpoll-picks", self._column, self._table)

    def close(self) -> None:
        """Close the boxes, those that are not shown as well."""
        for one in self._boxes:
            close_all(one)

    @property
    def selected(self) -> tuple[str, ...]:
        """The RIDs of the rows that are ticked, from the top."""
        pairs = zip(self._rids, self._boxes, strict=False)
        return tuple(rid for rid, one in pairs if one.value)

    def select(self, rids: Sequence[str]) -> None:
        """Tick these rows and clear the others; RIDs not shown are left out."""
        for rid, one in zip(self._rids, self._boxes, strict=False):
            one.value = rid in rids

    def show(
        self,
        jobs: Queue,
        rows: Sequence[Row],
        columns: Sequence[str],
        zone: tzinfo = UTC,
    ) -> None:
        """Show rows. What is ticked stays ticked where its row is still shown."""
        ticked = set(self.selected)
        rows = rows[: len(self._boxes)]
        self._rids = tuple(rid_of(row) for row in rows)
        for rid, one in zip(self._rids, self._boxes, strict=False):
            # The label can't be seen, but is what a screen reader says.
            one.description = f"select {line(rid, 40)}"
            one.value = rid in ticked
        shown = tuple(self._boxes[: len(rows)])
        if len(self._column.children) != len(shown):
            self._column.children = shown
        self._table.value = fitted(
            lambda caps: fill(
                "picks.html",
                grid=rows_grid(self.label, jobs, rows, columns, caps=caps, zone=zone),
            )
        )

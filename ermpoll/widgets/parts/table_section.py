"""The table's part of a monitor: rows per state, failures and overdue claims."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, tzinfo
from types import SimpleNamespace
from typing import TYPE_CHECKING

import ipywidgets as W

from ermpoll.errors import UsageError
from ermpoll.records import Row
from ermpoll.render import detail, live
from ermpoll.render.tables import rid_of
from ermpoll.widgets.base import box, enable, html, note, roles, show, why_not_writable
from ermpoll.widgets.parts.row_history import RowHistory
from ermpoll.widgets.parts.row_picker import RowPicker
from ermpoll.widgets.parts.table_reader import ROWS, TableReader, reason_columns
from ermpoll.widgets.threads import CommandThread

if TYPE_CHECKING:
    from ermpoll.queue import Queue
    from ermpoll.queue.results import Outcome
    from ermpoll.queue.table import Candidates
    from ermpoll.render.shapes import HistoryLike


class TableSection:
    """What a monitor shows of a queue's table, with rows to tick.

    Parameters
    ----------
    jobs
        The queue.
    lane
        Where the table is read.
    changed
        Called after a reading, and when a row was ticked.
    acts
        False: nothing to act on is shown.
    """

    def __init__(
        self,
        jobs: Queue,
        lane: CommandThread,
        changed: Callable[[], None],
        *,
        acts: bool,
    ) -> None:
        self.jobs = jobs
        self.reader = TableReader(jobs, lane, changed)
        self.failures = RowPicker("Failed", ROWS, changed)
        self.stale = RowPicker("Claimed and overdue", ROWS, changed)
        self.counts, self.opened = html(), html()
        self._opened_html = ""
        self._history = RowHistory(jobs)
        self._acts = acts
        self._captions = (html(), html())
        self.failed_box, self.stale_box = W.VBox(), W.VBox()
        self.opened_box = W.VBox()
        self.widget = W.VBox([self.failed_box, self.stale_box, self.opened_box])

    def place(
        self, retry: W.Button, open_: W.Button, history: W.Button, rescue: W.Button
    ) -> None:
        """Put the panel's buttons where they belong; called once."""
        failed, stale = self._captions
        self.failed_box.children = (
            box("ermpoll-acts", failed, retry, open_),
            self.failures.widget,
        )
        self.stale_box.children = (
            box("ermpoll-acts", stale, rescue),
            self.stale.widget,
        )
        self.opened_box.children = (box("ermpoll-acts", history), self.opened)

    def close(self) -> None:
        """Close the boxes that are not on the page, and end what is read."""
        self._history.close()
        self.failures.close()
        self.stale.close()

    def ticked(self, word: str) -> tuple[Row, ...]:
        """Give the rows to retry, open or rescue, as they were listed.

        What was touched since is then left alone.

        Raises
        ------
        UsageError
            None is ticked.
        """
        rows = (self.stale if word == "rescue" else self.failures).picked
        if not rows:
            raise UsageError(f"expected a row to {word}, found none; tick one")
        return rows

    def done(self, outcome: Outcome) -> None:
        """Read the table after an act; its rows are ticked no longer."""
        for picks in (self.failures, self.stale):
            picks.clear((*outcome.won, *outcome.lost, *outcome.unknown))
        self.reader.read()

    def select(self, rids: Sequence[str]) -> None:
        """Tick these rows and clear the others."""
        self.failures.select(rids)
        self.stale.select(rids)

    def open(self, zone: tzinfo = UTC) -> str:
        """Open the ticked failures; returns their errors, a line each."""
        column = self.jobs.definition.error or self.jobs.definition.state
        rows = self.ticked("open")
        said = {rid_of(row): str(row.get(column) or "") for row in rows}
        columns = self.jobs.shown_columns("failures")
        self._opened_html = detail.records(self.jobs, rows, columns, said, zone)
        return "\n".join(said.values())

    def history(self) -> HistoryLike:
        """Tell what became of the first ticked row, failed or overdue."""
        told = self._history.open(self.failures.picked or self.stale.picked)
        self._opened_html = self._history.html
        return told

    def draw(self, zone: tzinfo) -> None:
        """Set the traits of the widgets from the last reading."""
        now = self.reader.now
        self.counts.value = self.counts_html()
        failed = now.counts.get(self.jobs.definition.failed_label, 0)
        self._fill(0, now.failures, failed, zone)
        self._fill(1, now.stale, 0, zone)
        show(self.failed_box, bool(now.failures) and self._acts)
        show(self.stale_box, bool(now.stale) and self._acts)
        show(self.opened_box, bool(now.failures or now.stale) and self._acts)
        self.opened.value = self._opened_html

    def allow(self, buttons: SimpleNamespace) -> None:
        """Enable the buttons that have something to act on, and may."""
        reason = why_not_writable(self.jobs)
        for word, picks in (("retry", self.failures), ("rescue", self.stale)):
            why = reason or ("" if picks.selected else "Tick a row first")
            enable(getattr(buttons, word), not why, why, "Writes to the table")
        ticked = bool(self.failures.selected)
        enable(buttons.open, ticked, "Tick a row first", "Show in full")
        ticked = ticked or bool(self.stale.selected)
        tip = "What became of the first ticked row, from the catalog alone"
        enable(buttons.history, ticked, "Tick a row first", tip)

    def counts_html(self) -> str:
        """Rows per state as a bar with its numbers."""
        now = self.reader.now
        label = f"Rows of {self.jobs.title}"
        return live.counts(roles(self.jobs), now.counts, label, now.error)

    def _fill(
        self, place: int, rows: Candidates | None, total: int, zone: tzinfo
    ) -> None:
        picks = (self.failures, self.stale)[place]
        if rows is None:
            return
        if not picks.selected:
            # Rows that are ticked stay where they are until something is done.
            picks.show(self.jobs, rows.rows, reason_columns(self.jobs, rows), zone)
        text = f"{picks.label}: {max(total, len(rows)):,}"
        self._captions[place].value = note(text)

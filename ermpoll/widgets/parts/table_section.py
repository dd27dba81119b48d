"""The table's part of a monitor: rows per state, failed, overdue and doubtful rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo
from types import SimpleNamespace
from typing import TYPE_CHECKING

import ipywidgets as W

from ermpoll.errors import UsageError
from ermpoll.records import SYSTEM_COLUMNS, Row, Status
from ermpoll.render import failures, live
from ermpoll.render.failures import AttemptLike
from ermpoll.render.progress import progress, progress_of
from ermpoll.render.tables import rid_of
from ermpoll.render.values import counted
from ermpoll.widgets.base import box, enable, html, note, roles, show, why_not_writable
from ermpoll.widgets.parts.failed_rows import FailedRows
from ermpoll.widgets.parts.row_history import RowHistory
from ermpoll.widgets.parts.row_readers import ListRows
from ermpoll.widgets.parts.row_table import RowTable, rows_drawn
from ermpoll.widgets.parts.table_reader import Reading, TableReader
from ermpoll.widgets.threads import CommandThread

if TYPE_CHECKING:
    from ermpoll.queue import Queue
    from ermpoll.queue.results import Outcome
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
    status
        What the agent or poller says of itself.
    attempts
        What is remembered of how the work of a row failed.
    retry
        Retries what is ticked.
    acts
        False: nothing to act on is shown, and no failed row is read.
    """

    def __init__(
        self,
        jobs: Queue,
        lane: CommandThread,
        changed: Callable[[], None],
        *,
        status: Callable[[], Status],
        attempts: Callable[[str], Sequence[AttemptLike]] = lambda rid: (),
        retry: Callable[[], object] = lambda: None,
        acts: bool,
    ) -> None:
        self.jobs = jobs
        self._acts = acts
        self.reader = TableReader(jobs, lane, changed, status, self._also_read)
        self.failed = FailedRows(jobs, lane.submit, changed, attempts, retry)
        self._stale_rows: list[Row] = []
        self.stale = self._stale_table(lane, changed)
        self._history = RowHistory(jobs)
        self.counts, self.beside = html(), html()
        self._captions = (html(), html())
        #: What came of an act, beside the rows.
        self.answer = html()
        self._group = html()
        self.failed_box, self.stale_box = W.VBox(), W.VBox()
        self.failed_box.add_class("ermpoll-across")
        self.widgets = (self.failed_box, self.stale_box, self.beside)

    def place(self, buttons: SimpleNamespace) -> None:
        """Put the panel's buttons where they belong; called once."""
        failed, stale = self._captions
        self._one = box("ermpoll-acts", self._group, buttons.retry_alike)
        acts = (buttons.retry, buttons.open, buttons.history)
        self.failed_box.children = (
            box("ermpoll-acts", failed, *acts),
            self.answer,
            self._one,
            self.failed.table.widget,
        )
        self.stale_box.children = (
            box("ermpoll-acts", stale, buttons.rescue),
            self.stale.widget,
        )

    def close(self) -> None:
        """Close the tables, and end what is read."""
        self._history.close()
        self.failed.close()
        self.stale.close()

    def follow(self, status: Status) -> float | None:
        """Have read what a status says has changed; see `TableReader.follow`."""
        waits = (self.reader.follow(status), self.failed.due_s)
        if self.failed.due_s == 0:
            self.failed.regroup_later()
        return min((s for s in waits if s), default=None)

    def ticked(self, word: str) -> tuple[Row, ...]:
        """Give the rows to retry or rescue, as they were shown when they were ticked.

        What was touched since is then left alone.

        Raises
        ------
        UsageError
            None is ticked.
        """
        rows = (self.stale if word == "rescue" else self.failed.table).chosen()
        if not rows:
            raise UsageError(f"expected a row to {word}, found none; tick one")
        return rows

    def done(self, outcome: Outcome) -> None:
        """Read the table after an act; its rows are ticked no longer."""
        for table in (self.failed.table, self.stale):
            table.clear((*outcome.won, *outcome.lost, *outcome.unknown))
            table.shut()
        self.reader.read()

    def select(self, rids: Sequence[str]) -> None:
        """Tick these rows and clear the others."""
        self.failed.table.select(rids)
        self.stale.select(rids)

    def history(self) -> HistoryLike:
        """Tell what became of the first ticked row, failed or overdue, beside it."""
        for table in (self.failed.table, self.stale):
            if table.picked:
                told = self._history.open(table.picked)
                table.tell(rid_of(table.picked[0]), self._history.html)
                return told
        return self._history.open(())

    def draw(self, zone: tzinfo) -> None:
        """Set the traits of the widgets from the last reading."""
        now = self.reader.now
        self.counts.value = self.counts_html(zone)
        failed, stale = self._captions
        failed.value = note(self._failed_text())
        stale.value = note(f"Claimed and overdue: {len(now.stale):,}", "warn")
        group = self.failed.group
        self._group.value = failures.group(group, zone) if group else ""
        show(self._one, group is not None)
        told = bool(self.failed.count or self.answer.value)
        show(self.failed_box, told and self._acts)
        show(self.stale_box, bool(now.stale) and self._acts)
        if self._acts:
            self.failed.table.draw(zone)
            self.stale.draw(zone)
        self.beside.value = self.beside_html(zone)
        show(self.beside, bool(self.beside.value))

    def allow(self, buttons: SimpleNamespace) -> None:
        """Enable the buttons that have something to act on, and may."""
        reason = why_not_writable(self.jobs)
        for word, table in (("retry", self.failed.table), ("rescue", self.stale)):
            n, button = table.picked_count, getattr(buttons, word)
            why = reason or ("" if n else "Tick a row first")
            button.description = f"{word.capitalize()} {n:,}" if n else word.title()
            enable(button, not why, why, "Writes to the table")
        alike = len(self.failed.group.rows) if self.failed.group else 0
        buttons.retry_alike.description = f"Retry these {alike:,}"
        tip = "Makes all rows ready again that failed alike, as they were read"
        enable(buttons.retry_alike, not reason, reason, tip)
        ticked = bool(self.failed.table.picked)
        enable(buttons.open, ticked, "Tick a row first", "Show in full")
        ticked = ticked or bool(self.stale.picked)
        tip = "What became of the first ticked row, from the catalog alone"
        enable(buttons.history, ticked, "Tick a row first", tip)

    def counts_html(self, zone: tzinfo = UTC) -> str:
        """How far it is, and rows per state as a bar with its numbers and their age."""
        now = self.reader.now
        label = f"Rows of {self.jobs.title}"
        told = live.counts(roles(self.jobs), now.counts, label, now.error)
        at_rest = now.status is None or now.status.state == "stopped"
        age = live.age(now.at, None if at_rest else datetime.now(UTC), zone)
        return self._progress_html(now) + told + note(age)

    def failures_html(self, zone: tzinfo = UTC) -> str:
        """The failed rows by their errors, and what is beside them, without widgets."""
        told = failures.groups(self.failed.groups, zone) if self._acts else ""
        return told + self.beside_html(zone)

    def beside_html(self, zone: tzinfo = UTC) -> str:
        """Rows that did not fail, and want to be known of."""
        now = self.reader.now
        if not self._acts or now.status is None:
            return ""
        doubts, edits = now.status.doubts, now.status.edits
        return failures.beside(self.jobs, now.refused, doubts, edits, zone)

    def _progress_html(self, now: Reading) -> str:
        status, definition = now.status, self.jobs.definition
        if status is None or not status.workers or not now.counts:
            return ""
        words = [*map(definition.label, definition.ready), definition.claimed]
        left = sum(now.counts.get(word, 0) for word in dict.fromkeys(words))
        done = status.completed + status.failed
        return progress(progress_of(done, left, status.jobs_per_5s))

    def _failed_text(self) -> str:
        failed = self.failed
        n, grouped = failed.count or 0, sum(len(g.rows) for g in failed.groups)
        text = f"Failed: {n:,}"
        if not grouped:
            return text
        errors = counted(len(failed.groups), "error")
        newest = f" among the newest {grouped:,}" if grouped < n else ""
        return f"{text}, {errors}{newest}"

    def _also_read(self, made: Reading, sparing: bool) -> None:
        if self._acts:
            failed = made.counts.get(self.jobs.definition.failed_label, 0)
            self.failed.follow(failed, anew=not sparing)
            before = self.reader.now.stale
            if made.stale != before or self.stale.total is None:
                # the table reads what the reading is about to become
                self._stale_rows = list(made.stale)
                self.stale.load()

    def _stale_table(
        self, lane: CommandThread, changed: Callable[[], None]
    ) -> RowTable:
        label, definition = "Claimed and overdue", self.jobs.definition
        what = [name for name in self.jobs.columns if name not in SYSTEM_COLUMNS][:1]
        names = [name for name in (definition.owner, "RMT", "RMB", *what) if name]
        return RowTable(
            ListRows(lambda: self._stale_rows, lambda: names, self.jobs.types),
            drawn=rows_drawn(self.jobs, label, lambda: names),
            changed=changed,
            later=lane.submit,
        )

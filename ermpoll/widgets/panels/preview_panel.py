"""The preview: which rows the next claim would take, to search, sort and select."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import ipywidgets as W

from ermpoll import render
from ermpoll.errors import CatalogError, UsageError
from ermpoll.queue.results import Claim
from ermpoll.queue.table import Candidates
from ermpoll.records import Row
from ermpoll.render import detail, live
from ermpoll.render.page import fill
from ermpoll.render.tables import rid_of
from ermpoll.render.told import named, told
from ermpoll.render.values import clock, counted
from ermpoll.widgets.base import Panel, box, enable, html, note, show, why_not_writable
from ermpoll.widgets.parts.itables_picker import ITablesPicker
from ermpoll.widgets.parts.row_history import RowHistory
from ermpoll.widgets.parts.row_readers import QueueRows
from ermpoll.widgets.parts.row_table import RowTable, rows_drawn

if TYPE_CHECKING:
    from ermpoll.queue import Queue
    from ermpoll.queue.results import Outcome
    from ermpoll.render.shapes import HistoryLike

_OPENED = 5


class PreviewPanel(Panel):
    """Candidates as a table, page by page.

    Attributes
    ----------
    jobs
        The queue.
    table
        The table: its methods search, sort, filter and turn pages.
    read_at
        When it was read last.
    claimed
        The Claim of all that this panel's button took, or None.
    """

    def __init__(
        self,
        jobs: Queue,
        *,
        limit: int = 500,
        table: str = "plain",
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        if table not in ("plain", "itables"):
            raise UsageError(
                f"expected table to be 'plain' or 'itables', found {table!r}"
            )
        super().__init__(f"preview of {jobs.title}")
        self.jobs = jobs
        self.read_at = datetime.now(UTC)
        self.claimed: Claim | None = None
        self._changed = changed
        self._waiting = 0
        #: The rows that a question is about, or None while none is asked.
        self._asked: tuple[Row, ...] | None = None
        self._history = RowHistory(jobs)
        self.table: RowTable | ITablesPicker = (
            ITablesPicker(jobs, self._drawing.mark, limit)
            if table == "itables"
            else self._paged()
        )
        self._keep(self._history, self.table)
        self._build()
        self.look_now()
        self._show(self._head, self._error_line, self._asking, self._main)

    # what its buttons do

    def look_now(self) -> None:
        """Read the candidates again."""
        with self._acting:
            self.read_at = datetime.now(UTC)
            self.table.load()
        self.refresh()
        self._changed()

    def why(self) -> str:
        """Say of each selected row why it would be taken or not, beside it.

        At most five rows; the first ones where more are selected.
        """
        rows = self._chosen()[:_OPENED]
        said = {rid_of(row): self.jobs.why(rid_of(row)) for row in rows}
        for row in rows:
            self.table.tell(rid_of(row), self._record(row, said[rid_of(row)]))
        self.refresh()
        return "\n".join(said.values())

    def history(self) -> HistoryLike:
        """Show what became of the first selected row; returns its History."""
        rows = self._chosen()
        told = self._history.open(rows)
        self.table.tell(rid_of(rows[0]), self._history.html)
        self.refresh()
        return told

    def arm(self) -> None:
        """Ask before claiming: names the table, the number of rows and the columns.

        All that match are read now, where they are selected; it is about those.
        """
        self._asked = self._chosen()
        self.refresh()

    def disarm(self) -> None:
        """Don't claim."""
        self._asked = None
        self.refresh()

    def claim(self) -> Claim:
        """Claim just the selected rows, or those that were asked about.

        Returns
        -------
        Claim
            Its rows are held until `release`, or until they are completed by code;
            what this panel claimed before and was not finished is among them.
        """
        with self._acting:
            rows = self._asked or self._chosen()
            self._asked = None
            made = self.jobs.claim(limit=len(rows), rows=rows)
            self.claimed = _together(self.claimed, made)
            self._tell(
                f"claimed {len(made):,} of {counted(len(rows), 'row')}: "
                "complete them by code (panel.claimed), or release them"
                + self._left_out(made, rows)
            )
            self.table.clear([rid_of(row) for row in rows])
            # what is said of them there is over
            self.table.shut()
            self.look_now()
        return self.claimed

    def release(self) -> Outcome:
        """Give back what `claim` took and was not finished; returns the Outcome."""
        with self._acting:
            if self.claimed is None:
                raise UsageError("expected rows claimed by this panel, found none")
            done = self.jobs.release(self.claimed)
            self.claimed = None
            self._tell(told(done, "released {rows}"))
            self.look_now()
        return done

    # selection

    @property
    def candidates(self) -> Candidates:
        """The Candidates that are shown: one page, or all that itables has."""
        page = self.table.page
        return Candidates(
            jobs=self.jobs,
            rows=[dict(row) for row in page.rows],
            more=page.more,
            refused=dict(page.marks),
        )

    @property
    def selected(self) -> tuple[str, ...]:
        """The RIDs of the rows that are ticked, those of other pages as well."""
        return self.table.selected

    def select(self, rids: Sequence[str]) -> None:
        """Tick these rows and clear the others; RIDs not shown are left out."""
        self.table.select(rids)
        self.refresh()

    @property
    def shown(self) -> list[Row]:
        """The rows of the page."""
        return list(self.table.page.rows)

    @property
    def total(self) -> int:
        """How many candidates there were when they were read."""
        if not self.table.view.narrows and self.table.total is not None:
            self._waiting = self.table.total
        return self._waiting

    @property
    def picked(self) -> tuple[Row, ...]:
        """The rows that are ticked, whole, as they were shown."""
        return self.table.picked

    def _chosen(self) -> tuple[Row, ...]:
        rows = self.table.chosen()
        if not rows:
            raise UsageError("expected at least one selected row, found none; tick one")
        return rows

    def _left_out(self, claim: Claim, rows: Sequence[Row]) -> str:
        """Name the ticked rows that a claim did not get, and say why."""
        left = [rid for rid in map(rid_of, rows) if rid not in claim.rids]
        reasons = dict(claim.outcome.reasons)
        # the claim stands, whether or not the rest can be asked about
        with suppress(CatalogError):
            for rid in left[:_OPENED]:
                reasons[rid] = reasons.get(rid) or self.jobs.why(rid)
        return f"; not claimed: {named(left, reasons)}" if left else ""

    # drawing

    def _paged(self) -> RowTable:
        label = f"Candidates of {self.jobs.title}"
        reader = QueueRows(self.jobs)
        return RowTable(
            reader,
            drawn=rows_drawn(self.jobs, label, lambda: reader.columns),
            changed=self._drawing.mark,
            later=self._reads.submit,
            opened=lambda row: self._record(row, self.jobs.why(rid_of(row))),
            keys={"r": lambda: self._click("look_now")},
        )

    def _record(self, row: Row, said: str) -> str:
        """Give all that was read of a row, and why it would be taken or not."""
        columns = self.jobs.shown_columns("candidates")
        return detail.records(self.jobs, [row], columns, {rid_of(row): said}, self.zone)

    def _build(self) -> None:
        self._title, self._note, self._question = html(), html(), html()
        self._release = self._button("release", "Release", "Give the claimed rows back")
        acts = box(
            "ermpoll-acts",
            self._button("why", "Why", "", lane=self._reads),
            self._button("history", "History", "", lane=self._reads),
            self._button("arm", "Claim…", "Claim just the selected rows"),
            self._release,
            self._button("look_now", "Look now", "Read the candidates again"),
        )
        self._head = box("ermpoll-head", self._title, acts)
        answers = box(
            "ermpoll-acts",
            self._button("claim", "Claim", "Write now", primary=True),
            self._button("disarm", "Don't", "Write nothing"),
        )
        self._asking = box("ermpoll-head", self._question, answers)
        self._main = W.VBox([self._note, self.table.widget])
        self._main.add_class("ermpoll-body")

    def _draw(self) -> None:
        self.table.draw(self.zone)
        self._title.value = fill(
            "title.html", title=self.jobs.title, text=self._counted(), strong=""
        )
        self._note.value = note(self._answer.text or self._hint())
        self._question.value = note(self._question_text(), "warn")
        show(self._asking, self._asked is not None)
        self._draw_buttons()

    def _draw_buttons(self) -> None:
        n, buttons = self.table.picked_count, self.buttons
        reason = why_not_writable(self.jobs) or ("" if n else "Tick a row first")
        buttons.arm.description = f"Claim {n:,}…" if n else "Claim…"
        tip = "Asks first, then claims the selected rows"
        enable(buttons.arm, not reason and not self._busy("claim"), reason, tip)
        asked = counted(len(self._asked or ()), "row")
        buttons.claim.description = f"Claim {asked}"
        enable(buttons.claim, not self._busy("claim"), "Being written", "Write now")
        enable(buttons.why, bool(n), "Tick a row first", "Why it would be taken")
        tip = "What became of it, from the catalog alone"
        enable(buttons.history, bool(n), "Tick a row first", tip)
        enable(buttons.look_now, not self._busy("look_now"), tip="Read again (r)")
        show(self._release, self.claimed is not None)

    def _question_text(self) -> str:
        if self._asked is None:
            return ""
        definition = self.jobs.definition
        rows = counted(len(self._asked), "row")
        owner = f", and {definition.owner} a token" if definition.owner else ""
        return (
            f"Claim takes {rows} of {self.jobs.title}: {definition.state} becomes "
            f"{definition.claimed!r}{owner}. Nobody else takes them until you release."
        )

    def _counted(self) -> str:
        return counted(self.total, "candidate")

    def _spoken(self) -> str:
        said = self._answer.text or self._question_text()
        return said or f"candidates {self.table.said}"

    def _hint(self) -> str:
        read = clock(self.read_at, self.read_at, self.zone).text
        parts = [f"read at {read}", f"times in {live.zone_name(self.zone)}"]
        if not self.total:
            parts = ["No row is a candidate now."]
        if held := len(self.claimed.unfinished) if self.claimed else 0:
            parts.append(f"{counted(held, 'row')} claimed here and not finished")
        if reason := why_not_writable(self.jobs):
            parts.append(f"read-only: {reason}")
        return " · ".join(parts)

    def _body(self) -> str:
        return render.candidates_body(
            self.candidates, waiting=self.total, zone=self.zone
        )


def _together(before: Claim | None, made: Claim) -> Claim:
    """Return one claim of what is unfinished of both."""
    if before is None:
        return made
    held = {rid: one.holding(rid) for one in (before, made) for rid in one.unfinished}
    return Claim(replace(made.outcome, held=held))

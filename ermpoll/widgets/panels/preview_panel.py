"""The preview: which rows the next claim would take, to search, sort and select."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import ipywidgets as W

from ermpoll import render
from ermpoll.errors import CatalogError, UsageError
from ermpoll.queue.results import Claim
from ermpoll.records import JSON, Row
from ermpoll.render import detail, live
from ermpoll.render.page import fill
from ermpoll.render.tables import rid_of
from ermpoll.render.told import named, told
from ermpoll.render.values import clean, clock, counted
from ermpoll.widgets.base import Panel, box, enable, html, note, show, why_not_writable
from ermpoll.widgets.parts.itables_picker import ITablesPicker
from ermpoll.widgets.parts.row_history import RowHistory
from ermpoll.widgets.parts.row_picker import RowPicker

if TYPE_CHECKING:
    from ermpoll.queue import Queue
    from ermpoll.queue.results import Outcome
    from ermpoll.render.shapes import HistoryLike

_SHOWN = 50
_OPENED = 5


class PreviewPanel(Panel):
    """Candidates as a table.

    Attributes
    ----------
    jobs
        The queue.
    candidates
        The Candidates that were read last.
    read_at
        When that was.
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
        self.candidates: Any = None
        self.read_at = datetime.now(UTC)
        self.claimed: Claim | None = None
        self._limit = limit
        self._by_itables = table == "itables"
        self._changed = changed
        self._waiting: int | None = None
        self._said = ""
        self._counted = ""
        self._opened = ""
        self._history = RowHistory(jobs)
        self._keep(self._history)
        self._build()
        self.look_now()
        self._show(self._head, self._error_line, self._main)

    # what its buttons do

    def look_now(self) -> None:
        """Read the candidates again."""
        with self._acting:
            self.read_at = datetime.now(UTC)
            self.candidates = self.jobs.candidates(limit=self._limit)
            more = self.candidates.more
            self._waiting = self.jobs.waiting() if more else len(self.candidates)
        self.refresh()
        self._changed()

    def why(self) -> str:
        """Say of each selected row why it would be taken or not, and show its values.

        At most five rows; the first ones where more are selected.
        """
        rows = self._chosen()[:_OPENED]
        said = {rid_of(row): self.jobs.why(rid_of(row)) for row in rows}
        self._opened = detail.records(
            self.jobs, rows, self.candidates.columns, said, self.zone
        )
        self.refresh()
        return "\n".join(said.values())

    def history(self) -> HistoryLike:
        """Show what became of the first selected row; returns its History."""
        told = self._history.open(self._chosen())
        self._opened = self._history.html
        self.refresh()
        return told

    def claim(self) -> Claim:
        """Claim just the selected rows.

        Returns
        -------
        Claim
            Its rows are held until `release`, or until they are completed by code;
            what this panel claimed before and was not finished is among them.
        """
        with self._acting:
            rows = self._chosen()
            made = self.jobs.claim(limit=len(rows), rows=rows)
            self.claimed = _together(self.claimed, made)
            self._said = (
                f"claimed {len(made):,} of {counted(len(rows), 'row')}: "
                "complete them by code (panel.claimed), or release them"
                + self._left_out(made, rows)
            )
            self.look_now()
        return self.claimed

    def release(self) -> Outcome:
        """Give back what `claim` took and was not finished; returns the Outcome."""
        with self._acting:
            if self.claimed is None:
                raise UsageError("expected rows claimed by this panel, found none")
            done = self.jobs.release(self.claimed)
            self.claimed = None
            self._said = told(done, "released {rows}")
            self.look_now()
        return done

    # selection

    @property
    def selected(self) -> tuple[str, ...]:
        """The RIDs of the rows that are ticked, from the top."""
        return self._picks.selected

    def select(self, rids: Sequence[str]) -> None:
        """Tick these rows and clear the others; RIDs not shown are left out."""
        self._picks.select(rids)
        self.refresh()

    @property
    def shown(self) -> list[Row]:
        """The rows that match the search, sorted, at most 50 without itables."""
        return self._cut(self._matching())

    @property
    def total(self) -> int:
        """How many candidates there were when they were read."""
        return self._waiting if self._waiting is not None else len(self.candidates)

    @property
    def picked(self) -> tuple[Row, ...]:
        """The rows that are ticked, from the top, as they were listed."""
        return self._picks.picked

    def _chosen(self) -> tuple[Row, ...]:
        rows = self.picked
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

    def _build(self) -> None:
        mark = self._drawing.mark
        self._title = html()
        self._search = W.Text(description="Search", placeholder="in the rows read")
        self._sort = W.Dropdown(description="Sort by", options=[("as taken", "")])
        self._down = W.ToggleButton(description="descending", tooltip="Largest first")
        for control in (self._search, self._sort, self._down):
            control.observe(lambda _: mark(), "value")
        label = f"Candidates of {self.jobs.title}"
        self._picks: RowPicker | ITablesPicker = (
            ITablesPicker(label, mark)
            if self._by_itables
            else RowPicker(label, _SHOWN, mark)
        )
        self._keep(self._picks)
        self._note, self._details = html(), html()
        self._release = self._button("release", "Release", "Give the claimed rows back")
        acts = box(
            "ermpoll-acts",
            self._button("why", "Why", "Say why the selected rows would be taken"),
            self._button(
                "history", "History", "Tell the first row's life", lane=self._reads
            ),
            self._button("claim", "Claim selected", "Claim just the selected rows"),
            self._release,
            self._button("look_now", "Look now", "Read the candidates again"),
        )
        self._head = box("ermpoll-head", self._title, acts)
        tools = box("ermpoll-acts", self._search, self._sort, self._down)
        # itables has a search and an order of its own.
        show(tools, not self._by_itables)
        self._main = W.VBox([tools, self._note, self._picks.widget, self._details])
        self._main.add_class("ermpoll-body")

    def _draw(self) -> None:
        names = [name for name in self.candidates.columns if name != "RID"][:20]
        options = (("as taken", ""), *((clean(name, 40), name) for name in names))
        if self._sort.options != options:
            self._sort.options = options
        matching = self._matching()
        shown = self._cut(matching)
        self._picks.show(self.jobs, shown, self.candidates.columns, self.zone)
        self._counted = self._counts(len(shown), len(matching))
        self._title.value = fill(
            "title.html",
            title=self.jobs.title,
            text=self._counted,
            strong="",
        )
        self._note.value = note(self._said or self._hint())
        self._details.value = self._opened
        self._draw_buttons()

    def _draw_buttons(self) -> None:
        chosen = len(self.selected)
        reason = why_not_writable(self.jobs) or ("" if chosen else "Tick a row first")
        buttons = self.buttons
        buttons.claim.description = f"Claim {chosen:,} selected" if chosen else "Claim"
        state = self.jobs.definition.state
        tip = f"Write to {self.jobs.title}: {state} of the selected rows"
        enable(buttons.claim, not reason and not self._busy("claim"), reason, tip)
        enable(buttons.why, bool(chosen), "Tick a row first", "Why it would be taken")
        tip = "What became of it, from the catalog alone"
        enable(buttons.history, bool(chosen), "Tick a row first", tip)
        enable(buttons.look_now, not self._busy("look_now"), tip="Read again")
        show(self._release, self.claimed is not None)

    def _counts(self, shown: int, matching: int) -> str:
        text = f"showing {shown:,} of {counted(self.total, 'candidate')}"
        if self._search.value:
            text += f", {matching:,} match “{clean(self._search.value, 40)}”"
        return text + (f" · {len(self.selected):,} selected" if self.selected else "")

    def _spoken(self) -> str:
        return self._said or self._counted

    def _hint(self) -> str:
        if not len(self.candidates):
            return "No row is a candidate now."
        reason = why_not_writable(self.jobs)
        read = clock(self.read_at, self.read_at, self.zone).text
        zone = f"read at {read} · times in {live.zone_name(self.zone)}"
        return f"{zone} · read-only: {reason}" if reason else zone

    def _body(self) -> str:
        return render.candidates_body(
            self.candidates, waiting=self._waiting, zone=self.zone
        )

    def _cut(self, rows: list[Row]) -> list[Row]:
        return rows if self._by_itables else rows[:_SHOWN]

    def _matching(self) -> list[Row]:
        wanted = self._search.value.casefold()
        columns = self.candidates.columns
        rows = [
            row
            for row in self.candidates.rows
            if not wanted or any(wanted in _text(row.get(name)) for name in columns)
        ]
        name = self._sort.value
        if name:
            filled = [row for row in rows if row.get(name) is not None]
            filled.sort(key=lambda row: _order(row[name]), reverse=self._down.value)
            # NULL last, whichever way.
            rows = filled + [row for row in rows if row.get(name) is None]
        elif self._down.value:
            rows.reverse()
        return rows


def _together(before: Claim | None, made: Claim) -> Claim:
    """Return one claim of what is unfinished of both."""
    if before is None:
        return made
    held = {rid: one.holding(rid) for one in (before, made) for rid in one.unfinished}
    return Claim(replace(made.outcome, held=held))


def _text(value: JSON) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text[:10_000].casefold()


def _order(value: JSON) -> tuple[int, float, str]:
    """Numbers before texts before the rest."""
    if isinstance(value, int | float):
        return (0, float(value), "")
    if isinstance(value, str):
        return (1, 0.0, value.casefold())
    return (2, 0.0, _text(value))

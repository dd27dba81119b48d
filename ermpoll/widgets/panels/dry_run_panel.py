"""The dry run: what a transform would write, and after a question, writing it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import ipywidgets as W

from ermpoll.catalog.clock import time_text
from ermpoll.errors import UsageError
from ermpoll.queue.rids import rids_of
from ermpoll.records import Transform
from ermpoll.render import outcome_body
from ermpoll.render.values import clean, counted
from ermpoll.widgets.base import box, enable, html, note, show, why_not_writable
from ermpoll.widgets.panels.diff_panel import DiffPanel
from ermpoll.widgets.parts.dry_run_task import DryRunTask

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from ermpoll.queue import Queue
    from ermpoll.queue.results import Outcome, Plan


class DryRunPanel(DiffPanel):
    """What a transform would change, and the buttons to write it and take it back.

    Attributes
    ----------
    jobs
        The queue.
    transform
        The function; `run` takes another.
    when
        The moment whose rows are tried, as `Queue.at` takes it; None: now.
    outcome
        The Outcome of the last `apply` or `undo` since the last run, or None.
    """

    def __init__(
        self,
        jobs: Queue,
        transform: Transform | None = None,
        *,
        limit: int = 50,
        rows: Callable[[], object] = lambda: None,
    ) -> None:
        self.transform = transform
        self.when: datetime | timedelta | str | None = None
        self.outcome: Outcome | None = None
        self._limit = limit
        self._rows = rows
        self._armed: Literal["", "apply", "undo"] = ""
        super().__init__(jobs)

    # what its buttons do

    def run(self, transform: Transform | None = None) -> Plan | None:
        """Try the transform on the candidates again; nothing is written.

        A function that was defined anew in the notebook under the same name is taken
        in its new form.

        Parameters
        ----------
        transform
            Another function to try from now on.

        Returns
        -------
        Plan or None
            None when the run was cancelled.
        """
        with self._acting:
            self.transform = transform or _newest(self.transform)
            self._armed, self.outcome = "", None
            return super().run()

    def travel(self, when: datetime | timedelta | str | None = None) -> Plan | None:
        """Try the same on the rows of another time; returns the Plan.

        What is shown then can be saved, and not be applied: nobody writes to the past.

        Parameters
        ----------
        when
            A time with its zone, how long ago ("24 h"), or None for now.
        """
        with self._acting:
            self.when = when
            return self.run()

    def arm(self) -> None:
        """Ask before applying: names the table, the number of rows and the columns."""
        self._need_plan()
        self._armed = "apply"
        self.refresh()

    def arm_undo(self) -> None:
        """Ask before undoing."""
        self._armed = "undo"
        self.refresh()

    def disarm(self) -> None:
        """Don't apply and don't undo."""
        self._armed = ""
        self.refresh()

    def apply(self) -> Outcome:
        """Send exactly what is shown; returns the Outcome.

        Rows that changed since they were read, and rows with a problem, are left
        alone.
        """
        plan = self._need_plan()
        with self._acting:
            self._armed, self._writes = "", 0
            with self._counting():
                self.outcome = plan.apply()
            self._table.show(plan, self._read)
        self.refresh()
        return self.outcome

    def undo(self) -> Outcome:
        """Set what this panel wrote back to what it was; returns the Outcome.

        Rows that changed since are left alone.
        """
        with self._acting:
            self._armed = ""
            if self.outcome is None or self.outcome.action != "apply":
                raise UsageError("expected something applied by this panel, found none")
            with self._counting():
                self.outcome = self.outcome.undo().apply()
        self.refresh()
        return self.outcome

    # drawing

    def _make(self, task: DryRunTask) -> Plan:
        jobs = self.jobs if self.when is None else self.jobs.at(self.when)
        chosen = self._rows()
        if chosen is None:
            found = jobs.candidates(limit=self._limit)
            rids = found.rids
            task.begin(len(rids), jobs.waiting() if found.more else len(rids))
        else:
            rids = rids_of(chosen)
            task.begin(len(rids))
        transform = task.watched(self.transform) if self.transform else None
        return jobs.plan(transform, limit=max(len(rids), 1), rows=rids)

    def _buttons_after(self) -> Sequence[W.Widget]:
        # no slider: its handle has no name for who can't see it
        self._as_of = W.Dropdown(options=_TIMES, value=_NOW, description="As of")
        self._as_of.observe(self._slid, "value")
        return (
            self._as_of,
            self._button("arm_undo", "Undo…", "Set back what this panel wrote"),
            self._button("arm", "Apply…", "Write what is shown", primary=True),
        )

    def _rows_between(self) -> Sequence[W.Widget]:
        self._question = html()
        answers = box(
            "ermpoll-acts",
            self._button("apply", "Apply", "Write now", primary=True),
            self._button("undo", "Undo", "Write now", primary=True),
            self._button("disarm", "Don't", "Write nothing"),
        )
        self._arming = box("ermpoll-head", self._question, answers)
        return (self._arming,)

    def _slid(self, change: dict[str, object]) -> None:
        # set by a hand, or by `travel` itself
        if change["new"] != (self.when or _NOW):
            when = self._as_of.value or None
            self._commands.submit("travel", lambda: self.travel(when))
            self._drawing.mark()

    def _draw(self) -> None:
        super()._draw()
        # a moment that was told by code has no place on it
        if (self.when or _NOW) in dict(_TIMES).values() and not self._busy("travel"):
            self._as_of.value = self.when or _NOW
        self._question.value = note(self._asked(), "warn")
        show(self._arming, bool(self._armed))
        buttons, changes, done = self.buttons, self._sendable(), self._undoable()
        why = why_not_writable(self.jobs) or self._why_not()
        enable(buttons.arm, not why, why, "Asks first, then writes what is shown")
        buttons.arm.description = f"Apply {changes:,}…" if changes else "Apply…"
        buttons.arm_undo.description = f"Undo {len(done):,}…"
        show(buttons.arm_undo, bool(done))
        for word, number in (("apply", changes), ("undo", len(done))):
            button = getattr(buttons, word)
            show(button, self._armed == word)
            enable(button, not self._busy(word), "Being written", "Write now")
            button.description = f"{word.capitalize()} {counted(number, 'row')}"

    def _why_not(self) -> str:
        if self.is_running:
            return "A run is going on"
        if self._plan is not None and (why := why_not_writable(self._plan.jobs)):
            return why
        if self.outcome is not None:
            return "Applied; run again for more"
        return "" if self._sendable() else "Nothing to apply"

    def _sendable(self) -> int:
        return sum(len(put.rows) for put in self._plan.puts) if self._plan else 0

    def _undoable(self) -> Sequence[str]:
        done = self.outcome
        return done.won if done is not None and done.action == "apply" else ()

    def _asked(self) -> str:
        if self._armed == "undo":
            rows = counted(len(self._undoable()), "row")
            return f"Undo sets {rows} of {self.jobs.title} back to what they were."
        if self._plan is None:
            return ""
        sent = {n for c in self._plan.changes if c.kind == "changed" for n in c.diff}
        named = [clean(name, 40) for name in self._plan.columns if name in sent]
        columns = ", ".join(named[:20]) + ("…" if len(named) > 20 else "")
        rows = counted(self._sendable(), "row")
        return f"Apply writes {rows} of {self.jobs.title}, columns {columns}."

    def _summary(self) -> str:
        jobs = self._plan.jobs if self._plan is not None else self.jobs
        if not jobs.catalog.is_snapshot:
            return super()._summary()
        return f"as of {time_text(jobs.catalog.now())[:19]} UTC · {super()._summary()}"

    def _sent(self) -> str:
        if self.outcome is None:
            return super()._sent()
        return counted(self._writes, "write") + " sent"

    def _state(self) -> object:
        return self.outcome

    def _found(self) -> str:
        return outcome_body(self.outcome) if self.outcome else ""


#: Where the menu stands for now, since it takes no None.
_NOW = ""
#: How far it goes back, in words for people and for `Queue.at`; time runs to the right.
_AGO = [
    "30 d",
    "14 d",
    "7 d",
    "3 d",
    "2 d",
    "1 d",
    "12 h",
    "6 h",
    "3 h",
    "1 h",
    "15 min",
    "5 min",
]
_TIMES = (*((f"{ago} ago", ago) for ago in _AGO), ("now", _NOW))


def _newest(transform: Transform | None) -> Transform | None:
    """Return the function of that name as the notebook defined it last."""
    if getattr(transform, "__module__", None) != "__main__":
        return transform
    name = getattr(transform, "__qualname__", "")
    found = getattr(sys.modules["__main__"], name, None)
    return found if callable(found) else transform

"""A panel that tries something without writing: run, progress, cancel, the diff."""

from __future__ import annotations

import re
import threading
import weakref
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import ipywidgets as W

from ermpoll import render
from ermpoll.errors import UsageError
from ermpoll.history.comparison import Comparison, compare
from ermpoll.render.comparisons import since_before
from ermpoll.render.page import fill, fitted
from ermpoll.render.tables import tally
from ermpoll.render.values import counted
from ermpoll.widgets.base import Panel, box, enable, html, note, show
from ermpoll.widgets.parts.csv_export import csv_text
from ermpoll.widgets.parts.dry_run_task import DryRunTask
from ermpoll.widgets.parts.plan_table import PlanTable

if TYPE_CHECKING:
    from ermpoll.queue import Queue
    from ermpoll.queue.results import Plan

#: How long a saved page waits for the first run to end, in seconds.
_FIRST_S = 3.0
#: The last panel of each kind over each table: what the next compares itself with.
_last: weakref.WeakValueDictionary[tuple[str, ...], DiffPanel] = (
    weakref.WeakValueDictionary()
)


class DiffPanel(Panel):
    """What would be written, cell by cell. Each kind says what it tries."""

    title = "Dry run"

    def __init__(self, jobs: Queue) -> None:
        super().__init__(f"dry run on {jobs.title}")
        self.jobs = jobs
        self._plan: Plan | None = None
        self._before: Plan | None = None
        self._task: DryRunTask | None = None
        self._writes = 0
        self._read: tuple[str, ...] = ()
        self._saved: Path | None = None
        self._said = ""
        #: What the last result was drawn from, and its HTML.
        self._drawn: tuple[tuple[object, ...], str] = ((), "")
        self._table = PlanTable(
            jobs,
            changed=self._drawing.mark,
            later=self._reads.submit,
            keys={"r": lambda: self._click("run")},
        )
        self._keep(self._table)
        self._first = threading.Event()
        self._first.set()
        key = (type(self).__name__, str(jobs.catalog.url), str(jobs.title))
        if key in _last:
            self._before = _last[key]._plan
        _last[key] = self
        self._build()
        self._show(self._head, self._error_line, *self._rows_between(), self._main)

    def begin(self) -> DiffPanel:
        """Begin the first run in the background, and return the panel."""
        self._first.clear()
        self._click("run")
        return self

    def close(self) -> None:
        """Cancel a run that is going on, and close. Twice is once."""
        self.cancel()
        super().close()

    # what its buttons do

    def run(self) -> Plan | None:
        """Try again; nothing is written. Returns the Plan, or None when cancelled."""
        with self._acting:
            self._said, self._writes = "", 0
            task = self._task = DryRunTask(
                self.jobs.catalog,
                self._make,
                moved=self._drawing.mark,
                name=f"{self._name}-run",
            )
            try:
                with self._counting():
                    made = task.run()
                self._take(made, task)
            finally:
                # Whoever waits for the first run finds what came of it.
                self._first.set()
        self.refresh()
        return made

    def cancel(self) -> None:
        """End the run that is going on; what it found is dropped."""
        if self._task is not None:
            self._task.cancel()
        self._drawing.mark()

    def csv(self, path: str | Path | None = None) -> Path:
        """Save the changes as a CSV file, one line a changed cell.

        Parameters
        ----------
        path
            A new file; by default one named by table and time in the current
            directory. An existing file is never overwritten.

        Raises
        ------
        UsageError
            No file can be made there.

        Notes
        -----
        A text that a spreadsheet would read as a formula gets an apostrophe before
        it.
        """
        text = csv_text(self._need_plan())
        table = re.sub(r"\W+", "-", str(self.jobs.title))[:60]
        at = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        made = Path(path or f"dry-run-{table}-{at}.csv")
        try:
            with made.open("x", encoding="utf-8", newline="") as file:
                file.write(text)
        except OSError as error:
            raise UsageError(
                f"expected to make the file {made}, found that it can't be "
                f"({error.strerror}); name another place: csv(path)"
            ) from error
        self._saved = made
        self._said = f"saved {made}"
        self.refresh()
        return made

    def download(self) -> None:
        """Have the browser save the file that `csv` wrote as well.

        It may run on another machine than the kernel.
        """
        if self._saved is None:
            raise UsageError("expected a saved file, found none; csv() it first")
        self._browser.save(self._saved.name, self._saved.read_bytes())

    @property
    def plan(self) -> Plan | None:
        """The plan that is shown; waits for a run that is going on."""
        self._first.wait()
        with self._acting:
            return self._plan

    @property
    def would(self) -> tuple[str, ...]:
        """Writes that the function itself tried, refused: ``would PUT ...``."""
        return tuple(self._task.would) if self._task else ()

    @property
    def is_running(self) -> bool:
        """Whether a run is going on."""
        return self._task is not None and not self._task.is_over

    # what each kind says

    @abstractmethod
    def _make(self, task: DryRunTask) -> Plan:
        """Make the plan of a run, on the task's own thread."""

    @abstractmethod
    def _buttons_after(self) -> Sequence[W.Widget]:
        """Buttons after those that every kind has."""

    @abstractmethod
    def _found(self) -> str:
        """HTML before the table: what came of a run or of a write."""

    def _rows_between(self) -> Sequence[W.Widget]:
        """Rows between the head and the table."""
        return ()

    # one run after the other

    @contextmanager
    def _counting(self) -> Iterator[None]:
        """Add the writes that the catalog's transport sends meanwhile."""
        before = self.jobs.catalog.writes
        try:
            yield
        finally:
            self._writes += self.jobs.catalog.writes - before

    def _sent(self) -> str:
        """Say how many writes were sent. A dry run's own are refused."""
        sent = counted(self._writes, "write") + " sent"
        return f"{sent} meanwhile, by running agents" if self._writes else sent

    def _take(self, made: Plan | None, task: DryRunTask) -> None:
        if task.is_cancelled:
            hangs = (
                "; the function hangs in a call that can't be ended, and until it "
                "returns only running agents may write"
            )
            self._said = f"cancelled after {counted(task.passed, 'row')}" + (
                hangs if task.is_abandoned else ""
            )
            return
        if self._plan is not None:
            self._before = self._plan
        self._plan = made
        if made is not None:
            self._read = tuple(task.read)
            self._table.show(made, self._read)

    def _need_plan(self) -> Plan:
        self._first.wait()
        if self._plan is None:
            raise UsageError("expected a finished dry run, found none; run() it first")
        return self._plan

    # drawing

    def _build(self) -> None:
        self._title, self._result, self._progress_text = html(), html(), html()
        self._puts = html()
        self._bar = W.IntProgress(layout=W.Layout(width="200px"))
        cancel = self._button(
            "cancel", "Cancel", "End the run; nothing is kept", lane=self._reads
        )
        self._progress = box("ermpoll-acts", self._bar, self._progress_text, cancel)
        acts = box(
            "ermpoll-acts",
            self._button("run", "Run again", "Try the function again; writes nothing"),
            self._button("csv", "CSV", "Save the changes as a CSV file"),
            self._button("download", "Download", "Save it on your own machine"),
            *self._buttons_after(),
        )
        self._head = box("ermpoll-head", self._title, acts)
        table = self._table.table.widget
        self._main = W.VBox([self._progress, self._result, table, self._puts])
        self._main.add_class("ermpoll-body")

    def _draw(self) -> None:
        running = self.is_running
        show(self._progress, running)
        if self._task is not None and running:
            self._bar.max = max(self._task.total, 1)
            self._bar.value = self._task.passed
            self._progress_text.value = note(_progress(self._task))
        self._title.value = self._title_html(self.title)
        self._result.value = self._result_html()
        self._table.draw(self.zone)
        self._puts.value = render.puts(self._plan) if self._plan else ""
        show(self._table.table.widget, self._plan is not None)
        enable(self.buttons.run, not running, "A run is going on", "Writes nothing")
        show(self.buttons.download, self._saved is not None)
        ready = self._plan is not None
        enable(
            self.buttons.csv, ready, "Nothing to save yet", "One line a changed cell"
        )

    def _spoken(self) -> str:
        return self._summary()

    def _title_html(self, title: str) -> str:
        text, strong = self._summary(), self._sent()
        return fill("title.html", title=title, text=text, strong=strong)

    def _summary(self) -> str:
        if self._plan is None:
            return self._said or ("running" if self.is_running else "not run yet")
        waiting = self._task.waiting if self._task else None
        seen = len(self._plan.changes)
        of = f"{seen:,} of {waiting:,}" if waiting and waiting > seen else f"{seen:,}"
        said = f" · {self._said}" if self._said else ""
        return f"{of} candidates · {tally(self._plan.changes)}{said}"

    def _result_html(self) -> str:
        """Give what stands above the table; made anew when something has changed."""
        state = (self._plan, self._before, self._state(), self.would, self.zone)
        if state != self._drawn[0]:
            self._drawn = (state, self._above() + self._compared())
        return self._drawn[1]

    def _state(self) -> object:
        """Give what `_found` is made of."""
        return None

    def _above(self) -> str:
        would = fill("dry_run.html", plan="", would=list(self.would), results="")
        return would + self._found()

    def _compared(self) -> str:
        plan = self._plan
        since = self._since_before(plan) if plan else None
        return fitted(lambda caps: since_before(since, caps)) if since else ""

    def _since_before(self, plan: Plan) -> Comparison | None:
        """Hold the plan beside the one before, if both speak of one name."""
        before = self._before
        # in the past the table may have been called something else
        if before is None or before.jobs.title != plan.jobs.title:
            return None
        return compare(before, plan, labels=("run before", "this run"))

    def _body(self) -> str:
        # A page that is saved at once should show the first run, if it is quick.
        self._first.wait(_FIRST_S)
        parts = [self._title_html(f"Dry run on {self.jobs.title}"), self._result_html()]
        plan = self._plan
        if plan is not None:
            parts.append(
                fitted(
                    lambda caps: render.plan_body(
                        plan, caps, zone=self.zone, headed=False
                    )
                )
            )
        return "".join(parts)


def _progress(task: DryRunTask) -> str:
    if not task.total:
        return "reading candidates"
    share = 100 * task.passed // task.total
    return f"{task.passed:,} of {task.total:,}, {share} %"

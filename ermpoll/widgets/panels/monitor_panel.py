"""The monitor: what an agent or a poller does, and the buttons to steer it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import ipywidgets as W

from ermpoll.errors import UsageError
from ermpoll.records import Event, Row, Status
from ermpoll.render import live
from ermpoll.render.told import told
from ermpoll.widgets.base import (
    Panel,
    box,
    enable,
    html,
    show,
    why_not_writable,
)
from ermpoll.widgets.parts.table_section import TableSection

if TYPE_CHECKING:
    from ermpoll.agent import Agent
    from ermpoll.polling import Poller
    from ermpoll.queue import Queue
    from ermpoll.queue.results import Outcome
    from ermpoll.render.shapes import HistoryLike


class MonitorPanel(Panel):
    """A live view of an agent or a poller.

    It holds the agent; the agent does not hold it. Closing it stops nothing.

    Attributes
    ----------
    agent
        The agent or poller.
    jobs
        Its queue, or None.
    """

    def __init__(
        self,
        agent: Agent | Poller,
        *,
        jobs: Queue | None = None,
        acts: bool = True,
        folded: bool = False,
    ) -> None:
        super().__init__(f"monitor of {agent.name}")
        self.agent = agent
        self.jobs: Queue | None = jobs or getattr(agent, "jobs", None)
        self._folded = self._foldable = folded
        self._table: TableSection | None = None
        if self.jobs is not None:
            mark = self._drawing.mark
            self._table = TableSection(self.jobs, self._reads, mark, acts=acts)
            self._keep(self._table)
        self._said = ""
        self._again: float | None = None
        self._build()
        self._unsubscribe = agent.subscribe(_listener(self))
        if self._table is not None and not folded:
            self._table.reader.read()
        self._show(self._head, self._error_line, self._sections)

    # what its buttons do

    def start(self) -> Agent | Poller:
        """Start it, or a second time do nothing; returns the agent or poller."""
        with self._acting:
            self._said = ""
            self.agent.start()
        self.refresh()
        return self.agent

    def stop(self, timeout_s: float = 30) -> bool:
        """Stop it: it finishes or gives back what it holds, within the time."""
        with self._acting:
            before: Status = self.agent.status
            made = self.agent.stop(timeout_s=timeout_s)
            self._said = live.left(before, self.agent.status)
        self.refresh()
        return made

    def pause(self) -> None:
        """Take no more rows until `resume`."""
        self.agent.pause()
        self.refresh()

    def resume(self) -> None:
        """Go on after `pause`."""
        self.agent.resume()
        self.refresh()

    def look_now(self) -> None:
        """Look at once, whenever the next look is due."""
        self.agent.look_now()
        self.refresh()

    def unfold(self) -> None:
        """Show all of it, or a second time only its head line."""
        self._folded = not self._folded
        self.refresh()

    def retry(self) -> Outcome:
        """Make the ticked failed rows ready again; returns the Outcome."""
        with self._acting:
            table = self._need_table()
            done = table.jobs.retry(table.ticked("retry"))
        return self._done(done, "{rows} ready again")

    def rescue(self) -> Outcome:
        """Free the ticked overdue rows; returns the Outcome."""
        with self._acting:
            table = self._need_table()
            done = table.jobs.rescue(table.ticked("rescue"))
        return self._done(done, "{rows} freed")

    def open(self) -> str:
        """Show the ticked failed rows in full; returns their errors."""
        said = self._need_table().open(self.zone)
        self.refresh()
        return said

    def history(self) -> HistoryLike:
        """Show what became of the first ticked row; returns its History."""
        told = self._need_table().history()
        self.refresh()
        return told

    @property
    def selected(self) -> tuple[str, ...]:
        """The RIDs of the failed rows that are ticked."""
        return self._table.failures.selected if self._table else ()

    @property
    def picked(self) -> tuple[Row, ...]:
        """The failed rows that are ticked, as they were listed."""
        return self._table.failures.picked if self._table else ()

    def select(self, rids: Sequence[str]) -> None:
        """Tick these failed or overdue rows and clear the others."""
        self._need_table().select(rids)
        self.refresh()

    def close(self) -> None:
        """Close the view; the agent or poller goes on. Twice is once."""
        self._unsubscribe()
        super().close()

    def _need_table(self) -> TableSection:
        if self._table is None:
            raise UsageError(
                "expected a monitor of an agent, found one of a poller: it has no rows"
            )
        return self._table

    def _done(self, done: Outcome, said: str) -> Outcome:
        self._said = told(done, said)
        self._need_table().done(done)
        self.refresh()
        return done

    # drawing

    def _build(self) -> None:
        self._title, self._figures = html(), html()
        self._running, self._failed, self._log = html(), html(), html()
        self._head = box(
            "ermpoll-head", self._title, box("ermpoll-acts", *self._main())
        )
        if self._table is not None:
            self._table.place(
                self._button("retry", "Retry", "Make the ticked rows ready again"),
                self._button("open", "Open", "Show the ticked rows in full"),
                self._button(
                    "history", "History", "Tell a row's life", lane=self._reads
                ),
                self._button("rescue", "Rescue", "Free the ticked overdue rows"),
            )
        table = self._table
        self._sections = box(
            "ermpoll-grid",
            W.VBox([*([table.counts] if table else []), self._figures]),
            self._running,
            self._failed,
            *self._extra(),
            *([table.widget] if table else []),
            self._log,
        )

    def _main(self) -> list[W.Button]:
        return [
            self._button("look_now", "Look now", "Look at once", lane=self._reads),
            self._button("pause", "Pause", "Take no more rows", lane=self._reads),
            self._button("resume", "Resume", "Go on", lane=self._reads),
            self._button("stop", "Stop", "Finish or give back what is held, and stop"),
            self._button("start", "Start", "Start in the background", primary=True),
            self._button("unfold", "Details", "Show more of it, or less"),
        ]

    def _extra(self) -> list[W.Widget]:
        """What a panel of another kind adds to the sections."""
        return []

    def _draw(self) -> None:
        status: Status = self.agent.status
        table = None if self._folded else self._table
        waits_s = table.reader.follow(status) if table is not None else None
        show(self._sections, not self._folded)
        now = datetime.now(UTC)
        self._again = _again_s(status, waits_s)
        self._title.value = live.head(status, now=now, zone=self.zone, said=self._said)
        self._figures.value = live.figures(status)
        self._running.value = live.running(status, self.jobs, now=now)
        show(self._running, bool(status.workers))
        self._failed.value = live.failures(status, now=now, zone=self.zone)
        show(self._failed, bool(status.failures))
        self._log.value = live.log(status, now=now, zone=self.zone)
        if table is not None:
            table.draw(self.zone)
        self._draw_buttons(status)

    def _draw_buttons(self, status: Status) -> None:
        buttons = self.buttons
        stopped = status.state == "stopped"
        paused = status.state == "paused"
        reason = why_not_writable(self.jobs) if status.workers else ""
        show(buttons.start, stopped)
        show(buttons.unfold, self._foldable)
        show(buttons.stop, not stopped)
        show(buttons.pause, not stopped and not paused)
        show(buttons.resume, paused)
        enable(buttons.look_now, not stopped, "Start it first", "Look at once")
        enable(buttons.start, not reason, reason, "Start in the background")
        stopping = status.state == "stopping" or self._busy("stop")
        enable(buttons.stop, not stopping, "Stopping", "Finish or give back, and stop")
        if self._table is not None:
            self._table.allow(buttons)

    def _spoken(self) -> str:
        state: str = self.agent.status.state
        # What it does from second to second is not worth an interruption.
        state = "running" if state in ("waiting", "looking", "working") else state
        return f"{self.agent.name}: {self._said or state}"

    def _again_s(self) -> float | None:
        return self._again

    def _body(self) -> str:
        status: Status = self.agent.status
        now = datetime.now(UTC)
        parts = [live.head(status, now=now, zone=self.zone, said=self._said)]
        if self._table is not None:
            parts.append(self._table.counts_html())
        parts += [
            live.figures(status),
            live.running(status, self.jobs, now=now),
            live.failures(status, now=now, zone=self.zone),
            live.log(status, now=now, zone=self.zone),
        ]
        return "".join(parts)


def _again_s(status: Status, waits_s: float | None) -> float | None:
    """While something runs its durations move, once a second."""
    if status.state == "stopped":
        return waits_s
    return min(1.0, waits_s) if waits_s is not None else 1.0


def _listener(panel: Panel) -> Callable[[Event], None]:
    """A listener that does not keep its panel alive."""
    mark = weakref.WeakMethod(panel._drawing.mark)

    def heard(_: Event) -> None:
        ask = mark()
        if ask is not None:
            ask()

    return heard

"""The monitor: what an agent or a poller does, and the buttons to steer it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import ipywidgets as W

from ermpoll.errors import UsageError
from ermpoll.records import Row, Status
from ermpoll.render import live
from ermpoll.render.told import left, told
from ermpoll.widgets.base import (
    Panel,
    box,
    enable,
    html,
    listener_of,
    note,
    show,
    why_not_writable,
)
from ermpoll.widgets.parts.agent_controls import AgentControls
from ermpoll.widgets.parts.table_section import TableSection

if TYPE_CHECKING:
    from ermpoll.agent import Agent
    from ermpoll.history import Shadow
    from ermpoll.polling import Poller
    from ermpoll.queue import Queue
    from ermpoll.queue.results import Outcome
    from ermpoll.render.shapes import HistoryLike


#: The buttons beside the rows of the table.
_TABLE_BUTTONS = (
    ("retry", "Retry", "Make the ticked rows ready again"),
    ("retry_alike", "Retry these", "Make all rows ready again that failed alike"),
    ("open", "Open", "Show the ticked rows in full"),
    ("history", "History", "Tell a row's life"),
    ("rescue", "Rescue", "Free the ticked overdue rows"),
)
#: Lines of the log that are shown: what is below it is to be in sight as well.
_LOG_LINES = 7
_OF_TABLE = {word for word, _, _ in _TABLE_BUTTONS}


class MonitorPanel(Panel):
    """A live view of an agent, a poller or a shadow.

    It holds the agent; the agent does not hold it. Closing it stops nothing.

    Attributes
    ----------
    agent
        The agent, poller or shadow.
    jobs
        Its queue, or None.
    """

    def __init__(
        self,
        agent: Agent | Poller | Shadow,
        *,
        jobs: Queue | None = None,
        acts: bool = True,
        folded: bool = False,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(f"monitor of {agent.name}")
        self.agent: Agent | Poller | Shadow = agent
        self.jobs: Queue | None = jobs or getattr(agent, "jobs", None)
        self._folded = self._foldable = folded
        self._changed = changed
        #: Whether its head line names the zone of its times: no panel around it does.
        self._zoned = True
        self._table: TableSection | None = None
        if self.jobs is not None:
            self._table = TableSection(
                self.jobs,
                self._reads,
                self._was_read,
                status=lambda: agent.status,
                attempts=getattr(agent, "attempts", lambda rid: ()),
                retry=lambda: self._click("retry"),
                acts=acts,
            )
            self._keep(self._table)
        #: Whether the answer, or the error, is of the table: it stands beside it.
        self._beside = False
        self._again: float | None = None
        self._build()
        self._unsubscribe = agent.subscribe(listener_of(self))
        if self._table is not None and not folded:
            self._table.reader.read()
        self._show(self._head, self._error_line, self._controls.asking, self._sections)

    # what its buttons do

    def start(self) -> Agent | Poller | Shadow:
        """Start it, or a second time do nothing; returns the agent or poller."""
        with self._acting:
            self._tell("")
            self.agent.start()
        self.refresh()
        return self.agent

    def stop(self, timeout_s: float = 30) -> bool:
        """Stop it: it finishes or gives back what it holds, within the time."""
        with self._acting:
            before: Status = self.agent.status
            made = self.agent.stop(timeout_s=timeout_s)
            self._beside = False
            self._tell(left(before, self.agent.status))
            self.read()
        self.refresh()
        return made

    def arm(self) -> None:
        """Ask before giving back the rows of what still runs."""
        self._controls.asked = True
        self.refresh()

    def disarm(self) -> None:
        """Go on waiting for what still runs."""
        self._controls.asked = False
        self.refresh()

    def abandon(self) -> bool:
        """Give back the rows of jobs that still run, and stop.

        The jobs go on in this process; what they return is not written.
        """
        # beside a stop that waits: it is what ends it
        self._controls.asked = False
        before: Status = self.agent.status
        made = self._need_agent().stop(timeout_s=0, abandon=True)
        self._beside = False
        self._tell(left(before, self.agent.status))
        self.read()
        self.refresh()
        return made

    def resize(self, workers: int) -> None:
        """Let so many jobs run at a time from now on."""
        self._need_agent().workers = workers
        self.refresh()

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

    def read(self) -> None:
        """Read the table again."""
        if self._table is not None:
            self._table.reader.read()

    @property
    def waiting(self) -> int:
        """How many rows the next claim could take, by the last reading."""
        return self._table.reader.now.waiting if self._table else 0

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

    def retry_alike(self) -> Outcome:
        """Make all rows ready again that failed with the error that is picked."""
        with self._acting:
            table = self._need_table()
            done = table.jobs.retry(table.failed.alike())
        return self._done(done, "{rows} ready again")

    def rescue(self) -> Outcome:
        """Free the ticked overdue rows; returns the Outcome."""
        with self._acting:
            table = self._need_table()
            done = table.jobs.rescue(table.ticked("rescue"))
        return self._done(done, "{rows} freed")

    def open(self) -> str:
        """Show the ticked failed rows in full; returns their errors."""
        said = self._need_table().failed.open()
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
        return self._table.failed.table.selected if self._table else ()

    @property
    def picked(self) -> tuple[Row, ...]:
        """The failed rows that are ticked, as they were listed."""
        return self._table.failed.table.picked if self._table else ()

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

    def _need_agent(self) -> Agent:
        if not isinstance(getattr(self.agent, "workers", None), int):
            raise UsageError("expected a monitor of an agent, found none: no one works")
        return cast("Agent", self.agent)

    def _done(self, done: Outcome, said: str) -> Outcome:
        self._beside = True
        self._tell(told(done, said))
        self._need_table().done(done)
        self.refresh()
        return done

    def _fail(self, word: str, error: Exception) -> None:
        self._beside = word in _OF_TABLE
        super()._fail(word, error)

    # drawing

    def _build(self) -> None:
        self._title, self._figures = html(), html()
        self._running, self._failed, self._log = html(), html(), html()
        self._head = box(
            "ermpoll-head", self._title, box("ermpoll-acts", *self._main())
        )
        self._button("abandon", "Give back", "", True, lane=self._reads)
        self._button("disarm", "Wait on", "Go on waiting", lane=self._reads)
        self._controls = AgentControls(self.buttons, self._resized)
        self._sections = box("ermpoll-grid", *self._cells())

    def _cells(self) -> list[W.Widget]:
        """The parts of the page, in order."""
        running = W.VBox([self._running, box("ermpoll-acts", self._controls.workers)])
        self._running_box = running
        table = self._table
        if table is None:
            return [self._figures, running, self._log, self._failed]
        for word, label, tip in _TABLE_BUTTONS:
            lane = self._reads if word in ("open", "history") else None
            self._button(word, label, tip, lane=lane)
        table.place(self.buttons)
        first = W.VBox([table.counts, self._figures])
        return [first, running, self._log, self._failed, *table.widgets]

    def _main(self) -> list[W.Button]:
        return [
            self._button("look_now", "Look now", "Look at once", lane=self._reads),
            self._button("pause", "Pause", "Take no more rows", lane=self._reads),
            self._button("resume", "Resume", "Go on", lane=self._reads),
            self._button("stop", "Stop", "Finish or give back what is held, and stop"),
            self._button("arm", "Abandon…", "Asks first", lane=self._reads),
            self._button("start", "Start", "Start in the background", primary=True),
            self._button("unfold", "Details", "Show more of it, or less"),
        ]

    def _draw(self) -> None:
        status: Status = self.agent.status
        table = None if self._folded else self._table
        waits_s = table.follow(status) if table is not None else None
        shown = table.reader.shown(status) if table is not None else status
        show(self._sections, not self._folded)
        now = datetime.now(UTC)
        self._again = _again_s(status, waits_s)
        answer, beside = self._answer.text, self._beside and table is not None
        said = "" if beside else answer
        self._title.value = live.head(
            status, now=now, zone=self.zone, said=said, zoned=self._zoned
        )
        self._figures.value = live.figures(shown)
        self._running.value = live.running(shown, self.jobs, now=now)
        show(self._running_box, bool(status.workers))
        self._failed.value = live.failures(shown, now=now, zone=self.zone)
        show(self._failed, bool(shown.failures))
        self._log.value = live.log(status, now=now, zone=self.zone, limit=_LOG_LINES)
        if table is not None:
            told = note(answer, "ok") + note(self.error, "bad")
            table.answer.value = told if beside else ""
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
        self._controls.draw(status, busy=self._busy("workers"))

    def leave_zone_out(self) -> None:
        """Let the panel around this one name the zone of all times."""
        self._zoned = False

    def _was_read(self) -> None:
        self.mark()
        self._changed()

    def _resized(self, count: int) -> None:
        act = lambda: self._acted(lambda: self.resize(count))  # noqa: E731
        self._commands.submit("workers", act)

    def _spoken(self) -> str:
        state: str = self.agent.status.state
        # What it does from second to second is not worth an interruption.
        state = "running" if state in ("waiting", "looking", "working") else state
        return f"{self.agent.name}: {self._answer.text or state}"

    def _top_error(self) -> str:
        return "" if self._beside and not self._folded else super()._top_error()

    def _again_s(self) -> float | None:
        return self._again

    def _body(self) -> str:
        status: Status = self.agent.status
        table, now = self._table, datetime.now(UTC)
        shown = table.reader.shown(status) if table is not None else status
        said = self._answer.text
        parts = [live.head(status, now=now, zone=self.zone, said=said)]
        parts += [table.counts_html(self.zone)] if table is not None else []
        parts += [
            live.figures(shown),
            live.running(shown, self.jobs, now=now),
            table.failures_html(self.zone) if table is not None else "",
            live.failures(shown, now=now, zone=self.zone),
            live.log(status, now=now, zone=self.zone),
        ]
        return "".join(parts)


def _again_s(status: Status, waits_s: float | None) -> float | None:
    """While something runs its durations move, once a second."""
    if status.state == "stopped":
        return waits_s
    return min(1.0, waits_s) if waits_s is not None else 1.0

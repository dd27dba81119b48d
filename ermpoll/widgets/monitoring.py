"""The monitor: what an agent or a poller does, and the buttons to steer it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import ipywidgets as W

from ermpoll.errors import UsageError
from ermpoll.records import Event, Status
from ermpoll.render import detail, live
from ermpoll.render.page import fill
from ermpoll.render.values import counted
from ermpoll.widgets.backlog import ROWS, Backlog, telling
from ermpoll.widgets.panel import (
    Panel,
    box,
    enable,
    html,
    roles,
    show,
    why_not_writable,
)
from ermpoll.widgets.picks import Picks

_FAILURES = "Failed"
_STALE = "Claimed and overdue"


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
        self, agent: Any, *, jobs: Any = None, acts: bool = True, folded: bool = False
    ) -> None:
        super().__init__(f"monitor of {agent.name}")
        self.agent = agent
        self.jobs: Any = jobs if jobs is not None else getattr(agent, "jobs", None)
        self._acts = acts
        self._folded = self._foldable = folded
        self._backlog = Backlog(self.jobs, self._reads, self._publisher.mark)
        self._said = ""
        self._opened_html = ""
        self._again: float | None = None
        self._build()
        self._unsubscribe = agent.subscribe(_listener(self))
        if not folded:
            self._backlog.read()
        self._show(self._head, self._error_line, self._sections)

    # what its buttons do

    def start(self) -> Any:
        """Start it, or a second time do nothing; returns the agent or poller."""
        with self._acting:
            self._said = ""
            self.agent.start()
        self.refresh()
        return self.agent

    def stop(self, timeout_s: float = 30) -> Any:
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

    def retry(self) -> Any:
        """Make the selected failed rows ready again; returns the Outcome."""
        return self._act(
            "retry", self._backlog.now.failures, self.selected, "ready again"
        )

    def rescue(self) -> Any:
        """Free the selected overdue rows; returns the Outcome."""
        return self._act(
            "rescue", self._backlog.now.stale, self._stale.selected, "freed"
        )

    def open(self) -> str:
        """Show the selected failed rows in full; returns their errors."""
        failures = self._backlog.now.failures
        column = self.jobs.spec.error or self.jobs.state
        rows = {str(row["RID"]): row for row in failures.rows}
        said = {rid: str(rows[rid].get(column) or "") for rid in self.selected}
        self._opened_html = detail.records(
            self.jobs, failures.rows, failures.columns, said, self.zone
        )
        self.refresh()
        return "\n".join(said.values())

    @property
    def selected(self) -> tuple[str, ...]:
        """The RIDs of the failed rows that are ticked."""
        return self._failures.selected

    def select(self, rids: Sequence[str]) -> None:
        """Tick these failed or overdue rows and clear the others."""
        self._failures.select(rids)
        self._stale.select(rids)
        self.refresh()

    def close(self) -> None:
        """Close the view; the agent or poller goes on. Twice is once."""
        self._unsubscribe()
        super().close()

    def _act(self, word: str, listed: Any, rids: Sequence[str], verb: str) -> Any:
        with self._acting:
            # The rows as they were listed: what was touched since is left alone.
            rows = [row for row in listed or () if str(row["RID"]) in rids]
            if not rows:
                raise UsageError(f"expected a row to {word}, found none; tick one")
            done = getattr(self.jobs, word)(rows)
            lost = f", {len(done.lost):,} left alone" if done.lost else ""
            self._said = f"{counted(len(done.won), 'row')} {verb}{lost}"
            self._backlog.read()
        self.refresh()
        return done

    # drawing

    def _build(self) -> None:
        mark = self._publisher.mark
        self._title, self._counts, self._figures = html(), html(), html()
        self._running, self._log, self._opened = html(), html(), html()
        self._failed_caption, self._stale_caption = html(), html()
        self._failures = self._kept(Picks(_FAILURES, ROWS, mark))
        self._stale = self._kept(Picks(_STALE, ROWS, mark))
        self._head = box(
            "ermpoll-head", self._title, box("ermpoll-acts", *self._main())
        )
        retry = self._button("retry", "Retry", "Make the selected rows ready again")
        show_it = self._button("open", "Open", "Show the selected rows in full")
        rescue = self._button("rescue", "Rescue", "Free the selected overdue rows")
        self._failed_box = W.VBox(
            [
                box("ermpoll-acts", self._failed_caption, retry, show_it),
                self._failures.widget,
                self._opened,
            ]
        )
        self._stale_box = W.VBox(
            [box("ermpoll-acts", self._stale_caption, rescue), self._stale.widget]
        )
        self._sections = box(
            "ermpoll-grid",
            W.VBox([self._counts, self._figures]),
            self._running,
            *self._extra(),
            W.VBox([self._failed_box, self._stale_box]),
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
        waits_s = None if self._folded else self._backlog.follow(status)
        show(self._sections, not self._folded)
        now = datetime.now(UTC)
        self._again = _again_s(status, waits_s)
        self._title.value = live.head(status, now=now, zone=self.zone, said=self._said)
        self._figures.value = live.figures(status)
        self._running.value = live.running(status, self.jobs, now=now)
        show(self._running, bool(status.workers))
        self._log.value = live.log(status, now=now, zone=self.zone)
        self._draw_table()
        self._draw_buttons(status)

    def _draw_table(self) -> None:
        if self.jobs is None:
            for one in (self._counts, self._failed_box, self._stale_box):
                show(one, False)
            return
        read = self._backlog.now
        self._counts.value = live.counts(
            roles(self.jobs), read.counts, f"Rows of {self.jobs.title}", read.error
        )
        failed = read.counts.get(self.jobs.failed_label, 0)
        self._fill(self._failures, self._failed_caption, read.failures, failed)
        self._fill(self._stale, self._stale_caption, read.stale, 0)
        show(self._failed_box, bool(read.failures) and self._acts)
        show(self._stale_box, bool(read.stale) and self._acts)
        self._opened.value = self._opened_html

    def _fill(self, picks: Picks, caption: W.HTML, rows: Any, total: int) -> None:
        if rows is None or picks.selected:
            # Rows that are ticked stay where they are until something is done.
            return
        picks.show(self.jobs, rows.rows, telling(self.jobs, rows), self.zone)
        text = f"{picks.label}: {max(total, len(rows)):,}"
        caption.value = fill("line.html", tone="mut", text=text)

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
        reason = why_not_writable(self.jobs)
        for word, picks in (("retry", self._failures), ("rescue", self._stale)):
            why = reason or ("" if picks.selected else "Tick a row first")
            enable(getattr(buttons, word), not why, why, "Writes to the table")
        enable(buttons.open, bool(self.selected), "Tick a row first", "Show in full")

    def _spoken(self) -> str:
        state = self.agent.status.state
        # What it does from second to second is not worth an interruption.
        state = "running" if state in ("waiting", "looking", "working") else state
        return f"{self.agent.name}: {self._said or state}"

    def _again_s(self) -> float | None:
        return self._again

    def _body(self) -> str:
        status: Status = self.agent.status
        now = datetime.now(UTC)
        parts = [live.head(status, now=now, zone=self.zone, said=self._said)]
        if self.jobs is not None:
            read = self._backlog.now
            label = f"Rows of {self.jobs.title}"
            parts.append(live.counts(roles(self.jobs), read.counts, label, read.error))
        parts += [
            live.figures(status),
            live.running(status, self.jobs, now=now),
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
    mark = weakref.WeakMethod(panel._publisher.mark)

    def heard(_: Event) -> None:
        ask = mark()
        if ask is not None:
            ask()

    return heard

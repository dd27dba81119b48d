"""The console: monitor, preview and dry run of one queue together, or many agents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import ipywidgets as W

from ermpoll.render import live
from ermpoll.render.progress import totals
from ermpoll.widgets.base import Panel, box, html, listener_of, note
from ermpoll.widgets.panels.acts_panel import ActsPanel
from ermpoll.widgets.panels.agent_dry_run_panel import AgentDryRunPanel
from ermpoll.widgets.panels.dry_run_panel import DryRunPanel
from ermpoll.widgets.panels.metrics_panel import MetricsPanel
from ermpoll.widgets.panels.monitor_panel import MonitorPanel
from ermpoll.widgets.panels.preview_panel import PreviewPanel
from ermpoll.widgets.panels.watch_panel import WatchPanel

if TYPE_CHECKING:
    from ermpoll.agent import Agent
    from ermpoll.history import Shadow
    from ermpoll.polling import Poller
    from ermpoll.queue import Queue

#: The age at which a preview is read again when somebody turns to it, in seconds.
_OLD_S = 5.0


class _Group(Panel):
    """Several panels as one. Closing it closes them; their agents go on."""

    def _hold(self, *panels: Panel) -> list[W.Widget]:
        self._panels = panels
        self._keep(*panels)
        return [panel.nested(self) for panel in panels]

    def refresh(self) -> None:
        """Draw the present state of all its panels now."""
        for panel in self._panels:
            panel.refresh()
        super().refresh()

    def _draw_live(self) -> None:
        # its panels draw themselves
        if self._built and not self.is_hidden:
            super().refresh()

    def _body(self) -> str:
        return "".join(panel._body() for panel in self._panels)


class ConsolePanel(_Group):
    """One queue: what happens, what would be taken, what would be written.

    Attributes
    ----------
    monitor, preview, dry_run
        The panels on its tabs. Without an agent the dry run tries the claim of the
        rows that are selected in the preview, or of those that come next.
    pictures
        The panel of an agent's metrics, or None in a console without work.
    acts
        The panel of what was done here, and by whom.
    agent
        The agent, or the poller of a console without work.
    """

    def __init__(self, jobs: Queue, agent: Agent | None = None) -> None:
        super().__init__(f"console of {jobs.title}")
        self.jobs = jobs
        self.preview = PreviewPanel(jobs, changed=self._reread)
        self.monitor: MonitorPanel
        self.dry_run: DryRunPanel | AgentDryRunPanel
        self.pictures: MetricsPanel | None = None
        if agent is None:
            self.monitor = WatchPanel(jobs, changed=self._drawing.mark)
            self.dry_run = DryRunPanel(jobs, rows=self._selected)
        else:
            self.monitor = MonitorPanel(agent, changed=self._drawing.mark)
            self.dry_run = AgentDryRunPanel(agent)
            self.pictures = MetricsPanel(agent, watched=lambda: self._sees("Pictures"))
        self.agent = self.monitor.agent
        names = (jobs.title, self.agent.name)
        self.acts = ActsPanel(names, watched=lambda: self._sees("Acts"))
        #: The panels by the titles of their tabs.
        self._pages: dict[str, Panel] = {
            "Monitor": self.monitor,
            "Preview": self.preview,
            "Dry run": self.dry_run,
            **({"Pictures": self.pictures} if self.pictures else {}),
            "Acts": self.acts,
        }
        self._tabs = W.Tab(self._hold(*self._pages.values()))
        self._tabs.selected_index = 0
        self._tabs.observe(lambda change: self._turned(change.new), "selected_index")
        self._show(self._error_line, self._tabs)

    def start(self) -> Agent | Poller | Shadow:
        """Start the agent; returns it."""
        return self.monitor.start()

    def stop(self, timeout_s: float = 30) -> bool:
        """Stop the agent: it finishes or gives back what it holds."""
        return self.monitor.stop(timeout_s=timeout_s)

    def pause(self) -> None:
        """Take no more rows until `resume`."""
        self.monitor.pause()

    def resume(self) -> None:
        """Go on after `pause`."""
        self.monitor.resume()

    def look_now(self) -> None:
        """Look at once, and read the preview again."""
        if self.agent.status.state != "stopped":
            self.monitor.look_now()
        self.preview.look_now()

    @property
    def selected(self) -> tuple[str, ...]:
        """The RIDs that are ticked in the preview."""
        return self.preview.selected

    def _turned(self, place: int) -> None:
        """Who turns to an old preview finds it read again, unless rows are ticked."""
        page = [*self._pages.values()][place]
        age_s = (datetime.now(UTC) - self.preview.read_at).total_seconds()
        if page is not self.preview:
            page.refresh()
            page.mark()
        elif age_s > _OLD_S and not self.preview.selected:
            self._reads.submit("look now", self.preview.look_now)

    def _reread(self) -> None:
        """Have all that is shown come from one reading after the preview's."""
        if self._built:
            self._reads.submit("read", self.monitor.read)

    def _sees(self, title: str) -> bool:
        return self._built and [*self._pages][self._tabs.selected_index or 0] == title

    def _selected(self) -> tuple[str, ...] | None:
        return self.preview.selected or None

    def _draw(self) -> None:
        waiting = {"Preview": f" {self.monitor.waiting:,}"}
        titles = tuple(f"{title}{waiting.get(title, '')}" for title in self._pages)
        if self._tabs.titles != titles:
            self._tabs.titles = titles


class FleetPanel(_Group):
    """Several agents, a head line each; Details opens one of them.

    Attributes
    ----------
    monitors
        The monitor of each agent, in order.
    """

    def __init__(self, agents: Sequence[Agent]) -> None:
        super().__init__(f"console of {len(agents)} agents")
        self.monitors = tuple(MonitorPanel(agent, folded=True) for agent in agents)
        for monitor in self.monitors:
            monitor.leave_zone_out()
        self._totals = html()
        self._leave = [agent.subscribe(listener_of(self)) for agent in agents]
        totals = box("ermpoll-head", self._totals)
        self._show(self._error_line, totals, *self._hold(*self.monitors))

    def close(self) -> None:
        """Close the view; the agents go on. Twice is once."""
        for leave in self._leave:
            leave()
        super().close()

    def _draw(self) -> None:
        """Draw the line of totals; each monitor draws itself."""
        self._totals.value = self._totals_html()

    def _again_s(self) -> float | None:
        states = {monitor.agent.status.state for monitor in self.monitors}
        return 1.0 if states - {"stopped"} else None

    def _totals_html(self) -> str:
        statuses = [monitor.agent.status for monitor in self.monitors]
        if not statuses:
            return note("No agents were given")
        return note(f"{totals(statuses)} · times in {live.zone_name(self.zone)}")

    def _body(self) -> str:
        return self._totals_html() + super()._body()

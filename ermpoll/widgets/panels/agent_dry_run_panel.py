"""The dry run of an agent: what it would claim, and what its work would write.

Nothing can be applied from here: a claim that nobody works on would only be in the
way. Starting the agent is the way to do it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import ipywidgets as W

from ermpoll.render import detail
from ermpoll.render.page import Caps
from ermpoll.widgets.base import enable
from ermpoll.widgets.panels.diff_panel import DiffPanel
from ermpoll.widgets.parts.dry_run_task import DryRunTask

if TYPE_CHECKING:
    from ermpoll.agent import Agent
    from ermpoll.agent.dry_run import DryRun
    from ermpoll.queue.results import Plan


class AgentDryRunPanel(DiffPanel):
    """What an agent would claim, and after a second button what its work would write.

    Attributes
    ----------
    agent
        The agent.
    result
        The DryRun of the last run that was not cancelled, or None.
    """

    def __init__(self, agent: Agent, *, limit: int = 5) -> None:
        self.agent = agent
        self.result: DryRun | None = None
        self._limit = limit
        self._work = False
        super().__init__(agent.jobs)

    def run(self, work: bool = False) -> Plan | None:
        """Try what the agent would claim; nothing is written.

        Parameters
        ----------
        work
            True calls the work as well. Its writes to the catalog are refused and
            listed; what it does elsewhere is real.

        Returns
        -------
        Plan or None
            None when the run was cancelled.
        """
        with self._acting:
            self._work = work
            made = super().run()
            if made is not None:
                self.result = self._tried
        self.refresh()
        return made

    def work(self) -> Plan | None:
        """Try the work too: ``run(work=True)``."""
        return self.run(work=True)

    def _make(self, task: DryRunTask) -> Plan:
        with task.entered():
            tried = self.agent.dry_run(limit=self._limit, work=self._work)
        self._tried = tried
        task.total = task.passed = len(tried.plan.changes)
        task.would = list(tried.would)
        return tried.plan

    def _buttons_after(self) -> Sequence[W.Widget]:
        return (self._button("work", "Run with work", ""),)

    def _draw(self) -> None:
        super()._draw()
        tip = "Calls your work: its effects outside the catalog are real"
        enable(self.buttons.work, not self.is_running, "A run is going on", tip)

    def _state(self) -> object:
        return self.result

    def _found(self) -> str:
        if self.result is None:
            return ""
        return detail.results(
            self.result.results, self.result.errors, self.jobs, Caps(text=60)
        )

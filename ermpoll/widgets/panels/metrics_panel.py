"""The pictures of an agent's life: depth, rate, how long rows waited and took."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ermpoll.render.pictures import metrics_body
from ermpoll.widgets.base import Panel, box, html, listener_of, monotonic

if TYPE_CHECKING:
    from ermpoll.agent import Agent

#: Seconds between two drawings while the agent runs: its life is long.
EVERY_S = 2.0


class MetricsPanel(Panel):
    """What an agent's life came to, drawn anew every other second.

    Parameters
    ----------
    agent
        The agent.
    watched
        Whether somebody looks at it: what nobody sees is not drawn.
    """

    def __init__(
        self, agent: Agent, *, watched: Callable[[], bool] = lambda: True
    ) -> None:
        super().__init__(f"metrics of {agent.name}")
        self.agent = agent
        self._watched = watched
        self._pictures = html()
        self._drawn_at = float("-inf")
        self._unsubscribe = agent.subscribe(listener_of(self))
        self._show(self._error_line, box("ermpoll-body", self._pictures))

    def close(self) -> None:
        """Close the view; the agent goes on. Twice is once."""
        self._unsubscribe()
        super().close()

    def _draw(self) -> None:
        rests = self.agent.status.state == "stopped"
        if self._watched() and (rests or monotonic() >= self._drawn_at + EVERY_S):
            self._drawn_at = monotonic()
            self._pictures.value = self._body()

    def _again_s(self) -> float | None:
        running = self.agent.status.state != "stopped"
        return EVERY_S if running and self._watched() else None

    def _body(self) -> str:
        return metrics_body(self.agent.metrics, self.zone)

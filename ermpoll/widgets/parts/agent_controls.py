"""What is steered of an agent beside start and stop: its workers, and giving up."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import ipywidgets as W

from ermpoll.records import Status
from ermpoll.render.told import abandoning
from ermpoll.widgets.base import box, html, note, show

#: Workers that can be asked for on the page.
MOST_WORKERS = 10_000


class AgentControls:
    """The number of workers, and the question before what still runs is given back.

    Parameters
    ----------
    buttons
        The panel's: ``arm`` asks, ``abandon`` and ``disarm`` answer.
    resize
        Called with a number of workers that somebody typed, on the thread that
        brings it.
    """

    def __init__(self, buttons: SimpleNamespace, resize: Callable[[int], None]) -> None:
        self._buttons = buttons
        self._resize = resize
        #: Whether it was asked whether to give back what still runs.
        self.asked = False
        self._count = 0
        self.workers = W.BoundedIntText(
            description="Workers", min=1, max=MOST_WORKERS, continuous_update=False
        )
        self.workers.observe(lambda change: self._typed(change.new), "value")
        self.question = html()
        answers = box("ermpoll-acts", buttons.abandon, buttons.disarm)
        self.asking = box("ermpoll-head", self.question, answers)

    def draw(self, status: Status, *, busy: bool) -> None:
        """Set the traits of the widgets; ``busy``: a typed number is being set."""
        if status.workers and not busy:
            self._count = status.workers
            self.workers.value = status.workers
        ending = status.state == "stopping" and bool(status.workers and status.held)
        self.asked = self.asked and ending
        self._buttons.arm.description = f"Abandon {status.held:,}…"
        self._buttons.abandon.description = f"Give back {status.held:,}"
        self.question.value = note(abandoning(status), "warn")
        show(self._buttons.arm, ending)
        show(self.asking, self.asked)

    def _typed(self, count: int) -> None:
        if count != self._count:
            self._count = count
            self._resize(count)

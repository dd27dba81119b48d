"""Two decisions about rows, side by side: at rest, and in the shadow of what runs.

One section draws whatever compares: two plans, a back-test, a shadow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import ipywidgets as W

from ermpoll.history import Comparison, Likeness
from ermpoll.render.comparisons import comparison_body
from ermpoll.widgets.base import Panel, box, dropdown, html
from ermpoll.widgets.panels.monitor_panel import MonitorPanel

if TYPE_CHECKING:
    from ermpoll.history import Shadow

_ALL = "all, what differs first"
_WORDS = [_ALL, *(likeness.value for likeness in Likeness)]


class ComparisonSection:
    """How many rows compare how, and those that are chosen, cell by cell."""

    def __init__(self, changed: Callable[[], None]) -> None:
        #: Which rows are shown: the word for how they compare.
        self.which = dropdown("Rows", _WORDS, changed)
        self._body = html()
        self.widget = W.VBox([box("ermpoll-acts", self.which), self._body])
        self._drawn: tuple[Comparison | None, str] = (None, "")

    @property
    def only(self) -> str:
        """The word for how the rows that are shown compare; "": all of them."""
        word = str(self.which.value)
        return "" if word == _ALL else word

    def draw(self, shown: Comparison) -> None:
        """Show a comparison, unless it is there already."""
        drawn, only = self._drawn
        if drawn is not shown or only != self.only:
            self._body.value = comparison_body(shown, only=self.only)
            self._drawn = (shown, self.only)


class ComparisonPanel(Panel):
    """A comparison that is made: of two plans, or of a transform and the past.

    Attributes
    ----------
    comparison
        What is shown.
    """

    def __init__(self, comparison: Comparison) -> None:
        super().__init__(f"comparison on {comparison.jobs.title}")
        self.comparison = comparison
        self._section = ComparisonSection(self._drawing.mark)
        self._show(self._section.widget)

    def _draw(self) -> None:
        self._section.draw(self.comparison)

    def _body(self) -> str:
        return comparison_body(self.comparison, only=self._section.only)


class ShadowPanel(MonitorPanel):
    """A transform in the shadow of what works a queue. Reads only.

    Attributes
    ----------
    agent
        The Shadow behind it, which Start starts.
    """

    agent: Shadow

    def __init__(self, shadow: Shadow) -> None:
        super().__init__(shadow)

    def _cells(self) -> list[W.Widget]:
        self._section = ComparisonSection(self._drawing.mark)
        self._section.widget.add_class("ermpoll-across")
        first, running, log, *others = super()._cells()
        return [first, running, log, self._section.widget, *others]

    def _draw(self) -> None:
        super()._draw()
        self._section.draw(self.agent.comparison)

    def _body(self) -> str:
        return super()._body() + comparison_body(
            self.agent.comparison, only=self._section.only
        )

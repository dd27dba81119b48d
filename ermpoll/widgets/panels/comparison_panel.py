"""Two decisions about rows, side by side: at rest, and in the shadow of what runs.

One section draws whatever compares: two plans, a back-test, a shadow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import ipywidgets as W

from ermpoll.history import Comparison, Likeness
from ermpoll.render.comparisons import comparison_body, comparison_pages
from ermpoll.widgets.base import Panel, box, dropdown, enable, html, show
from ermpoll.widgets.panels.monitor_panel import MonitorPanel

if TYPE_CHECKING:
    from ermpoll.history import Shadow

_ALL = "all, what differs first"
_WORDS = [_ALL, *(likeness.value for likeness in Likeness)]
_TURNS = ("Previous", "Next")


class ComparisonSection:
    """How many rows compare how, and those that are chosen, cell by cell, in pages."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        #: Which rows are shown: the word for how they compare.
        self.which = dropdown("Rows", _WORDS, lambda: self._turn(-self._number))
        self.previous, self.next = (
            W.Button(description=word, tooltip=f"{word} rows") for word in _TURNS
        )
        self.previous.on_click(lambda _: self._turn(-1))
        self.next.on_click(lambda _: self._turn(1))
        self._number = 0
        self._body = html()
        acts = box("ermpoll-acts", self.which, self.previous, self.next)
        self.widget = W.VBox([acts, self._body])
        self._drawn: tuple[Comparison | None, str, int] = (None, "", 0)

    @property
    def only(self) -> str:
        """The word for how the rows that are shown compare; "": all of them."""
        word = str(self.which.value)
        return "" if word == _ALL else word

    def draw(self, shown: Comparison) -> None:
        """Show a comparison, unless it is there already."""
        drawn, *wanted = self._drawn
        if drawn is shown and wanted == [self.only, self._number]:
            return
        pages = comparison_pages(shown, only=self.only)
        last = len(pages) - 1
        self._number = min(self._number, last)
        enable(self.previous, self._number > 0, "this is the first page")
        enable(self.next, self._number < last, "this is the last page")
        for button in (self.previous, self.next):
            show(button, last > 0)
        self._body.value = comparison_body(shown, pages[self._number])
        self._drawn = (shown, self.only, self._number)

    def body(self, shown: Comparison) -> str:
        """Return the page that is wanted, or the last one, as HTML."""
        pages = comparison_pages(shown, only=self.only)
        return comparison_body(shown, pages[min(self._number, len(pages) - 1)])

    def _turn(self, step: int) -> None:
        self._number = max(self._number + step, 0)
        self._changed()


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
        return self._section.body(self.comparison)


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
        return super()._body() + self._section.body(self.agent.comparison)

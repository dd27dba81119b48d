from __future__ import annotations

import pytest
from ipywidgets.widgets.widget import _instances

import ermpoll
from ermpoll.widgets.base import Panel, html
from tests.helpers.conditions import wait_until


class Clock(Panel):
    """A panel that shows a number, for what all panels share."""

    def __init__(self):
        super().__init__("clock")
        self.number = 0
        self.drawings = 0
        self._text = html()
        button = self._button("tick", "Tick", "Count one more")
        self._show(self._text, button, self._error_line)

    def tick(self):
        if self.number == 2:
            raise RuntimeError("no more than <2>")
        self.number += 1

    def _draw(self):
        self.drawings += 1
        self._text.value = f"{self.number}"

    def _body(self):
        return f"<p>{self.number}</p>"


@pytest.fixture
def clock(keep):
    return keep(Clock())


def test_a_click_does_the_method_and_draws(clock):
    clock.buttons.tick.click()

    wait_until(lambda: clock._text.value == "1")


def test_what_a_click_raises_is_shown_escaped_and_gone_with_the_next(clock):
    clock.number = 2
    clock.buttons.tick.click()
    wait_until(lambda: "no more than &lt;2&gt;" in clock._error_line.value)
    assert clock.error == "tick: RuntimeError: no more than <2>"

    clock.number = 0
    clock.buttons.tick.click()

    wait_until(lambda: not clock._error_line.value)


def test_what_a_method_raises_in_a_cell_is_raised_there(clock):
    clock.number = 2

    with pytest.raises(RuntimeError):
        clock.tick()

    assert clock.error == ""


def test_a_panel_that_no_page_shows_any_more_is_not_drawn_until_it_is_again(clock):
    clock.widget._view_count = 1
    wait_until(lambda: clock.drawings >= 2)
    clock.widget._view_count = 0
    drawn = clock.drawings

    clock.number = 7
    clock._draw_live()
    assert (clock.is_hidden, clock.drawings) == (True, drawn)
    clock.widget._view_count = 1

    wait_until(lambda: clock._text.value == "7")


def test_a_panel_that_no_page_has_shown_yet_is_drawn(clock):
    clock.number = 3
    clock._drawing.mark()

    wait_until(lambda: clock._text.value == "3")


def test_closing_leaves_no_widget_behind(jobs):
    before = set(_instances)
    panel = ermpoll.console(jobs, lambda row: None)

    panel.close()

    assert set(_instances) - before == set()


def test_a_closed_panel_draws_nothing_and_still_reads_as_html(clock):
    with clock:
        clock.number = 5
    drawn = clock.drawings

    clock.refresh()
    clock.buttons.tick.click()

    assert clock.drawings == drawn
    assert "<p>5</p>" in clock._repr_html_()


def test_every_button_has_a_method_of_its_word(jobs, keep):
    agent = ermpoll.Agent(jobs, lambda row: None)
    panels = [
        keep(ermpoll.preview(jobs)),
        keep(ermpoll.dry_run(jobs)),
        keep(ermpoll.monitor(agent)),
        keep(ermpoll.watch(jobs)),
        keep(ermpoll.shadow(jobs, lambda row: None).panel()),
        keep(ermpoll.console(agent)).dry_run,
    ]

    for panel in panels:
        for word, button in vars(panel.buttons).items():
            assert callable(getattr(panel, word)), word
            assert getattr(panel, word).__doc__, word
            assert button.description, word


@pytest.mark.parametrize(
    "make",
    [
        ermpoll.preview,
        ermpoll.dry_run,
        ermpoll.watch,
        ermpoll.console,
        lambda jobs: ermpoll.monitor(ermpoll.Agent(jobs, lambda row: None)),
    ],
)
def test_every_public_function_may_be_called_twice(jobs, keep, make):
    first, second = keep(make(jobs)), keep(make(jobs))

    assert first._repr_html_()
    assert second._repr_html_()

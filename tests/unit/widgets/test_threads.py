from __future__ import annotations

import logging
import threading

import pytest

from ermpoll.widgets.threads import CommandThread, DrawThread
from tests.helpers.conditions import let_pass

WAIT_S = 5


class Page:
    """Counts drawings and can hold one up."""

    def __init__(self):
        self.state = self.drawn = None
        self.times = 0
        self.happened = threading.Condition()
        self.may_go = threading.Event()
        self.may_go.set()

    def draw(self):
        state = self.state
        assert self.may_go.wait(WAIT_S)
        with self.happened:
            self.drawn, self.times = state, self.times + 1
            self.happened.notify_all()

    def wait_until(self, condition):
        with self.happened:
            assert self.happened.wait_for(lambda: condition(self), WAIT_S)


@pytest.fixture
def page():
    return Page()


@pytest.fixture
def publisher(page):
    made = DrawThread(page.draw, name="ermpoll-panel-test", gap_s=0.01)
    yield made
    made.close()


def alive():
    return [t for t in threading.enumerate() if t.name == "ermpoll-panel-test"]


def test_nothing_is_drawn_and_no_thread_runs_before_the_first_mark(page, publisher):
    assert (page.times, alive()) == (0, [])


def test_a_flood_of_marks_is_drawn_rarely_and_its_last_state_for_certain(page):
    publisher = DrawThread(page.draw, name="ermpoll-panel-test", gap_s=0.05)
    for number in range(20_000):
        page.state = number
        publisher.mark()

    page.wait_until(lambda page: page.drawn == 19_999)

    assert page.times < 20
    publisher.close()


def test_a_mark_during_a_drawing_is_followed_by_another_drawing(page, publisher):
    page.may_go.clear()
    page.state = "old"
    publisher.mark()
    page.state = "new"
    publisher.mark()
    page.may_go.set()

    page.wait_until(lambda page: page.drawn == "new")


def test_the_thread_ends_when_there_is_nothing_left_to_draw(page, publisher):
    publisher.mark()
    page.wait_until(lambda page: page.times == 1)

    for thread in alive():
        thread.join(WAIT_S)

    assert alive() == []
    publisher.mark()
    page.wait_until(lambda page: page.times == 2)


def test_what_moves_by_itself_is_drawn_again_without_a_mark(page):
    publisher = DrawThread(
        page.draw, again_s=lambda: 0.02, name="ermpoll-panel-test", gap_s=0.01
    )
    publisher.mark()

    page.wait_until(lambda page: page.times >= 3)

    publisher.close()
    assert alive() == []


def test_what_moves_by_itself_is_drawn_no_sooner_than_it_moves(page):
    publisher = DrawThread(
        page.draw, again_s=lambda: 60, name="ermpoll-panel-test", gap_s=0.001
    )
    publisher.mark()
    page.wait_until(lambda page: page.times == 1)
    let_pass(0.05)
    assert page.times == 1

    publisher.mark()

    page.wait_until(lambda page: page.times == 2)
    publisher.close()


def test_after_a_close_nothing_is_drawn(page, publisher):
    publisher.close()
    publisher.mark()
    publisher.close()

    assert (page.times, alive()) == (0, [])


def test_a_drawing_that_fails_is_logged_without_its_text_and_ends_nothing(page, caplog):
    def draw():
        page.draw()
        if page.times == 1:
            raise ValueError("value of a row")

    publisher = DrawThread(draw, name="ermpoll-panel-test", gap_s=0.01)
    with caplog.at_level(logging.WARNING, "ermpoll.widgets.threads"):
        publisher.mark()
        page.wait_until(lambda page: page.times == 1)
        publisher.mark()
        page.wait_until(lambda page: page.times >= 1)
        publisher.close()

    assert "ermpoll-panel-test: could not draw: ValueError" in caplog.text
    assert "value of a row" not in caplog.text


@pytest.fixture
def failures():
    return []


@pytest.fixture
def commands(failures):
    def failed(word, error):
        failures.append((word, str(error)))

    made = CommandThread(failed, name="ermpoll-panel-test")
    yield made
    made.close()


def test_acts_are_done_one_after_the_other_off_the_callers_thread(commands):
    done, ended = [], threading.Event()
    commands.submit("first", lambda: done.append(threading.current_thread().name))
    commands.submit("second", lambda: (done.append("second"), ended.set()))

    assert ended.wait(WAIT_S)
    assert done == ["ermpoll-panel-test", "second"]


def test_a_second_click_while_the_first_is_being_done_does_nothing(commands):
    begun, go = threading.Event(), threading.Event()
    commands.submit("apply", lambda: (begun.set(), go.wait(WAIT_S)))
    assert begun.wait(WAIT_S)

    assert commands.words == {"apply"}
    assert not commands.submit("apply", lambda: None)
    go.set()


def test_an_act_that_fails_is_told_and_the_next_is_done(commands, failures):
    ended = threading.Event()
    commands.submit("apply", lambda: 1 / 0)
    commands.submit("undo", ended.set)

    assert ended.wait(WAIT_S)
    assert failures == [("apply", "division by zero")]


def test_after_a_close_nothing_is_done_and_no_thread_is_left(commands):
    begun, go, done = threading.Event(), threading.Event(), []
    commands.submit("first", lambda: (begun.set(), go.wait(WAIT_S)))
    commands.submit("second", lambda: done.append("second"))
    assert begun.wait(WAIT_S)
    threading.Timer(0.05, go.set).start()

    commands.close()

    assert not commands.submit("third", lambda: done.append("third"))
    assert (done, alive()) == ([], [])

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import ipywidgets as W
import pytest

from ermpoll.records import Running, Status
from ermpoll.widgets.base import close_all
from ermpoll.widgets.parts.agent_controls import AgentControls

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUNNING = tuple(Running(rid=f"1-{letter}", since=NOW) for letter in "AB")


@pytest.fixture
def asked():
    return []


@pytest.fixture
def controls(asked):
    buttons = SimpleNamespace(arm=W.Button(), abandon=W.Button(), disarm=W.Button())
    made = AgentControls(buttons, asked.append)
    yield made
    for widget in (made.workers, made.asking, buttons.arm):
        close_all(widget)


def status(**told):
    return Status(**{"name": "a", "state": "working", "workers": 4, **told})


def test_a_number_that_is_typed_is_asked_for_once_and_shown_when_it_is_so(
    controls, asked
):
    controls.draw(status(), busy=False)
    assert (controls.workers.value, asked) == (4, [])

    controls.workers.value = 7
    controls.draw(status(), busy=True)
    assert (controls.workers.value, asked) == (7, [7])

    controls.draw(status(workers=2), busy=False)
    assert (controls.workers.value, asked) == (2, [7])


def test_giving_up_is_offered_only_while_a_stop_waits_for_what_runs(controls):
    controls.asked = True
    controls.draw(status(held=2, running=RUNNING), busy=False)
    assert controls._buttons.arm.layout.display == "none"
    assert not controls.asked

    controls.draw(status(state="stopping", held=2, running=RUNNING), busy=False)
    assert controls._buttons.arm.description == "Abandon 2…"
    assert controls._buttons.arm.layout.display is None
    assert "Gives back 2 rows (1-A, 1-B)" in controls.question.value

"""Panels over the real sandbox, closed when the test ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ermpoll
from ermpoll.widgets.base import Panel


@pytest.fixture
def jobs(box: ermpoll.sandbox.Box) -> ermpoll.Queue:
    return box.jobs()


@pytest.fixture
def keep() -> Iterator[Callable[[Any], Any]]:
    """Pass a panel through; it is closed at the end, and before what it watches."""
    kept: list[Panel] = []

    def passed(panel: Any) -> Any:
        kept.append(panel)
        return panel

    yield passed
    for panel in kept:
        panel.close()


@pytest.fixture
def gate():
    """Holds work up until it is set; set at the end in any case."""
    made = threading.Event()
    yield made
    made.set()


@pytest.fixture
def agent(jobs, gate):
    def work(row):
        gate.wait(20)
        return {"Priority": 1}

    made = ermpoll.Agent(jobs, work, workers=2)
    yield made
    gate.set()
    made.stop()


@pytest.fixture
def monitor(agent, keep):
    return keep(ermpoll.monitor(agent))

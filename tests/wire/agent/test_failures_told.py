"""Why a job failed is told in event, status and log, also where no column takes it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import ermpoll
from tests.helpers.tables import add, queue, read

NEW = {"state": "actionable"}
NONE = {"error": None, "attempts": None, "retry_at": None}
SECRET = "password=hunter2"


def work(row: dict[str, Any]) -> None:
    raise ValueError(f"no such series\nat https://u:hunter2@x/ {SECRET} {'x' * 900}")


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "ermpoll")
    return caplog


def run(jobs: ermpoll.Queue, **options: Any) -> tuple[ermpoll.Agent, list[str]]:
    agent = ermpoll.Agent(jobs, **{"work": work, **options})
    reasons: list[str] = []

    def listener(event: ermpoll.Event) -> None:
        if event.kind == "failed":
            reasons.append(event.reason)

    agent.subscribe(listener)
    agent.run_once()
    return agent, reasons


@pytest.mark.parametrize("columns", [{}, NONE], ids=["all columns", "state and owner"])
def test_a_failure_is_told_with_its_reason(catalog, told, columns):
    [rid] = add(catalog, NEW)

    agent, [reason] = run(queue(catalog, **columns))

    assert reason.startswith("ValueError: no such series at https://[secret]@x/")
    assert len(reason) == 500
    [failure] = agent.status.failures
    assert (failure.rid, failure.reason) == (rid, reason)
    assert failure.attempt == (None if columns else 1)
    [line] = [r for r in told.records if r.__dict__.get("event") == "failed"]
    assert rid in line.getMessage()
    assert reason in line.getMessage()
    assert "hunter2" not in told.text + str(read(catalog, rid)) + str(agent.status)


def test_the_newest_twenty_failures_are_kept(catalog):
    rids = add(catalog, *[NEW] * 25)

    agent, _ = run(queue(catalog, **NONE), workers=25)
    last = add(catalog, NEW)
    agent.run_once()

    failures = agent.status.failures
    assert len(failures) == 20
    assert failures[0].rid == last[0]
    assert {one.rid for one in failures[1:]} < set(rids)


def test_a_result_the_table_cant_take_is_told(catalog, told):
    add(catalog, NEW)

    agent, [reason] = run(queue(catalog, **NONE), work=lambda row: {"nosuch": 1})

    assert "no column 'nosuch'" in reason
    assert agent.status.failures[0].reason == reason
    assert reason in told.text


def test_a_transform_that_fails_is_told(catalog, told):
    add(catalog, NEW)
    agent = ermpoll.Agent(queue(catalog, **NONE), lambda row: None, transform=work)

    agent.run(until_idle=True)

    [failure] = agent.status.failures
    assert failure.reason.startswith("ValueError: no such series")
    assert failure.reason in told.text


def test_the_last_failures_are_shown_escaped(catalog):
    add(catalog, NEW)

    def bold(row: dict[str, Any]) -> None:
        raise ValueError("<b>no such series</b>")

    agent, _ = run(queue(catalog, **NONE), work=bold)

    for shown in (agent._repr_html_(), agent.panel()._repr_html_()):
        assert "ValueError: &lt;b&gt;no such series" in shown
        assert "<b>no such" not in shown

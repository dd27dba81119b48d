"""What an agent's life comes to in numbers, over the real wire."""

from __future__ import annotations

import threading

import pytest

import ermpoll
from ermpoll.errors import UsageError
from tests.helpers.conditions import wait_until
from tests.helpers.stepping import Engine
from tests.helpers.tables import add, edit, queue

NEW = {"state": "actionable", "attempts": 0}


def test_an_agent_tells_how_long_rows_waited_and_how_long_work_took(catalog):
    add(catalog, *[NEW] * 6)
    engine = Engine(queue(catalog), lambda row: {"result": "done"}, workers=2)
    engine.cycle.look()
    for _ in range(6):
        if engine.executor.calls:
            engine.time.pass_(40)
            engine.executor.step()
        engine.cycle.look()

    found = engine.counters.metrics("engine", engine.jobs, len(engine.held))
    assert found.working.n == engine.status.completed == 6
    assert found.working.longest_s == pytest.approx(80)
    assert found.waiting.n == 6
    assert found.jobs[-1].counts["completed"] == 6
    assert sum(part.completed for part in found.flow) == 6


def test_failures_count_as_failed_and_what_was_given_back_not_at_all(catalog):
    def work(row):
        raise ValueError("no such series")

    add(catalog, *[NEW] * 2)
    jobs = queue(catalog)
    agent = ermpoll.Agent(jobs, work, workers=2)
    agent.run_once()
    jobs.counts()

    found = agent.metrics
    last = found.jobs[-1].counts
    assert (last["completed"], last["failed"] + last["retried"]) == (0, 2)
    assert found.working.n == 2
    assert found.depth[-1].counts == jobs.counts()
    assert "working" in str(found)


def test_workers_can_be_changed_while_it_runs(catalog):
    go, begun = threading.Event(), []

    def work(row):
        begun.append(row["RID"])
        go.wait(20)

    add(catalog, *[NEW] * 8)
    agent = ermpoll.Agent(queue(catalog), work, workers=1, time_limit_s=600)
    agent.start()
    try:
        wait_until(lambda: len(begun) == 1)
        agent.workers = 4
        wait_until(lambda: len(begun) == 4)
        assert (agent.status.workers, len(agent.status.running)) == (4, 4)

        agent.workers = 2
        assert len(agent.status.running) == 4
        [act, *_] = ermpoll.acts()
        assert (act.event, act.subject, act.came) == ("workers", agent.name, "2")
        for one in agent.status.running:
            assert (one.limit_at - one.since).total_seconds() == 600
    finally:
        go.set()
        agent.stop()
    assert agent.status.completed >= 4


@pytest.mark.parametrize("count", [0, 1.5, "4"])
def test_a_number_of_workers_that_can_not_be_is_refused(catalog, count):
    agent = ermpoll.Agent(queue(catalog), lambda row: None)

    with pytest.raises(UsageError, match="workers: expected"):
        agent.workers = count
    assert agent.workers == 1


def test_the_speed_of_the_last_minute_is_counted_in_spans_that_are_over(catalog):
    add(catalog, *[NEW] * 3)
    engine = Engine(queue(catalog), lambda row: None, workers=3)
    engine.cycle.look()
    for _ in range(3):
        engine.executor.step()
    engine.cycle.look()
    assert sum(engine.status.jobs_per_5s) == 0

    engine.time.pass_(6)
    assert sum(engine.status.jobs_per_5s) == 3

    engine.time.pass_(60)
    assert engine.status.jobs_per_5s == (0,) * 12


def test_how_a_row_failed_is_remembered_with_its_traceback_and_told_nowhere(
    catalog, caplog
):
    events = []

    def convert(row):
        raise ValueError("no such series 3; token=sesame")

    [rid] = add(catalog, NEW)
    jobs = queue(catalog)
    agent = ermpoll.Agent(jobs, convert)
    agent.subscribe(events.append)
    agent.run_once()

    [attempt] = agent.attempts(rid)
    assert (attempt.rid, attempt.attempt) == (rid, 1)
    assert attempt.traceback.endswith("ValueError: no such series 3; token=[secret]")
    assert "in convert" in attempt.traceback
    assert "execution.py" not in attempt.traceback
    assert "in convert" not in repr((events, agent.status, caplog.text))


def test_work_that_takes_too_long_is_an_attempt_that_failed(catalog):
    go = threading.Event()
    [rid] = add(catalog, NEW)
    agent = ermpoll.Agent(
        queue(catalog), lambda row: go.wait(20) and None, time_limit_s=0.2
    )
    agent.run_once()
    go.set()

    [attempt] = agent.attempts(rid)
    assert (attempt.reason, attempt.traceback) == ("timed out after 0.2 s", "")


def test_the_status_names_the_columns_that_keep_a_persons_edit(catalog):
    [rid] = add(catalog, {**NEW, "name": "a", "result": ""})
    go = threading.Event()

    def work(row):
        edit(catalog, rid, result="by hand")
        go.set()
        return {"result": "by work", "name": "b"}

    agent = ermpoll.Agent(queue(catalog), work)
    agent.run_once()

    [kept] = agent.status.edits
    assert (kept.rid, kept.columns) == (rid, ("result",))
    assert agent.status.completed == 1

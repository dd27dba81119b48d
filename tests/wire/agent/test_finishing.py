from __future__ import annotations

import pytest

import ermpoll
from ermpoll.agent.execution import Report
from ermpoll.agent.finishing import finish
from ermpoll.agent.held_jobs import Finished
from ermpoll.queue.transitions import Held
from tests.helpers.tables import add, queue


@pytest.fixture
def jobs(catalog):
    return queue(catalog)


@pytest.fixture
def held(jobs, catalog):
    add(catalog, {"state": "actionable"})
    [row] = jobs.claim(1).rows
    return Held(
        rid=row["RID"],
        rmt=row["RMT"],
        token=row["owner"],
        row=row,
        was=None,
        attempts=1,
    )


@pytest.mark.parametrize(
    ("ended", "kind"),
    [
        ({"report": Report()}, "complete"),
        ({"report": Report(error="no disk")}, "retry later"),
        ({"report": Report(), "given_back": True}, "release"),
    ],
)
def test_what_ended_is_written_as_what_it_came_to(jobs, held, ended, kind):
    agent = ermpoll.Agent(jobs, lambda row: None)
    one = Finished(held=held, **ended)

    made = finish(agent._cycle._context, [one], (), 0.0)

    assert [step.kind for step in made.steps] == [kind]
    assert made.ended == (one,)


def test_where_nothing_ended_nothing_is_written(jobs):
    agent = ermpoll.Agent(jobs, lambda row: None)

    assert finish(agent._cycle._context, [], (), 0.0).steps == ()

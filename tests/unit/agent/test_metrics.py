from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd

from ermpoll.agent.memory.durations import Durations
from ermpoll.agent.memory.metrics import Metrics, flow_of, phases_of
from ermpoll.queue.reading.course import Counted

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds):
    return BEGUN + timedelta(seconds=seconds)


def jobs(seconds, completed, failed=0, retried=0):
    counts = {"completed": completed, "failed": failed, "retried": retried, "held": 1}
    return Counted(at=at(seconds), counts=counts)


def test_a_life_is_cut_into_parts_that_add_up():
    moments = [jobs(0, 0), jobs(50, 10, 1), jobs(299, 40, 2, 3), jobs(300, 41, 2, 3)]
    flow = flow_of(moments, at(0), at(300))

    assert len(flow) == 60
    assert (sum(p.completed for p in flow), sum(p.failed for p in flow)) == (41, 5)
    assert [part.completed for part in flow if part.completed] == [10, 31]
    assert flow[9].per_min(flow[9].completed) == 120


def test_a_part_in_which_nothing_ended_has_no_jobs():
    flow = flow_of([jobs(1, 5), jobs(99, 5)], at(0), at(100))

    assert [part.completed for part in flow][0:3] == [5, 0, 0]


def test_a_short_life_is_one_part_and_none_has_no_parts():
    assert len(flow_of([jobs(1, 1)], at(0), at(3))) == 1
    assert flow_of([], at(0), at(0)) == ()


def test_words_are_named_by_what_they_mean(spec_of):
    assert phases_of(spec_of()) == {
        "actionable": "ready",
        "claimed": "claimed",
        "complete": "done",
        "failed": "failed",
    }


def test_a_frame_has_a_line_a_moment_of_either_kind():
    made = Metrics(
        name="a",
        since=at(0),
        until=at(9),
        jobs=(jobs(1, 2), jobs(5, 4)),
        depth=(Counted(at=at(3), counts={"completed": 7}),),
        phases={},
        waiting=Durations(),
        working=Durations(),
    )
    frame = made.frame

    assert list(frame.columns) == [
        "at", "completed", "failed", "retried", "held", "rows completed",
    ]  # fmt: skip
    assert frame["completed"].tolist()[::2] == [2, 4]
    assert frame["completed"].isna().tolist() == [False, True, False]
    assert frame["rows completed"].dropna().tolist() == [7]
    assert frame["at"].tolist()[1] == pd.Timestamp(at(3))

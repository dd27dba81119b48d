from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ermpoll import render
from ermpoll.agent.memory.durations import DurationCounts, Durations
from ermpoll.agent.memory.metrics import Metrics
from ermpoll.queue.reading.course import Counted
from tests.helpers import pages

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds):
    return BEGUN + timedelta(seconds=seconds)


def metrics(**told):
    working = DurationCounts()
    for seconds in (1, 2, 3, 90):
        working.add(seconds)
    done = {"completed": 9, "failed": 1, "retried": 0, "held": 2}
    whole = {
        "name": "convert <b>images</b>",
        "since": at(0),
        "until": at(600),
        "jobs": (Counted(at=at(30), counts=done),),
        "depth": (
            Counted(at=at(0), counts={"done": 5, "new": 1_500}),
            Counted(at=at(300), counts={"done": 12, "new": 900, "<script>": 3}),
        ),
        "phases": {"new": "ready", "done": "done"},
        "waiting": Durations(),
        "working": working.of_now(),
    }
    return Metrics(**{**whole, **told})


def test_the_numbers_of_the_drawings_stand_beside_them_as_text():
    text = str(metrics())

    assert "new       1,500  900   900    1,500" in text
    assert "<script>  0      3     0      3" in text
    [working] = [one for one in text.splitlines() if one.startswith("working")]
    assert (
        " ".join(working.split()) == "working 4 1.9 s 1 min 24 s 1 min 24 s 1 min 30 s"
    )
    assert "2026-01-01 00:00:00 to 2026-01-01 00:10:00 (UTC), 10 min 00 s" in text


def test_a_notebook_shows_drawings_with_axes_and_escapes_what_it_says():
    shown = render.metrics(metrics())

    pages.text_of(shown)
    assert shown.count('<svg class="ermpoll-chart"') == 3
    assert "convert &lt;b&gt;images" in shown
    assert "&lt;script&gt;" in shown


def test_a_life_without_anything_says_so_and_draws_no_empty_axes():
    none = metrics(until=at(0), jobs=(), depth=(), working=Durations())
    shown = render.metrics(none)

    assert "Not counted yet" in shown
    assert 'ermpoll-chart"' not in shown
    assert [line.split()[1:] for line in str(none).splitlines() if "work" in line] == [
        ["0", "-", "-", "-", "-"]
    ]

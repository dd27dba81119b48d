from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from ermpoll.agent.memory.durations import DurationCounts
from ermpoll.render import charts
from ermpoll.render.page import fill

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


def line(*values, tone="ok"):
    return charts.Series(word="done", values=values, tone=tone)


def test_lines_of_one_colour_differ_in_their_dashes():
    drawn = charts.dashed([line(1), line(2), line(3, tone="bad"), line(4)])

    assert [one.dash for one in drawn] == ["", "5 3", "", "2 2"]


def test_an_axis_of_time_is_in_the_readers_zone():
    at = [BEGUN, BEGUN + timedelta(hours=4)]
    drawn = charts.lines("rows", at, [line(1, 2)], ZoneInfo("Asia/Tokyo"))

    assert [tick["text"] for tick in drawn["xs"]][:2] == ["09:00", "10:00"]


def test_a_line_has_few_points_however_long_it_is_and_keeps_its_last():
    at = [BEGUN + timedelta(seconds=n) for n in range(5_001)]
    drawn = charts.lines("rows", at, [line(*range(5_001))])
    points = drawn["series"][0]["points"].split()

    assert len(points) < 400
    assert points[-1].startswith(f"{drawn['right']}.0,")


def test_a_value_that_is_not_known_is_left_out():
    at = [BEGUN + timedelta(minutes=n) for n in range(3)]
    drawn = charts.lines("rows", at, [line(None, 2, 4.5)])

    assert len(drawn["series"][0]["points"].split()) == 2
    assert drawn["series"][0]["last"] == "4.5"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.004, "4 ms"),
        (0.25, "0.25 s"),
        (4.25, "4.2 s"),
        (75, "1 min 15 s"),
    ],
)
def test_a_time_is_told_as_closely_as_it_matters(seconds, text):
    assert charts.took(seconds) == text


@pytest.mark.parametrize("seconds", [[0.0], [3, 3], [0.002, 9, 4e6]])
def test_a_histogram_has_its_bars_within_its_axes(seconds):
    counts = DurationCounts()
    for one in seconds:
        counts.add(one)
    drawn = charts.bars("working", counts.of_now().bars())

    assert fill("bars.html", chart=drawn).count("<rect") == len(drawn["bars"]) > 0
    for bar in drawn["bars"]:
        assert float(bar["x"]) >= drawn["left"]
        assert float(bar["x"]) + float(bar["width"]) <= drawn["right"]
        assert float(bar["y"]) + float(bar["height"]) == pytest.approx(
            drawn["bottom"], abs=0.2
        )
    for tick in drawn["xs"]:
        assert drawn["left"] - 1 <= float(tick["x"]) <= drawn["right"] + 1

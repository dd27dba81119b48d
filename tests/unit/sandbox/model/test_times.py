"""Dates, times and intervals in PostgreSQL's forms, without a catalog."""

from __future__ import annotations

import time

import pytest

from ermpoll.sandbox.model import intervals, times


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2018-1-1T1:00:00.0-08:00", "2018-01-01T09:00:00+00:00"),
        ("2018-01-1T01:00:00.0", "2018-01-01T01:00:00+00:00"),
        ("2024-03-01 10:00:00+02", "2024-03-01T08:00:00+00:00"),
        ("2024-03-01 10:00:00+0230", "2024-03-01T07:30:00+00:00"),
        ("2024-03-01T10:00:00.1234567Z", "2024-03-01T10:00:00.123457+00:00"),
        ("2024-03-01T10:00:00.9999999Z", "2024-03-01T10:00:01+00:00"),
        ("2024-03-01T24:00:00Z", "2024-03-02T00:00:00+00:00"),
        ("2024-03-01 12:05 AM UTC", "2024-03-01T00:05:00+00:00"),
        ("20240301T100203Z", "2024-03-01T10:02:03+00:00"),
        ("3/1/2024 4:05 pm", "2024-03-01T16:05:00+00:00"),
        ("1 Mar 2024", "2024-03-01T00:00:00+00:00"),
        ("March 1, 2024 10:00", "2024-03-01T10:00:00+00:00"),
        ("infinity", "infinity"),
        ("-infinity", "-infinity"),
        ("epoch", "1970-01-01T00:00:00+00:00"),
    ],
)
def test_instants_are_read_in_many_forms(text: str, shown: str) -> None:
    assert times.write_zoned(times.read_instant(text, zoned=True)) == shown


@pytest.mark.parametrize(
    "text", ["", "soon", "2024-13-01", "2024-02-30", "10:00", "2024-03-01T25:00", "1"]
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        times.read_instant(text, zoned=True)


def test_words_for_days_are_of_now() -> None:
    now = time.time_ns() // 1000

    assert abs(times.read_instant("now", zoned=True) - now) < 60_000_000
    day = times.read_instant("today", zoned=True)
    assert day % 86_400_000_000 == 0
    assert times.read_instant("tomorrow", zoned=True) - day == 86_400_000_000


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("10:5", "10:05:00+00"),
        ("10:05:06.25-7", "10:05:06.25-07"),
        ("4:00 pm +05:30", "16:00:00+05:30"),
    ],
)
def test_times_of_day_keep_their_zone(text: str, shown: str) -> None:
    assert times.read_timetz(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1 day 02:03:04", "1 day 02:03:04"),
        ("P1Y2M3DT4H5M6.5S", "1 year 2 mons 3 days 04:05:06.5"),
        ("PT90M", "01:30:00"),
        ("1:2", "01:02:00"),
        ("5", "00:00:05"),
        ("1 month ago", "-1 mons"),
        ("1.5 days", "1 day 12:00:00"),
        ("1.5 months", "1 mon 15 days"),
        ("-1 day 2 hours", "-1 days +02:00:00"),
        ("@ 1 minute", "00:01:00"),
        ("100 hours", "100:00:00"),
        ("0", "00:00:00"),
    ],
)
def test_intervals_are_written_in_one_form(text: str, shown: str) -> None:
    assert intervals.read(text) == shown


@pytest.mark.parametrize("text", ["", "P", "1 fortnight", "soon", "1 day x"])
def test_what_is_no_interval_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        intervals.read(text)


def test_an_interval_is_as_long_as_its_parts() -> None:
    assert intervals.length("24:00:00") == intervals.length("1 day")
    assert intervals.length("1 mon") == intervals.length("30 days")
    assert intervals.length("-1 days +02:00:00") == -22 * 3600 * 1_000_000

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ermpoll.catalog.clock import (
    DATE_MARGIN,
    ServerClock,
    date_time,
    parse_time,
    time_text,
)

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
seconds = st.floats(0, 1e6)
times = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


class Here:
    """The clocks of this machine, set by hand."""

    def __init__(self) -> None:
        self.mono = 100.0
        self.wall_clock = START.timestamp()
        self.clock = ServerClock(lambda: self.mono, lambda: self.wall_clock)

    def passes(self, seconds: float, wall: float | None = None) -> None:
        self.mono += seconds
        self.wall_clock += seconds if wall is None else wall


@pytest.fixture
def here() -> Here:
    return Here()


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_before_any_answer_it_is_our_own_time_less_a_margin(here):
    assert here.clock.now() == START - DATE_MARGIN


def test_a_write_tells_the_time_and_what_passed_is_added(here):
    here.clock.heard_write(after(3600))
    here.passes(10)

    assert here.clock.now() == after(3610)


def test_a_write_sets_back_a_time_that_was_only_guessed(here):
    here.clock.heard_date(after(500))
    here.clock.heard_write(after(100))

    assert here.clock.now() == after(100)


def test_a_date_counts_less_its_margin_and_not_after_a_write(here):
    here.clock.heard_date(after(60))
    assert here.clock.now() == after(60) - DATE_MARGIN

    here.clock.heard_write(after(61))
    here.clock.heard_date(after(9999))
    assert here.clock.now() == after(61)


def test_an_old_etag_does_not_set_the_clock_back(here):
    here.clock.heard_read(after(-86400))

    assert here.clock.now() == START - DATE_MARGIN


def test_an_etag_from_ahead_moves_the_clock_on(here):
    here.clock.heard_read(after(30))
    here.passes(1)

    assert here.clock.now() == after(31)


def test_a_date_corrects_a_clock_that_was_never_told(here):
    here.clock.heard_date(after(-300))

    assert here.clock.now() == after(-300) - DATE_MARGIN


@pytest.mark.parametrize(
    ("mono", "wall", "passed"),
    [(5, 3600, 3600), (3600, -50, 3600), (0, -10, 0), (7, 7, 7)],
    ids=["the laptop slept", "the clock was set back", "only set back", "both"],
)
def test_the_larger_of_both_clocks_counts(here, mono, wall, passed):
    here.clock.heard_write(START)
    here.passes(mono, wall)

    assert here.clock.now() == after(passed)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["write", "read", "date"]),
            st.floats(0, 5),  # how long the answer was on its way
            st.floats(0, 300),  # until the next one
        ),
        min_size=1,
    ),
    st.floats(-1e5, 1e5),
)
def test_it_never_runs_ahead_of_the_catalog(answers, ahead):
    """With clocks that run alike, whatever is heard and however late."""
    here = Here()
    catalog = after(ahead)
    told = False
    for kind, late_s, until_next_s in answers:
        at = catalog
        here.passes(late_s)
        catalog += timedelta(seconds=late_s)
        if kind == "date":
            here.clock.heard_date(at.replace(microsecond=0))
        elif kind == "write":
            here.clock.heard_write(at)
        else:
            here.clock.heard_read(at)
        told = told or kind == "write"
        if told:
            assert here.clock.now() <= catalog + timedelta(milliseconds=1)
        here.passes(until_next_s)
        catalog += timedelta(seconds=until_next_s)


@given(st.lists(st.tuples(times, seconds)))
def test_once_told_it_never_runs_backwards(answers):
    here = Here()
    here.clock.heard_write(START)
    before = here.clock.now()
    for at, passed in answers:
        here.clock.heard_write(at)
        here.passes(passed)
        assert here.clock.now() >= before
        before = here.clock.now()


# texts


@given(st.datetimes(timezones=st.timezones()))
def test_a_time_written_is_read_back(at):
    assume(at.utcoffset() is not None and 1 < at.year < 9999)

    assert parse_time(time_text(at)) == at.astimezone(UTC)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2024-02-03T02:05:06.789+00:00", (2024, 2, 3, 2, 5, 6, 789000)),
        ("2024-02-03T02:05:06.7+00:00", (2024, 2, 3, 2, 5, 6, 700000)),
        ("2024-02-03T02:05:06.78901+00:00", (2024, 2, 3, 2, 5, 6, 789010)),
        ("2024-02-03 02:05:06+00", (2024, 2, 3, 2, 5, 6)),
        ("2024-02-03 04:05:06+0200", (2024, 2, 3, 2, 5, 6)),
        ("2024-02-02T18:05:06-08:00", (2024, 2, 3, 2, 5, 6)),
        ("2024-02-03T02:05:06Z", (2024, 2, 3, 2, 5, 6)),
    ],
)
def test_the_catalog_s_spellings_are_read(text, at):
    assert parse_time(text) == datetime(*at, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2024-02-03T02:05:06", "soon", "", None, 7, "12"])
def test_what_is_no_time_with_a_zone_is_none(text):
    assert parse_time(text) is None


@given(st.text())
def test_no_text_makes_it_fail(text):
    assert parse_time(text) is None or parse_time(text).tzinfo is UTC
    date_time(text)


@pytest.mark.parametrize(
    ("header", "at"),
    [
        (
            "Tue, 24 Nov 2026 03:40:49 GMT",
            datetime(2026, 11, 24, 3, 40, 49, tzinfo=UTC),
        ),
        (
            "Tue, 24 Nov 2026 03:40:49 -0000",
            datetime(2026, 11, 24, 3, 40, 49, tzinfo=UTC),
        ),
        (
            "Tue, 24 Nov 2026 05:40:49 +0200",
            datetime(2026, 11, 24, 3, 40, 49, tzinfo=UTC),
        ),
        ("yesterday", None),
        (None, None),
    ],
)
def test_a_date_header_is_read_or_passed_over(header, at):
    assert date_time(header) == at


def test_times_of_other_zones_are_written_in_utc():
    at = datetime(2026, 1, 1, 1, 0, tzinfo=timezone(timedelta(hours=2)))

    assert time_text(at) == "2025-12-31T23:00:00.000000+00:00"

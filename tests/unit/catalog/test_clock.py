from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ermpoll.catalog.clock import (
    DATE_MARGIN,
    ServerClock,
    date_time,
    parse_time,
    rising_s,
    time_text,
)

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Here:
    """The clocks of this machine, set by hand."""

    def __init__(self) -> None:
        self.rising = 100.0
        self.wall_clock = START.timestamp()
        self.clock = ServerClock(lambda: self.rising, lambda: self.wall_clock)

    def passes(self, seconds: float, wall: float | None = None) -> None:
        self.rising += seconds
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


@pytest.mark.parametrize("ahead_s", [-3600, 3600, 3e8])
def test_a_newer_write_corrects_an_older_one_both_ways(here, ahead_s):
    here.clock.heard_write(after(ahead_s))
    here.passes(1)
    here.clock.heard_write(after(1))

    assert here.clock.now() == after(1)


@pytest.mark.parametrize("ahead_s", [-3600, -3, 3, 3600])
def test_nobody_is_judged_by_a_write_that_leaps_until_another_confirms_it(
    here, ahead_s
):
    here.clock.heard_write(after(0))
    assert here.clock.own_time(1) == after(0)
    here.passes(1)
    here.clock.heard_write(after(1 + ahead_s))
    assert here.clock.own_time(1) is None
    here.passes(1)
    here.clock.heard_write(after(2 + ahead_s))

    assert here.clock.own_time(1) == after(2 + ahead_s)


@pytest.mark.parametrize("ahead_s", [-3600, 3600])
def test_nothing_begins_before_its_time_by_one_write_that_leaps(here, ahead_s):
    here.clock.heard_write(after(0))
    here.passes(1)
    here.clock.heard_write(after(1 + ahead_s))
    assert here.clock.reached() == min(after(1), after(1 + ahead_s))
    here.passes(1)
    here.clock.heard_write(after(2 + ahead_s))

    assert here.clock.reached() == after(2 + ahead_s)


def test_what_was_reached_is_guessed_until_a_write_tells_it(here):
    here.clock.heard_date(after(60))
    assert (here.clock.reached(), here.clock.is_told) == (
        after(60) - DATE_MARGIN,
        False,
    )
    here.clock.heard_write(after(0))

    assert (here.clock.reached(), here.clock.is_told) == (after(0), True)


def test_one_write_that_leaps_costs_nothing_once_it_is_over(here):
    here.clock.heard_write(after(0))
    here.clock.heard_write(after(3600))
    assert here.clock.own_time(1) is None
    here.passes(1)
    here.clock.heard_write(after(1))

    assert here.clock.own_time(1) == after(1)


def test_a_slow_answer_is_no_leap(here):
    here.clock.heard_write(after(0))
    asked_at = here.clock.reading()
    here.passes(20)
    here.clock.heard_write(after(1), asked_at)

    assert here.clock.own_time(30) == after(1)


def test_the_first_write_is_believed_whatever_a_front_server_says(here):
    here.clock.heard_date(after(-3600))
    here.clock.heard_write(after(0))

    assert here.clock.own_time(1) == after(0)


def test_of_two_writes_the_one_sent_later_counts_whichever_answer_comes_last(here):
    first = here.clock.reading()
    here.passes(1)
    here.clock.heard_write(after(1), here.clock.reading())
    here.passes(60)
    here.clock.heard_write(after(0), first)

    assert here.clock.now() == after(61)


@pytest.mark.parametrize("wall", [-3600, 0, 3600, 1e9])
def test_a_step_of_the_wall_clock_moves_nothing_that_an_answer_told(here, wall):
    here.clock.heard_date(after(2))
    here.passes(5, wall)
    assert here.clock.now() == after(5)

    here.clock.heard_write(after(60))
    here.passes(5, wall)
    assert here.clock.now() == after(65)


def test_a_suspended_machine_s_clock_has_counted(monkeypatch):
    clocks = {time.CLOCK_BOOTTIME: 7200.0, time.CLOCK_MONOTONIC: 10.0}
    monkeypatch.setattr(time, "clock_gettime", clocks.__getitem__)
    assert rising_s() == 7200.0

    monkeypatch.delattr(time, "CLOCK_BOOTTIME")
    assert rising_s() == 10.0

    monkeypatch.delattr(time, "CLOCK_MONOTONIC")
    monkeypatch.setattr(time, "monotonic", lambda: 20.0)
    assert rising_s() == 20.0


@pytest.mark.parametrize("ahead_s", [-9999, 8, 9999])
def test_nothing_but_a_write_bounds_what_a_write_told(here, ahead_s):
    here.clock.heard_write(after(61))
    here.clock.heard_date(after(ahead_s))
    here.clock.heard_read(after(ahead_s))

    assert here.clock.now() == here.clock.own_time(1) == after(61)


def test_a_date_counts_less_its_margin_and_a_newer_one_corrects_it(here):
    for ahead_s in (9999, -300, 60):
        here.clock.heard_date(after(ahead_s))
        assert here.clock.now() == after(ahead_s) - DATE_MARGIN


def test_an_old_etag_does_not_set_the_clock_back(here):
    here.clock.heard_read(after(-86400))

    assert here.clock.now() == START - DATE_MARGIN


def test_an_etag_from_ahead_moves_the_clock_on(here):
    here.clock.heard_read(after(30))
    here.passes(1)

    assert here.clock.now() == after(31)


def test_only_an_own_write_tells_a_time_to_judge_others_by(here):
    here.clock.heard_date(after(8))
    here.clock.heard_read(after(9))

    assert here.clock.own_time(1e9) is None


def test_the_time_of_a_write_is_of_use_until_it_is_too_old(here):
    asked_at = here.clock.reading()
    here.passes(0.5)
    here.clock.heard_write(after(10), asked_at)
    here.passes(0.5)

    assert here.clock.own_time(1) == after(10.5)
    assert here.clock.own_time(0.9) is None


@pytest.mark.parametrize(
    "at",
    [
        datetime.max.replace(tzinfo=UTC),
        datetime.min.replace(tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, tzinfo=UTC),
    ],
)
def test_a_time_that_no_server_has_is_no_time(here, at):
    here.clock.heard_date(at)
    here.clock.heard_read(at)
    here.clock.heard_write(at)
    here.passes(1e6)

    assert here.clock.now() == after(1e6) - DATE_MARGIN
    assert here.clock.own_time(1e9) is None


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
        at, asked_at = catalog, here.clock.reading()
        here.passes(late_s)
        catalog += timedelta(seconds=late_s)
        if kind == "date":
            here.clock.heard_date(at.replace(microsecond=0))
        elif kind == "write":
            here.clock.heard_write(at, asked_at)
        else:
            here.clock.heard_read(at)
        told = told or kind == "write"
        if told:
            assert here.clock.now() <= catalog + timedelta(milliseconds=1)
        here.passes(until_next_s)
        catalog += timedelta(seconds=until_next_s)


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
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
        ("Thu, 32 Foo 99999999999 25:61:61 GMT", None),
        (None, None),
    ],
)
def test_a_date_header_is_read_or_passed_over(header, at):
    assert date_time(header) == at


def test_times_of_other_zones_are_written_in_utc():
    at = datetime(2026, 1, 1, 1, 0, tzinfo=timezone(timedelta(hours=2)))

    assert time_text(at) == "2025-12-31T23:00:00.000000+00:00"


def test_the_write_that_was_answered_soonest_tells_the_finest_time(here):
    assert here.clock.fine_s() is None
    for late_s in (0.080, 0.006, 0.200):
        here.passes(1.0)
        at = START + timedelta(seconds=here.rising - 100 - late_s)
        here.clock.heard_write(at)

    assert here.clock.fine_s() == pytest.approx(START.timestamp() + 3, abs=1e-4)


def test_a_clock_that_was_set_has_a_fine_time_again_at_once(here):
    here.clock.heard_write(after(0))
    here.passes(1.0)
    here.clock.heard_write(after(-3600))

    assert here.clock.fine_s() == pytest.approx(START.timestamp() - 3600, abs=0.01)

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from ermpoll.queue.reading.course import Course

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


def filled(moments, most=10, every_s=1.0):
    course = Course(most=most, every_s=every_s)
    for n in range(moments):
        course.add(BEGUN + timedelta(seconds=n), {"new": n})
    return course


def seconds(course):
    return [int((one.at - BEGUN).total_seconds()) for one in course.moments]


def test_a_short_course_keeps_every_moment():
    assert seconds(filled(10)) == list(range(10))


def test_a_long_course_keeps_its_first_its_newest_and_some_between():
    kept = seconds(filled(10_000))

    assert len(kept) <= 10
    assert (kept[0], kept[-1]) == (0, 9_999)
    gaps = [b - a for a, b in pairwise(kept[:-1])]
    assert max(gaps) <= 2 * min(gaps)


def test_what_is_counted_often_takes_the_place_of_what_was_just_before():
    course = Course(every_s=1.0)
    for n in range(100):
        course.add(BEGUN + timedelta(seconds=n / 20), {"new": n})

    assert len(course.moments) <= 7
    assert course.moments[-1].counts == {"new": 99}


def test_what_was_given_may_change_afterwards():
    course, counts = Course(), {"new": 1}
    course.add(BEGUN, counts)
    counts["new"] = 2

    assert course.moments[0].counts == {"new": 1}

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ermpoll.catalog.etags import SharedETag, etag_login, etag_time, snapshot_id
from ermpoll.records import Page


class Asked:
    """Answers a read, and counts how often it was asked."""

    def __init__(self, page: Page | None = None) -> None:
        self.page = page
        self.times = 0

    def __call__(self) -> Page | None:
        self.times += 1
        return self.page


def test_an_answer_since_the_news_serves_everybody():
    known, first, second = SharedETag(), Asked(), Asked()

    assert known.ask("e1", 9.0, first, lambda: 10.0) is None
    assert known.ask("e1", 10.0, second) is None
    assert (first.times, second.times) == (1, 0)


def test_an_answer_from_before_the_news_does_not():
    known, again = SharedETag(), Asked()
    known.ask("e1", 9.0, Asked(), lambda: 10.0)

    known.ask("e1", 10.5, again)

    assert again.times == 1


def test_another_etag_is_asked_about():
    page = Page(rows=[], etag="e2", url="")
    known, other = SharedETag(), Asked(page)
    known.ask("e1", 9.0, Asked(page), lambda: 10.0)

    assert known.ask("e1", 9.0, other, lambda: 11.0) is page
    assert known.ask("e2", 9.0, Asked()) is None


def test_one_asks_while_the_others_wait():
    known, entered, go = SharedETag(), threading.Event(), threading.Event()

    def slow() -> None:
        entered.set()
        go.wait(5)

    others = [Asked() for _ in range(4)]
    first = threading.Thread(target=lambda: known.ask("e", 0.0, slow))
    first.start()
    assert entered.wait(5)
    rest = [
        threading.Thread(target=lambda a=asked: known.ask("e", 0.0, a))
        for asked in others
    ]
    for thread in rest:
        thread.start()
    go.set()
    for thread in (first, *rest):
        thread.join()

    assert [asked.times for asked in others] == [0] * 4


def test_an_answer_that_comes_late_is_not_the_newest_one():
    known, asked = SharedETag(), Asked()
    late = Page(rows=[], etag="old", url="")

    def overtaken() -> Page:
        known.ask("old", 5.0, Asked(Page(rows=[], etag="new", url="")), lambda: 6.0)
        return late

    assert known.ask("old", 1.0, overtaken, lambda: 2.0) is late
    assert known.ask("new", 5.0, asked) is None
    assert asked.times == 0


# -- what an ETag says


@pytest.mark.parametrize(
    ("etag", "at"),
    [
        (
            '"r==;*/*;2026-11-24 03:40:49.850372+00:00"',
            (2026, 11, 24, 3, 40, 49, 850372),
        ),
        ('W/"r;a/b;2026-11-24 03:40:49+00:00"', (2026, 11, 24, 3, 40, 49)),
        (
            '"r;text/csv; charset=x;2026-11-24 03:40:49+00:00"',
            (2026, 11, 24, 3, 40, 49),
        ),
        ('"r;a/b;0"', (1970, 1, 1)),
        ('"abc"', None),
        ("", None),
        (None, None),
        ('"r;a/b;ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ"', None),
    ],
)
def test_the_time_in_an_etag(etag, at):
    assert etag_time(etag) == (at and datetime(*at, tzinfo=UTC))


def test_the_login_in_an_etag():
    assert etag_login('"vl2g0QHR==;*/*;2026-11-24 03:40:49+00:00"') == "vl2g0QHR=="
    assert etag_login('"abc"') is None
    assert etag_login(None) is None


@given(st.text())
def test_no_etag_makes_it_fail(text):
    for etag in (text, f'"a;b;{text}"'):
        at = etag_time(etag)
        assert at is None or at.tzinfo is UTC


@pytest.mark.parametrize(
    "at", ["2026-01-01T00:00:00+00:00", "2031-11-30T12:34:56.789012+00:00"]
)
def test_a_time_is_named_as_snapshots_are(at):
    name = snapshot_id(at)

    assert etag_time(f'"roles;accept;{name}"') == datetime.fromisoformat(at)
    assert snapshot_id("no time") is None

from __future__ import annotations

import threading

from ermpoll.catalog.etags import SharedETag, shared_etag_of
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
    clock = iter([10.0])
    known, first, second = SharedETag(lambda: next(clock)), Asked(), Asked()

    assert known.ask("e1", 9.0, first) is None
    assert known.ask("e1", 10.0, second) is None
    assert (first.times, second.times) == (1, 0)


def test_an_answer_from_before_the_news_does_not():
    clock = iter([10.0, 11.0])
    known, again = SharedETag(lambda: next(clock)), Asked()
    known.ask("e1", 9.0, Asked())

    known.ask("e1", 10.5, again)

    assert again.times == 1


def test_another_etag_is_asked_about():
    page = Page(rows=[], etag="e2", url="")
    clock = iter([10.0, 11.0])
    known, other = SharedETag(lambda: next(clock)), Asked(page)
    known.ask("e1", 9.0, Asked(page))

    assert known.ask("e1", 9.0, other) is page
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


def test_a_catalog_has_one_freshness_for_as_long_as_it_is_used():
    known = shared_etag_of("http://a")

    assert shared_etag_of("http://a") is known
    assert shared_etag_of("http://b") is not known

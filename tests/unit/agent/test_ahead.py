"""What was read while a write went on, when it is asked for."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from ermpoll.agent.sharing.ahead import AHEAD_S, Ahead
from ermpoll.records import Page

PAGE = Page(rows=[{"RID": "1"}], url="u", etag=None)


def ahead(page: Future[Page | None]) -> Ahead:
    return Ahead(
        page=page, at=10.0, wanted=1, without=frozenset(), narrow="", seats=(0, 1)
    )


@pytest.mark.parametrize(("after_s", "told"), [(AHEAD_S, PAGE), (AHEAD_S + 0.1, None)])
def test_what_was_read_is_told_while_it_is_young(after_s, told) -> None:
    read: Future[Page | None] = Future()
    read.set_result(PAGE)

    assert ahead(read).result(10.0 + after_s) is told


def test_a_read_that_takes_too_long_or_fails_tells_nothing() -> None:
    hangs: Future[Page | None] = Future()
    fails: Future[Page | None] = Future()
    fails.set_exception(OSError("gone"))

    assert ahead(hangs).result(10.0) is None
    assert ahead(fails).result(10.0) is None

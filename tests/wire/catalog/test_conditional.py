from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

import ermpoll
from ermpoll.catalog.conditional import ConditionalReader
from ermpoll.errors import Denied
from tests.helpers.tables import add, make_table

PATH = "entity/Ops:Job?limit=4"
NEW = {"state": "actionable"}


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def catalog(box: ermpoll.sandbox.Box) -> ermpoll.Catalog:
    catalog = ermpoll.connect(box.new_catalog())
    make_table(catalog)
    return catalog


def kept(reader: ConditionalReader, due_s: float | None = None) -> None:
    page = reader.read(PATH)
    assert page is not None
    reader.keep(page.etag, due_s)


def test_what_left_nothing_to_do_is_read_again_only_when_something_was_written(catalog):
    reader = ConditionalReader(catalog)
    kept(reader)
    before = reader.moved

    unchanged = reader.read(PATH)
    add(catalog, NEW)
    changed = reader.read(PATH)

    assert (before, unchanged) == (False, None)
    assert changed is not None
    assert reader.moved


def test_what_left_something_to_do_is_read_again_in_any_case(catalog):
    reader = ConditionalReader(catalog)
    kept(reader)
    reader.keep(None, None)

    assert reader.read(PATH) is not None
    assert not reader.moved


def test_what_was_forgotten_or_asked_for_is_read_in_any_case(catalog):
    reader = ConditionalReader(catalog)
    kept(reader)

    assert reader.read(PATH, unconditional=True) is not None
    reader.forget()
    assert reader.read(PATH) is not None


def test_a_stored_time_that_comes_is_read_in_any_case(catalog):
    clock = Clock()
    reader = ConditionalReader(catalog, monotonic=clock)
    kept(reader, due_s=5.0)
    clock.now += 4.0
    early = (reader.read(PATH), reader.due_s())
    clock.now += 1.0

    assert early == (None, 1.0)
    assert reader.read(PATH) is not None


def test_readers_of_one_process_ask_once_for_one_piece_of_news(box, catalog):
    news_at = time.monotonic()
    readers = [ConditionalReader(catalog) for _ in range(4)]
    for reader in readers:
        kept(reader)
    asked, get = [], catalog.get
    catalog.get = lambda *args, **options: asked.append(1) or get(*args, **options)

    answers = [reader.read(PATH, since=news_at) for reader in readers]

    assert answers == [None] * 4
    assert len(asked) == 1


@pytest.fixture
def guarded() -> Iterator[ermpoll.sandbox.Box]:
    with ermpoll.sandbox.start(token="t0p") as box:
        yield box


def test_who_is_logged_in_is_asked_when_that_changes_or_is_refused(guarded):
    told: list[str | None] = []
    path = "entity/Imaging:Image?limit=1"
    reader = ConditionalReader(
        guarded.catalog(), log_in=lambda name, left_s: told.append(name)
    )
    for _ in range(2):
        reader.read(path)
    calm = (len(told), reader.is_as_expected)
    guarded.faults(logged_out=True)
    for _ in range(2):
        reader.read(path)
    gone = (len(told), reader.is_as_expected)
    guarded.faults(status=401, methods=["GET"], times=2)
    with pytest.raises(Denied):
        reader.read(path)
    guarded.faults()
    reader.read(path)

    assert calm == (1, True)
    assert gone == (2, False)
    assert told[1] is None
    assert told[-1] == told[0]
    assert reader.is_as_expected

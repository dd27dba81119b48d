from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

import ermpoll
from ermpoll.catalog.clock import time_text
from ermpoll.errors import Denied
from ermpoll.polling.watcher import Query, QueryWatcher
from tests.helpers.tables import OPTIONAL, add, edit, make_table

NEW = {"state": "actionable"}
PATH = "entity/Ops:Job/state=actionable@sort(RID)?limit=4"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def catalog(box: ermpoll.sandbox.Box) -> ermpoll.Catalog:
    catalog = ermpoll.connect(box.new_catalog())
    make_table(catalog)
    return catalog


def watching(catalog: ermpoll.Catalog, **options: object) -> QueryWatcher:
    query = Query(path=lambda: PATH, limit=3, noun="job")
    return QueryWatcher(catalog, query, **options)  # type: ignore[arg-type]


def test_a_look_tells_what_came_and_what_went(catalog):
    watcher = watching(catalog)
    first = watcher.look()
    rid, _ = add(catalog, NEW, NEW)
    came = watcher.look()
    edit(catalog, rid, state="complete")
    went = watcher.look()

    assert first.detail == "looked, 0 jobs"
    assert came.detail == "looked, 2 jobs: 2 came, 0 went"
    assert went.detail == "looked, 1 job: 0 came, 1 went"
    assert [look.found for look in (first, came, went)] == [False, True, True]
    assert [look.outcome for look in (first, came, went)] == ["empty", "rows", "rows"]


def test_one_row_more_than_asked_for_is_more(catalog):
    add(catalog, *[NEW] * 4)
    watcher = watching(catalog)

    looked = watcher.look()

    assert looked.detail == "looked, 3 jobs and more"
    assert (len(watcher.rows), watcher.more) == (3, True)


def test_nothing_written_is_answered_304_and_keeps_the_rows(catalog):
    add(catalog, NEW)
    watcher = watching(catalog)
    watcher.look()

    looked = watcher.look()

    assert looked.outcome == "unchanged"
    assert len(watcher.rows) == 1


def test_an_unconditional_look_reads_in_any_case(catalog):
    watcher = watching(catalog)
    watcher.look()

    assert watcher.look(unconditional=True).outcome == "empty"


def test_1_a_row_is_seen_although_an_own_write_came_after_it(catalog):
    [done] = add(catalog, {"state": "complete"})
    watcher = watching(catalog)
    watcher.look()

    [rid] = add(catalog, NEW)
    catalog.put("attributegroup/Ops:Job/RID;name", [{"RID": done, "name": "x"}])
    looked = watcher.look()

    assert looked.outcome == "rows"
    assert [row["RID"] for row in watcher.rows] == [rid]


def test_2_a_row_is_seen_when_its_time_comes(catalog):
    soon = catalog.now() + timedelta(hours=1)
    add(catalog, {**NEW, "retry_at": time_text(soon)})
    jobs, clock, passed = ermpoll.Queue(catalog, "Ops:Job", **OPTIONAL), Clock(), [0]

    def now():
        return soon + timedelta(seconds=clock.now - 103.0)

    query = Query(
        path=lambda: jobs.queries.candidates(now(), 4),
        limit=3,
        due_s=lambda: 3.0 if clock.now < 103.0 else passed[0] or None,
    )
    watcher = QueryWatcher(catalog, query, monotonic=clock)

    early = watcher.look()
    clock.now += 1.0
    still = watcher.look()
    clock.now += 2.5
    late = watcher.look()

    assert (early.outcome, early.due_s) == ("empty", 3.0)
    assert (still.outcome, still.due_s) == ("unchanged", 2.0)
    assert (late.outcome, late.due_s) == ("rows", None)


def test_18_unrelated_writes_are_no_find(catalog):
    """Each answers 200: the ETag is the whole catalog's. So they slow the looks."""
    [done] = add(catalog, {"state": "complete"})
    watcher = watching(catalog)
    watcher.look()

    looks = []
    for n in range(10):
        edit(catalog, done, name=str(n))
        looks.append(watcher.look())

    assert {look.outcome for look in looks} == {"empty"}
    assert not any(look.found for look in looks)
    assert all(look.etag_moved for look in looks)


def test_22_a_write_of_nothing_is_looked_at_and_answered_by_nothing(box, catalog):
    watcher = watching(catalog)
    watcher.look()
    catalog.put("attributegroup/Ops:Job/RID;name", [])
    before = len(box.log)

    looked = watcher.look()

    assert (looked.outcome, looked.etag_moved) == ("empty", True)
    assert len(box.log) == before


def test_idle_is_an_empty_query_with_nothing_due(catalog):
    clock, due = Clock(), [5.0]
    query = Query(path=lambda: PATH, limit=3, due_s=lambda: due.pop() if due else None)
    watcher = QueryWatcher(catalog, query, monotonic=clock)

    before = watcher.is_idle
    watcher.look()
    waiting = watcher.is_idle
    clock.now += 6.0
    watcher.look()
    idle = watcher.is_idle
    add(catalog, NEW)
    watcher.look()

    assert (before, waiting, idle, watcher.is_idle) == (False, False, True, False)


# -- 19: the login


@pytest.fixture
def guarded() -> Iterator[ermpoll.sandbox.Box]:
    with ermpoll.sandbox.start(token="t0p") as box:
        yield box


@pytest.fixture
def spied(guarded, monkeypatch) -> tuple[ermpoll.Catalog, Callable[[], int]]:
    """A catalog with a login, and how often it was asked whose that is."""
    catalog = guarded.catalog()
    asked, session = [], catalog.session

    def spy():
        asked.append(1)
        return session()

    monkeypatch.setattr(catalog, "session", spy)
    return catalog, lambda: len(asked)


def image(catalog: ermpoll.Catalog, told: list[object], path: str = "") -> QueryWatcher:
    path = path or "entity/Imaging:Image/Processing_Status=nosuch?limit=4"
    query = Query(path=lambda: path, limit=3)
    return QueryWatcher(catalog, query, log_in=lambda name, left_s: told.append(name))


def test_19_an_expired_login_is_asked_about_once_and_is_not_idle(guarded, spied):
    catalog, asked = spied
    told: list[object] = []
    watcher = image(catalog, told)
    for _ in range(3):
        watcher.look()
    calm = (asked(), watcher.is_idle)

    guarded.faults(logged_out=True)
    for _ in range(3):
        watcher.look(unconditional=True)
    gone = (asked(), watcher.is_idle)
    guarded.faults()
    watcher.look()

    assert calm == (1, True)
    assert gone == (2, False)
    assert (asked(), watcher.is_idle) == (3, True)
    name = told[0]
    assert told == [name, None, name]
    assert name is not None


def test_19_a_refused_login_is_asked_about_once(guarded, spied):
    catalog, asked = spied
    watcher = image(catalog, [])
    watcher.look()

    guarded.faults(status=401, methods=["GET"], times=3)
    for _ in range(2):
        with pytest.raises(Denied):
            watcher.look(unconditional=True)
    refused = (asked(), watcher.is_idle)
    guarded.faults()
    watcher.look(unconditional=True)

    assert refused == (2, False)
    assert (asked(), watcher.is_idle) == (3, True)

"""What is overdue, or due again: by the catalog's own time alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import urlsplit

import pytest

import ermpoll
from ermpoll.queue import queue as queue_module
from tests.helpers.conditions import let_pass, wait_until
from tests.helpers.peers import Front, serving
from tests.helpers.tables import add, edit, queue, read

NEW = {"state": "actionable"}


@pytest.fixture
def front(catalog: ermpoll.Catalog) -> Iterator[Front]:
    """A server before the catalog's, which says what a test has it say."""
    with serving(behind=catalog.url) as peer:
        assert isinstance(peer, Front)
        yield peer


@pytest.fixture
def fronted(catalog: ermpoll.Catalog, front: Front) -> Iterator[ermpoll.Catalog]:
    address = f"http://{front.netloc}{urlsplit(catalog.url).path}"
    fronted = ermpoll.connect(address)
    yield fronted
    fronted.close()


def date_in(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


def puts(front: Front) -> list[str]:
    return [sent.body for sent in front.sent if sent.method == "PUT"]


@pytest.mark.parametrize("ahead_s", [8, 3600, -3600])
def test_a_date_from_ahead_robs_no_live_claim(catalog, front, fronted, ahead_s):
    add(catalog, NEW)
    live = queue(catalog, lease_s=5).claim()
    front.told["Date"] = date_in(ahead_s)
    agent = ermpoll.Agent(queue(fronted), lambda row: None)

    for _ in range(3):
        agent.run_once()

    assert agent.status.rescued == 0
    assert catalog.get(f"entity/Ops:Job/RID={live.rids[0]}/state=claimed").rows
    asked = puts(front)
    assert asked in ([], ["[]"]), "one PUT at most, and it writes nothing"
    assert bool(asked) == (ahead_s > 0), "the time is asked for where a row looks late"


def test_an_overdue_claim_is_freed_by_an_agent_that_has_only_read(catalog, front):
    add(catalog, NEW)
    gone = queue(catalog, lease_s=1).claim()
    jobs = queue(ermpoll.connect(f"http://{front.netloc}{urlsplit(catalog.url).path}"))
    wait_until(lambda: gone.rids[0] in jobs.stale().rids)
    # overdue by the newest time that is known, and soon surely so
    let_pass(0.3)
    agent = ermpoll.Agent(jobs, lambda row: None)

    agent.run_once()

    assert agent.status.rescued == 1
    assert puts(front)[0] == "[]"
    jobs.catalog.close()


def test_where_no_row_looks_overdue_nothing_is_written(catalog, front, fronted):
    add(catalog, NEW, NEW)
    queue(catalog, lease_s=60).claim(2)
    agent = ermpoll.Agent(queue(fronted), lambda row: None)

    for _ in range(3):
        agent.run_once()

    assert puts(front) == []


def test_claims_of_others_are_read_without_their_contents(
    catalog, front, fronted, monkeypatch
):
    monkeypatch.setattr(queue_module, "CLAIMS_PAGE", 4)
    add(catalog, *[{**NEW, "data": {"big": "x" * 2000}}] * 10)
    queue(catalog, lease_s=600).claim(10)
    agent = ermpoll.Agent(queue(fronted), lambda row: None)

    agent.run_once()

    reads = [s.path for s in front.sent if "RMT" in s.path and "claimed" in s.path]
    assert len(reads) == 3, "a page of four at a time"
    assert not [path for path in reads if "data" in path or "/entity/" in path]


def test_a_claim_that_was_touched_after_it_was_listed_is_left_alone(
    catalog, front, fronted
):
    add(catalog, NEW)
    jobs = queue(fronted)
    gone = queue(catalog, lease_s=1).claim()
    [rid] = gone.rids
    wait_until(lambda: rid in jobs.stale().rids)
    # overdue by the newest time that is known, and soon surely so
    let_pass(0.3)
    touched = []

    def renew(sent):
        if f"RID={rid}" in sent.path and not touched:
            touched.append(edit(catalog, rid, owner=gone.token))

    front.before = renew
    agent = ermpoll.Agent(jobs, lambda row: None)

    agent.run_once()

    assert touched
    assert agent.status.rescued == 0


def test_the_time_is_asked_for_once_a_minute_at_most(catalog):
    path, before = "attributegroup/Ops:Job/RID;state", catalog.writes

    assert [catalog.ask_time(path) for _ in range(3)] == [True, False, False]
    assert catalog.own_time(5) is not None
    assert catalog.writes == before + 1


def test_a_time_that_can_t_be_asked_for_is_no_error(catalog):
    reader = ermpoll.connect(catalog.url, read_only=True)

    assert not reader.ask_time("attributegroup/Ops:Job/RID;state")
    assert reader.own_time(1e9) is None
    reader.close()


RETRIED = {**NEW, "attempts": 1}


def time_in(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


@pytest.mark.parametrize("how", ["agent", "claim"])
def test_a_date_from_ahead_brings_no_retry_forward(catalog, front, fronted, how):
    early, due = add(
        catalog,
        {**RETRIED, "retry_at": time_in(600)},
        {**RETRIED, "retry_at": time_in(-600)},
    )
    front.told["Date"] = date_in(3600)
    jobs = queue(fronted)

    if how == "agent":
        ermpoll.Agent(jobs, lambda row: None, workers=2).run_once()
    else:
        jobs.complete(jobs.claim(2))

    done = {rid: read(catalog, rid)["state"] == "complete" for rid in (early, due)}
    assert done == {early: False, due: True}
    assert puts(front)[0] == "[]"


@pytest.mark.parametrize("how", ["agent", "claim"])
def test_a_write_that_leaps_brings_no_retry_forward(catalog, how):
    [early, _] = add(catalog, {**RETRIED, "retry_at": time_in(600)}, NEW)
    catalog.clock.heard_write(datetime.now(UTC) + timedelta(hours=1))
    jobs = queue(catalog)

    if how == "agent":
        ermpoll.Agent(jobs, lambda row: None, workers=2).run_once()
    else:
        jobs.claim(2)

    assert read(catalog, early)["state"] == "actionable"


def test_a_retry_is_put_off_by_no_write_that_leaps(catalog):
    [rid] = add(catalog, {**NEW, "attempts": 0})

    def fails(row: object) -> None:
        catalog.clock.heard_write(datetime.now(UTC) + timedelta(hours=1))
        raise ValueError("no series")

    ermpoll.Agent(queue(catalog), fails).run_once()

    assert read(catalog, rid)["retry_at"] < time_in(600)

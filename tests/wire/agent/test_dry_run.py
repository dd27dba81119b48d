"""A dry run of an agent shows what it would do, and writes nothing."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

import ermpoll
from tests.helpers import picklable_work
from tests.helpers.conditions import wait_until
from tests.helpers.tables import add, queue, read

NEW = {"state": "actionable"}


def states(catalog: ermpoll.Catalog, rids: list[str]) -> list[object]:
    return [read(catalog, rid)["state"] for rid in rids]


def test_a_dry_run_shows_and_writes_nothing(box, catalog):
    rids = add(catalog, *[NEW] * 3)
    agent = ermpoll.Agent(queue(catalog), lambda row: {"result": "r"})
    before = (catalog.writes, len(box.log))

    dry = agent.dry_run(2, work=True)

    assert [c.rid for c in dry.plan.changes] == rids[:2]
    assert dry.results == {rid: {"result": "r"} for rid in rids[:2]}
    assert (catalog.writes, len(box.log)) == before


def test_a_dry_run_refuses_what_work_writes_and_lists_it(catalog):
    [rid] = add(catalog, NEW)

    def nosy(row):
        with contextlib.suppress(ermpoll.WriteRefused):
            catalog.put("attributegroup/Ops:Job/RID;name", [{"RID": rid, "name": "x"}])
        late = threading.Thread(target=lambda: late_write(catalog, rid))
        late.start()
        late.join()

    def late_write(catalog, rid):
        with pytest.raises(ermpoll.WriteRefused):
            catalog.delete(f"entity/Ops:Job/RID={rid}")

    dry = ermpoll.Agent(queue(catalog), nosy).dry_run(1, work=True)

    assert dry.would == (
        "would PUT attributegroup/Ops:Job/RID;name",
        f"would DELETE entity/Ops:Job/RID={rid}",
    )
    assert read(catalog, rid)["name"] is None


def test_a_dry_run_refuses_the_acts_of_a_queue_as_well(catalog):
    rid, other = add(catalog, NEW, NEW)
    jobs = queue(catalog)

    def nosy(row):
        jobs.claim(rows=[other])

    dry = ermpoll.Agent(jobs, nosy).dry_run(1, work=True)

    assert "WriteRefused" in dry.errors[rid]
    assert dry.would[0].startswith("would PUT attributegroup/Ops:Job/RID,RMT;")
    assert states(catalog, [rid, other]) == ["actionable"] * 2


def test_a_dry_run_refuses_the_acts_of_threads_that_work_starts(catalog):
    rid, other = add(catalog, NEW, NEW)
    jobs = queue(catalog)
    refused = []

    def try_to(act):
        try:
            act()
        except ermpoll.WriteRefused:
            refused.append(act)

    def nosy(row):
        inner = ermpoll.Agent(jobs, lambda row: None, name="inner")
        acts = [lambda: jobs.claim(rows=[other]), inner.start, inner.run_once]
        for act in acts:
            thread = threading.Thread(target=try_to, args=(act,))
            thread.start()
            thread.join()

    dry = ermpoll.Agent(jobs, nosy).dry_run(1, work=True)

    assert (len(refused), len(dry.would)) == (3, 3)
    assert states(catalog, [rid, other]) == ["actionable"] * 2


def test_a_dry_run_does_not_hinder_an_agent_that_runs(catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog)
    begun, go = threading.Event(), threading.Event()

    def last(row):
        begun.set()
        go.wait(10)

    with ermpoll.Agent(jobs, last) as agent:
        assert begun.wait(10)
        with catalog.dry_run() as refused:
            go.set()
            assert wait_until(lambda: agent.status.completed == 1)

    assert (refused, states(catalog, [rid])) == ([], ["complete"])


def test_a_dry_run_refuses_writes_in_other_processes(catalog, monkeypatch):
    [rid] = add(catalog, NEW)
    monkeypatch.setenv("ERMPOLL_TEST_CATALOG", catalog.url)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        agent = ermpoll.Agent(
            queue(catalog), picklable_work.write_to_catalog, executor=pool
        )
        dry = agent.dry_run(1, work=True)
        wrote = agent.run_once()

    assert dry.would == ("would PUT attributegroup/Ops:Job/RID;name",)
    assert "WriteRefused" in dry.errors[rid]
    assert (wrote, read(catalog, rid)["name"]) == (1, "x")

"""What a job knows of itself, wherever its work is done."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from multiprocessing import get_context
from typing import Any

import pytest

import ermpoll
from ermpoll.errors import UsageError
from tests.helpers import pages, picklable_work
from tests.helpers.conditions import wait_until
from tests.helpers.shares import mostly_long
from tests.helpers.tables import add, edit, queue, read

NEW = {"state": "actionable", "attempts": 0}


def told() -> dict[str, Any]:
    job = ermpoll.current_job()
    assert job is not None
    return {
        "rid": job.rid, "token": job.token, "attempt": job.attempt,
        "left": job.time_left_s, "cancelled": job.cancelled, "mine": job.still_mine(),
    }  # fmt: skip


def test_a_job_knows_its_row_its_try_and_that_it_is_its_own(catalog):
    [rid] = add(catalog, NEW)
    known: list[dict[str, Any]] = []
    owners: list[object] = []

    def work(row: dict[str, Any]) -> None:
        known.append(told())
        owners.append(read(catalog, rid)["owner"])

    ermpoll.Agent(queue(catalog), work).run_once()

    [job] = known
    assert (job["rid"], job["attempt"], job["token"]) == (rid, 1, owners[0])
    assert 500 < job["left"] <= 600
    assert (job["cancelled"], job["mine"]) == (False, True)
    assert ermpoll.current_job() is None


def test_a_coroutine_and_its_tasks_know_their_job(catalog):
    rids = add(catalog, NEW, NEW)
    known: list[str] = []

    async def work(row: dict[str, Any]) -> None:
        async def ask() -> None:
            known.append(told()["rid"])

        await asyncio.gather(ask(), asyncio.create_task(ask()))

    ermpoll.Agent(queue(catalog), work, workers=2).run(until_idle=True)

    assert sorted(known) == sorted(rids * 2)


@contextmanager
def dask() -> Iterator[Executor]:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=1, dashboard_address="127.0.0.1:0"
        ) as cluster,
        cluster.get_client() as client,
    ):
        yield client.get_executor()


EXECUTORS: dict[str, Callable[[], AbstractContextManager[Executor]]] = {
    "threads": lambda: ThreadPoolExecutor(1),
    "spawn": lambda: ProcessPoolExecutor(1, mp_context=get_context("spawn")),
    "fork": lambda: ProcessPoolExecutor(1, mp_context=get_context("fork")),
    "dask": dask,
}


@pytest.mark.parametrize("kind", [*list(EXECUTORS)[:3], *mostly_long(["dask"], 0)])
def test_a_job_of_a_given_executor_knows_itself(catalog, kind):
    """Also one that is claimed when the process that works on it is there already."""
    rids = add(catalog, *[NEW] * 6)
    with EXECUTORS[kind]() as pool:
        agent = ermpoll.Agent(
            queue(catalog), picklable_work.tells_its_job, executor=pool, prefetch=0
        )
        agent.run(until_idle=True)

    for rid in rids:
        row = read(catalog, rid)
        told = row["data"]
        assert (told["rid"], told["attempt"], told["mine"]) == (rid, 1, True)
        assert told["token"] == row["owner"]
        # in another process nobody knows what is renewed
        assert (told["left"] is None) == (kind != "threads")
        assert told["cancelled"] is False


def test_no_login_travels_with_a_call(box, catalog):
    seen: list[str] = []

    class Spy(ThreadPoolExecutor):
        def submit(self, fn: Any, /, *args: Any, **kw: Any) -> Any:
            seen.append(repr(args))
            return super().submit(fn, *args, **kw)

    add(catalog, NEW)
    door = ermpoll.connect(catalog.url, {"bearer-token": "dear-secret"})
    with Spy(1) as pool:
        ermpoll.Agent(queue(door), lambda row: None, executor=pool).run_once()

    assert any("Ticket" in text for text in seen)
    assert "dear-secret" not in "".join(seen)


def test_a_job_hears_that_its_row_was_lost(catalog):
    [rid] = add(catalog, NEW)
    known: list[Any] = []
    taken = threading.Event()

    def work(row: dict[str, Any]) -> None:
        job = ermpoll.current_job()
        assert job is not None
        edit(catalog, rid, state="hold", owner=None)
        known.append(job.still_mine())
        taken.set()
        wait_until(lambda: job.cancelled)
        known.append((job.time_left_s, job.still_mine()))

    agent = ermpoll.Agent(queue(catalog, lease_s=2), work, poll_s=0.2)
    with agent:
        assert taken.wait(10)
        wait_until(lambda: len(known) == 2)

    assert known == [False, (0.0, False)]


def test_a_stop_that_gives_a_row_back_is_heard_by_its_job(catalog):
    add(catalog, NEW)
    begun, heard = threading.Event(), threading.Event()

    def work(row: dict[str, Any]) -> None:
        job = ermpoll.current_job()
        assert job is not None
        begun.set()
        wait_until(lambda: job.cancelled)
        heard.set()

    agent = ermpoll.Agent(queue(catalog), work).start()
    assert begun.wait(10)
    agent.stop(timeout_s=0.1, abandon=True)

    assert heard.wait(10)


def test_progress_is_shown_in_the_status_and_the_panel(catalog):
    add(catalog, NEW)
    begun, go = threading.Event(), threading.Event()

    def work(row: dict[str, Any]) -> None:
        job = ermpoll.current_job()
        assert job is not None
        job.progress(0.425, "tile 7 <b>")
        begun.set()
        assert go.wait(20)

    agent = ermpoll.Agent(queue(catalog), work).start()
    try:
        assert begun.wait(10)
        [running] = agent.status.running
        page = agent._repr_html_()
    finally:
        go.set()
        agent.stop()

    assert (running.progress, running.doing) == (0.425, "tile 7 <b>")
    assert "42% tile 7 <b>" in pages.text_of(page)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, "half", float("nan")])
def test_a_progress_that_is_none_is_refused(catalog, wrong):
    add(catalog, NEW)

    def work(row: dict[str, Any]) -> None:
        job = ermpoll.current_job()
        assert job is not None
        with pytest.raises(UsageError, match="fraction: expected 0 to 1, found"):
            job.progress(wrong)

    ermpoll.Agent(queue(catalog), work).run_once()


def test_in_a_dry_run_a_job_is_its_own_and_nothing_is_claimed(catalog):
    [rid] = add(catalog, NEW)
    known: list[dict[str, Any]] = []

    ermpoll.Agent(queue(catalog), lambda row: known.append(told())).dry_run(work=True)

    [job] = known
    assert (job["rid"], job["attempt"], job["mine"]) == (rid, 1, True)
    assert (job["left"], job["cancelled"]) == (None, False)
    assert read(catalog, rid)["state"] == "actionable"


def test_without_an_owner_column_a_job_has_no_token_and_no_end(catalog):
    add(catalog, NEW)
    known: list[dict[str, Any]] = []

    work = lambda row: known.append(told())  # noqa: E731
    ermpoll.Agent(queue(catalog, owner=None), work).run_once()

    assert (known[0]["token"], known[0]["mine"]) == (None, True)
    assert known[0]["left"] == float("inf")

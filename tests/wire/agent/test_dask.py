"""Work on a real cluster of dask: workers that die, and what is sent to them."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import ermpoll
from ermpoll.errors import UsageError
from ermpoll.history.follow import ClaimEnd
from tests.helpers import picklable_work
from tests.helpers.conditions import let_pass, wait_until
from tests.helpers.dask_cluster import (
    Scheduler,
    Watched,
    connected,
    kill_workers,
    local_cluster,
)
from tests.helpers.tables import add, make_table, queue, read

NEW = {"state": "actionable", "attempts": 0}
SECRET = "f0rbidd3n-w0rd"

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two workers of one thread each."""
    with local_cluster() as made:
        yield made


@pytest.fixture
def client(cluster: Any) -> Iterator[Any]:
    with connected(cluster) as made:
        yield made


@contextmanager
def running(agent: ermpoll.Agent) -> Iterator[None]:
    agent.start()
    try:
        yield
    finally:
        agent.stop(timeout_s=10, abandon=True)


def is_untouched(row: dict[str, Any]) -> bool:
    kept = (row["state"], row["attempts"], row["owner"], row["error"])
    return kept == ("actionable", 0, None, None)


# what is sent


def asks(catalog: ermpoll.Catalog, row: dict[str, Any]) -> dict[str, Any]:
    return {"result": catalog.url}


def holds(thing: object, row: dict[str, Any]) -> None:
    return None


@pytest.mark.parametrize("kind", ["bearer-token", "cookie"])
def test_no_login_is_sent_to_a_worker(client, kind):
    with ermpoll.sandbox.start(token=SECRET) as box:
        login = f"webauthn={SECRET}" if kind == "cookie" else SECRET
        catalog = ermpoll.connect(box.new_catalog(), {kind: login})
        make_table(catalog)
        [rid] = add(catalog, NEW)
        watched = Watched(client.get_executor(pure=False))
        # even where it is asked for: there it finds the login of that machine
        work = partial(asks, catalog)

        ermpoll.Agent(queue(catalog), work, executor=watched).run_once()

        assert read(catalog, rid)["result"] == catalog.url
    assert rid.encode() in b"".join(watched.sent)
    assert SECRET.encode() not in b"".join(watched.sent)


@pytest.mark.parametrize("pool", ["dask", "processes"])
@pytest.mark.parametrize("what", ["queue", "agent"])
def test_work_that_holds_what_claims_is_refused_at_once(catalog, client, pool, what):
    jobs = queue(catalog)
    held = {"queue": jobs, "agent": ermpoll.Agent(jobs, picklable_work.slow)}[what]
    with ProcessPoolExecutor(1) as processes:
        pools = {"dask": client.get_executor(), "processes": processes}

        with pytest.raises(UsageError, match="a queue is not sent to other processes"):
            ermpoll.Agent(jobs, partial(holds, held), executor=pools[pool])


def test_work_that_cant_travel_to_a_cluster_is_refused_at_once(catalog, client):
    lock = threading.Lock()

    with pytest.raises(UsageError, match=r"can't be pickled.*make in it"):
        ermpoll.Agent(queue(catalog), lambda row: lock, executor=client.get_executor())


def test_work_of_a_cell_may_travel_to_a_cluster(catalog, client):
    [rid] = add(catalog, NEW)
    word = "a word from around it"

    agent = ermpoll.Agent(
        queue(catalog), lambda row: {"result": word}, executor=client.get_executor()
    )
    agent.run_once()

    assert read(catalog, rid)["result"] == word


# workers that die


def in_folder(folder: Path, count: int) -> list[dict[str, Any]]:
    return [{**NEW, "data": {"folder": str(folder)}}] * count


def ends(jobs: ermpoll.Queue, rid: str) -> list[ClaimEnd]:
    """How each claim of a row ended, by the catalog's own history."""
    return [claim.end for claim in jobs.history(rid).claims]


def test_work_whose_workers_are_killed_is_done_again_under_the_same_claim(
    catalog, cluster, client, tmp_path
):
    rids = add(catalog, *in_folder(tmp_path, 2))
    jobs = queue(catalog, lease_s=3)
    agent = ermpoll.Agent(
        jobs, picklable_work.mark, workers=2, executor=client.get_executor()
    )
    begun = [tmp_path / f"begun-{rid}" for rid in rids]
    with running(agent):
        wait_until(lambda: all(file.exists() for file in begun), 30)
        tokens = [read(catalog, rid)["owner"] for rid in rids]
        killed = {str(pid) for pid in kill_workers(cluster)}
        # longer than a lease: it is renewed, whoever works
        let_pass(4)
        for file in begun:
            wait_until(lambda file=file: set(file.read_text().split()) - killed, 60)
        assert [read(catalog, rid)["owner"] for rid in rids] == tokens
        (tmp_path / "go").touch()
        wait_until(lambda: agent.status.completed == 2, 30)

    assert len(killed) == 2
    assert agent.status.failed == agent.status.lost == agent.status.released == 0
    for rid in rids:
        assert ends(jobs, rid) == [ClaimEnd.COMPLETED]
        assert read(catalog, rid)["attempts"] == 1


def test_a_cluster_forgets_what_is_done_and_never_does_it_again(
    catalog, client, tmp_path
):
    add(catalog, *in_folder(tmp_path, 4))
    (tmp_path / "go").touch()
    agent = ermpoll.Agent(
        queue(catalog), picklable_work.mark, workers=2, executor=client.get_executor()
    )
    gc.disable()
    try:
        agent.run(until_idle=True)
        wait_until(lambda: not client.run_on_scheduler(tasks_kept))
    finally:
        gc.enable()

    assert agent.status.completed == 4


def tasks_kept(dask_scheduler: Any) -> int:
    return len(dask_scheduler.tasks)


@pytest.mark.long
def test_a_row_that_kills_each_of_many_workers_goes_back_and_others_are_done(catalog):
    [deadly, *others] = add(catalog, {**NEW, "name": "deadly"}, *[NEW] * 6)
    told: list[str] = []
    # by default dask gives a call up at the fourth worker that died of it
    with local_cluster() as cluster, connected(cluster) as client:
        jobs = queue(catalog)
        agent = ermpoll.Agent(
            jobs, picklable_work.die, workers=2, executor=client.get_executor()
        )
        agent.subscribe(lambda event: told.append(event.reason))
        with running(agent):
            wait_until(lambda: agent.status.completed == 6, 90)
            wait_until(lambda: any("KilledWorker" in text for text in told), 60)

    assert agent.status.failed == 0
    for rid in others:
        assert ends(jobs, rid)[-1] is ClaimEnd.COMPLETED
    row = read(catalog, deadly)
    assert (row["state"], row["attempts"], row["error"]) == ("actionable", 0, None)


def test_a_cluster_without_workers_is_given_no_row(catalog):
    [rid] = add(catalog, NEW)
    writes = catalog.writes
    with local_cluster(0) as cluster, connected(cluster) as client:
        agent = ermpoll.Agent(
            queue(catalog), picklable_work.slow, executor=client.get_executor()
        )
        with running(agent):
            wait_until(lambda: "no worker" in agent.status.reason, 30)
            assert agent.status.state == "backing off"
            assert (catalog.writes, agent.status.claimed) == (writes, 0)
            cluster.scale(1)
            wait_until(lambda: read(catalog, rid)["state"] == "complete", 30)
            wait_until(lambda: agent.status.reason == "")

    assert agent.status.claimed == 1


# the scheduler


def test_rows_of_a_scheduler_that_dies_go_back_and_are_done_when_it_is_back(
    catalog, tmp_path
):
    rids = add(catalog, *in_folder(tmp_path, 2))
    jobs = queue(catalog)
    with Scheduler.started() as scheduler, connected(scheduler.address) as client:
        agent = ermpoll.Agent(
            jobs, picklable_work.mark, workers=2, executor=client.get_executor()
        )
        with running(agent):
            wait_until(lambda: len(list(tmp_path.glob("begun-*"))) == 2, 30)
            scheduler.kill()
            wait_until(lambda: agent.status.released == 2, 20)
            assert "executor does no work" in agent.status.reason
            for rid in rids:
                row = read(catalog, rid)
                assert (row["state"], row["attempts"]) == ("actionable", 0)
            (tmp_path / "go").touch()
            scheduler.start()
            wait_until(lambda: agent.status.completed == 2, 60)
            wait_until(lambda: agent.status.reason == "")

    assert agent.status.failed == 0
    for rid in rids:
        assert ends(jobs, rid) == [ClaimEnd.RELEASED, ClaimEnd.COMPLETED]


@pytest.mark.long
def test_a_client_that_has_given_up_its_scheduler_is_told_with_what_to_do(catalog):
    with (
        Scheduler.started() as scheduler,
        connected(scheduler.address, timeout="3s") as client,
    ):
        agent = ermpoll.Agent(
            queue(catalog), picklable_work.slow, executor=client.get_executor()
        )
        client.wait_for_workers(1)
        scheduler.kill()
        wait_until(lambda: client.status == "closed", 30)
        [rid] = add(catalog, NEW)
        with running(agent):
            wait_until(lambda: "Client is closed" in agent.status.reason, 30)
            reason = agent.status.reason

    assert "start an agent with a new executor" in reason
    assert is_untouched(read(catalog, rid))


# results


def test_results_of_megabytes_come_back_and_those_over_the_limit_are_refused(
    catalog, client
):
    sizes = (1, 5, 11)
    rids = add(catalog, *({**NEW, "priority": size} for size in sizes))
    agent = ermpoll.Agent(
        queue(catalog),
        picklable_work.megabytes,
        workers=2,
        executor=client.get_executor(),
    )

    agent.run(until_idle=True)

    one, five, eleven = (read(catalog, rid) for rid in rids)
    assert [len(row["data"]["text"]) for row in (one, five)] == [1_000_000, 5_000_000]
    assert (eleven["state"], eleven["data"]) == ("failed", None)
    assert "10 MB" in eleven["error"]


# the end


def test_what_is_abandoned_is_given_back_and_not_begun_later(catalog, tmp_path):
    rids = add(catalog, *in_folder(tmp_path, 3))
    jobs = queue(catalog)
    with local_cluster(1) as cluster, connected(cluster) as client:
        agent = ermpoll.Agent(
            jobs, picklable_work.mark, prefetch=2, executor=client.get_executor()
        )
        with running(agent):
            wait_until(lambda: agent.status.held == 3, 20)
            wait_until(lambda: list(tmp_path.glob("begun-*")), 20)

            assert agent.stop(timeout_s=0.2, abandon=True)
        # the cluster hears of it on its own ways
        let_pass(1)
        (tmp_path / "go").touch()
        # behind whatever the worker still has
        client.submit(abs, -1).result(30)

    assert [ends(jobs, rid) for rid in rids] == [[ClaimEnd.RELEASED]] * 3
    assert all(is_untouched(read(catalog, rid)) for rid in rids)
    assert len(list(tmp_path.glob("begun-*"))) == 1


def test_a_stop_waits_for_what_a_cluster_is_at_work_on(catalog, client, tmp_path):
    [rid] = add(catalog, *in_folder(tmp_path, 1))
    agent = ermpoll.Agent(
        queue(catalog), picklable_work.mark, executor=client.get_executor()
    )
    with running(agent):
        wait_until(lambda: list(tmp_path.glob("begun-*")), 20)

        assert not agent.stop(timeout_s=0.2)
        assert agent.status.state == "stopping"
        (tmp_path / "go").touch()
        assert agent.stop(timeout_s=20)

    assert read(catalog, rid)["state"] == "complete"


def test_a_job_over_its_time_fails_alone_and_keeps_its_worker(
    catalog, client, tmp_path
):
    add(catalog, *in_folder(tmp_path, 1))
    jobs = queue(catalog, max_attempts=1)
    agent = ermpoll.Agent(
        jobs,
        picklable_work.mark,
        executor=client.get_executor(),
        time_limit_s=1,
        prefetch=0,
    )
    with running(agent):
        wait_until(lambda: agent.status.failed == 1, 30)
        [late] = add(catalog, *in_folder(tmp_path, 1))
        let_pass(1)
        assert is_untouched(read(catalog, late))
        (tmp_path / "go").touch()
        wait_until(lambda: read(catalog, late)["state"] == "complete", 20)

    assert "timed out after 1 s" in agent.status.failures[0].reason

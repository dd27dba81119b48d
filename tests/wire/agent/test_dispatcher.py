"""An executor that fails is no fault of a row: real pools, broken and closed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest

import ermpoll
from ermpoll.errors import ExecutorError
from tests.helpers import picklable_work
from tests.helpers.conditions import let_pass, wait_until
from tests.helpers.shares import mostly_long
from tests.helpers.tables import add, queue, read

NEW = {"state": "actionable", "attempts": 0}


def rows(catalog: ermpoll.Catalog) -> list[dict[str, Any]]:
    page = catalog.get("entity/Ops:Job@sort(RID)")
    assert page is not None
    return page.rows


def words(catalog: ermpoll.Catalog) -> set[object]:
    return {row["state"] for row in rows(catalog)}


def is_untouched(row: dict[str, Any]) -> bool:
    kept = (row["state"], row["attempts"], row["owner"], row["error"])
    return kept == ("actionable", 0, None, None)


@contextmanager
def started(agent: ermpoll.Agent) -> Iterator[ermpoll.Agent]:
    agent.start()
    try:
        yield agent
    finally:
        agent.stop(timeout_s=10)


class Line(Executor):
    """The way to a real pool, which a test cuts and mends."""

    def __init__(self, pool: Executor) -> None:
        self.pool = pool
        self.cut: BaseException | None = None
        self.asked = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kw: Any) -> Future[Any]:
        self.asked += 1
        if self.cut is not None:
            raise self.cut
        return self.pool.submit(fn, *args, **kw)


def broken_at_work() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(2)


def closed() -> ProcessPoolExecutor:
    pool = ProcessPoolExecutor(2)
    pool.shutdown()
    return pool


def fails_to_begin() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(2, initializer=picklable_work.refuse_to_begin)


def threads_that_fail_to_begin() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2, initializer=picklable_work.refuse_to_begin)


def unreachable() -> Line:
    line = Line(ThreadPoolExecutor(2))
    line.cut = ConnectionError("no route to the cluster")
    return line


BROKEN = [
    broken_at_work,
    closed,
    fails_to_begin,
    threads_that_fail_to_begin,
    unreachable,
]


@pytest.mark.parametrize("make", BROKEN)
def test_rows_that_a_broken_executor_did_not_do_stay_ready(catalog, make):
    rids = add(catalog, *[{**NEW, "name": "deadly"}] * 2, *[NEW] * 58)
    with make() as pool:
        agent = ermpoll.Agent(
            queue(catalog), picklable_work.die, workers=2, executor=pool
        )
        with started(agent):
            wait_until(lambda: agent.status.state == "backing off", 20)
            wait_until(lambda: agent.status.held == 0)
            status = agent.status

    assert "executor" in status.reason
    assert "new executor" in status.reason
    assert status.failed == 0
    assert [row for row in rows(catalog) if row["state"] == "failed"] == []
    left = [row for row in rows(catalog) if row["state"] != "complete"]
    assert len(left) >= 2
    assert [row["RID"] for row in left if not is_untouched(row)] == []
    assert len(rids) == 60


@pytest.mark.parametrize("make", mostly_long(BROKEN, keep=2))
def test_a_run_that_is_to_end_by_itself_ends_with_the_executors_reason(catalog, make):
    add(catalog, {**NEW, "name": "deadly"}, *[NEW] * 9)
    with make() as pool:
        agent = ermpoll.Agent(queue(catalog), picklable_work.die, executor=pool)
        with pytest.raises(ExecutorError, match="executor does no work"):
            agent.run(until_idle=True)

    assert agent.status.state == "stopped"
    assert words(catalog) <= {"actionable", "complete"}
    assert all(is_untouched(r) for r in rows(catalog) if r["state"] == "actionable")


@pytest.mark.parametrize("make", BROKEN)
def test_running_once_ends_with_the_executors_reason(catalog, make):
    add(catalog, {**NEW, "name": "deadly"}, *[NEW] * 9)
    with make() as pool:
        agent = ermpoll.Agent(queue(catalog), picklable_work.die, executor=pool)
        with pytest.raises(ExecutorError, match="executor does no work"):
            agent.run_once()
        writes = catalog.writes
        with pytest.raises(ExecutorError):
            agent.run_once()

    assert all(is_untouched(row) for row in rows(catalog))
    assert catalog.writes == writes, "it claimed again for a broken executor"


def test_an_agent_goes_on_when_its_executor_is_back(catalog):
    with ThreadPoolExecutor(2) as pool:
        line = Line(pool)
        line.cut = ConnectionError("no route to the cluster")
        agent = ermpoll.Agent(queue(catalog), picklable_work.report_pid, executor=line)
        add(catalog, *[NEW] * 10)
        told: list[str] = []
        agent.subscribe(lambda event: told.append(event.reason))
        with started(agent):
            wait_until(lambda: "no route to the cluster" in agent.status.reason)
            line.cut = None
            wait_until(lambda: words(catalog) == {"complete"}, 20)
            wait_until(lambda: agent.status.state == "waiting")

    assert agent.status.reason == ""
    assert any("no route to the cluster" in reason for reason in told)
    assert "the executor works again" in told


def test_a_lasting_fault_costs_neither_writes_nor_attempts_nor_many_calls(catalog):
    add(catalog, *[NEW] * 10)
    line = unreachable()
    agent = ermpoll.Agent(
        queue(catalog), picklable_work.report_pid, workers=4, executor=line
    )
    with started(agent):
        wait_until(lambda: "no route" in agent.status.reason and not agent.status.held)
        writes, asked = catalog.writes, line.asked
        let_pass(2)
        tries = line.asked - asked

    assert catalog.writes == writes
    assert tries <= 6
    assert all(is_untouched(row) for row in rows(catalog))


def test_rows_whose_calls_somebody_else_cancels_go_back_and_are_done_later(catalog):
    add(catalog, *[NEW] * 6)
    begun, go = threading.Event(), threading.Event()

    def waits(row):
        begun.set()
        assert go.wait(10)

    first = ThreadPoolExecutor(1)
    line = Line(first)
    agent = ermpoll.Agent(queue(catalog), waits, prefetch=3, executor=line)
    told: list[tuple[str, str]] = []
    agent.subscribe(lambda event: told.append((event.kind, event.reason)))
    with started(agent), ThreadPoolExecutor(1) as second:
        assert begun.wait(10)
        wait_until(lambda: first._work_queue.qsize() == 3)
        first.shutdown(wait=False, cancel_futures=True)
        wait_until(lambda: agent.status.released == 3)
        assert [row["state"] for row in rows(catalog)].count("claimed") == 1
        line.pool = second
        go.set()
        wait_until(lambda: words(catalog) == {"complete"}, 20)

    [reason] = {reason for kind, reason in told if kind == "released"}
    assert "cancelled by somebody else" in reason
    assert {row["attempts"] for row in rows(catalog)} == {1}


@pytest.mark.parametrize("name", ["raises", "unpacks", "packs"])
def test_what_cant_travel_back_fails_its_own_row_only(catalog, name):
    [bad] = add(catalog, {**NEW, "name": name})
    good = add(catalog, *[NEW] * 8)
    jobs = queue(catalog, max_attempts=1)
    with ProcessPoolExecutor(2) as pool:
        agent = ermpoll.Agent(
            jobs, picklable_work.cant_travel, workers=2, executor=pool
        )
        agent.run(until_idle=True)

    assert read(catalog, bad)["state"] == "failed"
    expected = {
        "raises": "TwoArguments: no such series in here",
        "unpacks": "Unpacks has no form in JSON",
        "packs": "function has no form in JSON",
    }
    assert expected[name] in read(catalog, bad)["error"]
    assert {read(catalog, rid)["result"] for rid in good} == {"done"}


def test_an_interrupt_that_reaches_a_process_of_the_pool_fails_no_row(catalog):
    add(catalog, {**NEW, "name": "interrupted"})
    with ProcessPoolExecutor(1) as pool:
        agent = ermpoll.Agent(queue(catalog), picklable_work.cant_travel, executor=pool)
        with pytest.raises(ExecutorError, match="interrupted"):
            agent.run_once()

    assert all(is_untouched(row) for row in rows(catalog))


@pytest.mark.long
def test_one_deadly_row_does_not_keep_the_others_from_being_done(catalog):
    [deadly, *others] = add(catalog, {**NEW, "name": "deadly"}, *[NEW] * 5)
    pools = [ProcessPoolExecutor(1)]

    class Mended(Executor):
        """A pool that its keeper replaces whenever it is broken."""

        def submit(self, fn, /, *args, **kw):
            try:
                return pools[-1].submit(fn, *args, **kw)
            except Exception:
                pools.append(ProcessPoolExecutor(1))
                raise

    agent = ermpoll.Agent(
        queue(catalog), picklable_work.die, prefetch=0, executor=Mended()
    )
    try:
        with started(agent):
            wait_until(lambda: agent.status.completed == 5, 30)
    finally:
        for pool in pools:
            pool.shutdown()

    assert {read(catalog, rid)["state"] for rid in others} == {"complete"}
    assert is_untouched(read(catalog, deadly))


def test_a_panel_says_why_nothing_is_claimed_and_what_to_do(catalog):
    add(catalog, *[NEW] * 3)
    agent = ermpoll.Agent(queue(catalog), picklable_work.report_pid, executor=closed())
    panel = agent.panel()
    try:
        with started(agent):
            wait_until(lambda: agent.status.state == "backing off")
            wait_until(lambda: agent.status.held == 0)
            panel.refresh()
            html = panel._repr_html_()
    finally:
        panel.close()

    assert "backing off" in html
    assert "cannot schedule new futures after shutdown" in html
    assert "start an agent with a new executor" in html


@pytest.mark.parametrize("make", BROKEN)
def test_a_dry_run_tells_of_a_broken_executor(catalog, make):
    add(catalog, {**NEW, "name": "deadly"}, *[NEW] * 3)
    with make() as pool:
        agent = ermpoll.Agent(queue(catalog), picklable_work.die, executor=pool)
        with pytest.raises(ExecutorError, match="make a new one"):
            agent.dry_run(work=True)


@pytest.mark.parametrize("name", ["unpacks", "packs"])
def test_a_dry_run_shows_what_cant_travel_back_at_its_own_row(catalog, name):
    [bad] = add(catalog, {**NEW, "name": name})
    add(catalog, NEW)
    with ProcessPoolExecutor(1) as pool:
        agent = ermpoll.Agent(queue(catalog), picklable_work.cant_travel, executor=pool)
        made = agent.dry_run(work=True)

    assert list(made.errors) == [bad]


@contextmanager
def cluster() -> Iterator[Any]:
    """A cluster of one worker, which gives a task up at the first one that dies."""
    dask = pytest.importorskip("dask")
    distributed = pytest.importorskip("distributed")
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0"
        ) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def shared_cluster() -> Iterator[Any]:
    with cluster() as made:
        yield made


@pytest.fixture
def client(shared_cluster: Any) -> Iterator[Any]:
    with pytest.importorskip("distributed").Client(shared_cluster) as made:
        yield made


@pytest.mark.timeout(120)
def test_work_runs_on_a_dask_cluster(catalog, client):
    rids = add(catalog, *[NEW] * 4)
    agent = ermpoll.Agent(
        queue(catalog),
        picklable_work.report_pid,
        workers=2,
        executor=client.get_executor(),
    )

    agent.run(until_idle=True)

    assert words(catalog) == {"complete"}
    assert agent.status.completed == len(rids)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("what", ["client", "cluster"])
def test_rows_of_a_dask_cluster_that_is_lost_go_back_and_another_one_does_them(
    catalog, client, shared_cluster, what
):
    distributed = pytest.importorskip("distributed")
    add(catalog, *[NEW] * 8)
    other = nullcontext(shared_cluster) if what == "client" else cluster()
    with other as first, distributed.Client(first) as lost:
        line = Line(lost.get_executor())
        jobs = queue(catalog)
        agent = ermpoll.Agent(jobs, picklable_work.slow, workers=2, executor=line)
        with started(agent):
            wait_until(lambda: agent.status.completed, 20)
            {"client": lost, "cluster": first}[what].close()
            wait_until(lambda: agent.status.state == "backing off", 20)
            wait_until(lambda: agent.status.held == 0)
            line.pool = client.get_executor()
            wait_until(lambda: words(catalog) == {"complete"}, 30)

    assert {row["attempts"] for row in rows(catalog)} == {1}


@pytest.mark.timeout(120)
def test_a_row_that_ends_the_workers_of_a_dask_cluster_fails_no_other(catalog, client):
    [deadly, *others] = add(catalog, {**NEW, "name": "deadly"}, *[NEW] * 4)
    agent = ermpoll.Agent(
        queue(catalog), picklable_work.die, prefetch=0, executor=client.get_executor()
    )
    with started(agent):
        wait_until(lambda: agent.status.completed == 4, 60)

    assert {read(catalog, rid)["state"] for rid in others} == {"complete"}
    assert read(catalog, deadly)["error"] is None
    assert read(catalog, deadly)["attempts"] == 0


@pytest.mark.timeout(120)
def test_a_stop_gives_back_nothing_that_a_dask_cluster_is_at_work_on(catalog, client):
    add(catalog, *[NEW] * 2)
    agent = ermpoll.Agent(
        queue(catalog), picklable_work.slow, prefetch=1, executor=client.get_executor()
    )
    agent.start()
    wait_until(lambda: agent.status.held == 2, 20)

    assert agent.stop(timeout_s=20)

    assert (agent.status.released, agent.status.completed) == (0, 2)

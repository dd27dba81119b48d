from __future__ import annotations

import asyncio
import itertools
import logging
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

import ermpoll
from ermpoll.catalog.clock import parse_time
from ermpoll.errors import Denied, UsageError
from ermpoll.sandbox import demo
from tests.helpers import picklable_work
from tests.helpers.conditions import let_pass, wait_until
from tests.helpers.shares import mostly_long
from tests.helpers.tables import add, edit, queue, read

NEW = {"state": "actionable"}


def states(catalog: ermpoll.Catalog, rids: list[str]) -> list[object]:
    return [read(catalog, rid)["state"] for rid in rids]


def test_run_once_claims_works_and_completes(catalog):
    rids = add(catalog, *[NEW] * 3)
    agent = ermpoll.Agent(queue(catalog), lambda row: {"result": row["RID"]}, workers=3)

    assert agent.run_once() == 3

    assert [read(catalog, rid)["result"] for rid in rids] == rids
    assert states(catalog, rids) == ["complete"] * 3
    assert (agent.status.completed, agent.status.held) == (3, 0)


def test_run_once_takes_the_rows_named(catalog):
    rids = add(catalog, *[NEW] * 3)

    assert ermpoll.Agent(queue(catalog), lambda row: None).run_once([rids[2]]) == 1

    assert states(catalog, rids) == ["actionable", "actionable", "complete"]


def test_until_idle_drains_the_queue_in_few_writes(catalog):
    add(catalog, *[NEW] * 200)
    agent = ermpoll.Agent(queue(catalog), lambda row: None, workers=4)

    agent.run(until_idle=True)

    status = agent.status
    assert (status.completed, status.wasted, status.state) == (200, 0, "stopped")
    assert status.writes < 60


def test_completions_and_claims_share_a_put(box, catalog):
    add(catalog, *[NEW] * 20)

    ermpoll.Agent(queue(catalog), lambda row: None, workers=2).run(until_idle=True)

    both = [
        w
        for w in box.log
        if {"claimed", "complete"} <= {c.after["state"] for c in w.rows if c.after}
    ]
    assert both


def test_a_failure_writes_the_reason(catalog):
    [rid] = add(catalog, NEW)
    agent = ermpoll.Agent(queue(catalog, attempts=None), picklable_work.fail)

    assert agent.run_once() == 1

    row = read(catalog, rid)
    assert (row["state"], row["error"]) == ("failed", "ValueError: no such series")
    assert row["owner"]


def test_a_failure_is_tried_again_later_until_attempts_are_used_up(catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog, max_attempts=2)
    agent = ermpoll.Agent(jobs, picklable_work.fail)

    agent.run_once()
    first = read(catalog, rid)
    edit(catalog, rid, retry_at=None)
    agent.run_once()

    assert (first["state"], first["attempts"], first["owner"]) == (
        "actionable",
        1,
        None,
    )
    assert parse_time(first["retry_at"]) >= parse_time(first["RMT"])
    assert first["error"] == "ValueError: no such series"
    assert states(catalog, [rid]) == ["failed"]
    assert read(catalog, rid)["attempts"] == 2


def test_success_clears_the_error_of_an_earlier_attempt(catalog):
    [rid] = add(catalog, {**NEW, "error": "earlier", "attempts": 1})

    ermpoll.Agent(queue(catalog), lambda row: None).run_once()

    assert read(catalog, rid)["error"] is None


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({"nosuch": 1}, "no column 'nosuch'"),
        ({"priority": "high"}, "'high' is no int4"),
        ({"state": "actionable"}, "candidate again"),
        (["a list"], "found list"),
        ({"result": {1, object()}}, "no form in JSON"),
        ({"retry_at": "2026-02-30T00:00:00Z"}, ""),
    ],
)
def test_a_result_the_table_cant_take_fails_its_row_and_no_other(
    catalog, result, reason
):
    bad, good = add(catalog, NEW, NEW)
    agent = ermpoll.Agent(
        queue(catalog), lambda row: result if row["RID"] == bad else None, workers=2
    )

    assert agent.run_once() == 2

    row = read(catalog, bad)
    assert row["state"] == "failed"
    assert reason in row["error"]
    assert states(catalog, [good]) == ["complete"]


def test_work_may_name_another_state(catalog):
    [rid] = add(catalog, NEW)

    ermpoll.Agent(queue(catalog), lambda row: {"state": "review"}).run_once()

    assert states(catalog, [rid]) == ["review"]


def test_work_may_be_a_coroutine_function(catalog):
    [rid] = add(catalog, NEW)

    async def look_up(row):
        await asyncio.sleep(0)
        return {"result": "awaited"}

    ermpoll.Agent(queue(catalog), look_up).run_once()

    assert read(catalog, rid)["result"] == "awaited"


def test_work_runs_in_other_processes(catalog):
    rids = add(catalog, *[NEW] * 4)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        agent = ermpoll.Agent(
            queue(catalog), picklable_work.report_pid, workers=2, executor=pool
        )
        agent.run(until_idle=True)

    assert len({read(catalog, rid)["result"] for rid in rids}) <= 2
    assert states(catalog, rids) == ["complete"] * 4


def test_work_that_cant_travel_is_refused_at_once(catalog):
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
        pytest.raises(UsageError, match="pickled"),
    ):
        ermpoll.Agent(queue(catalog), lambda row: None, executor=pool)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"work": "no function"}, "work"),
        ({"workers": 0}, "workers"),
        ({"prefetch": -1}, "prefetch"),
        ({"time_limit_s": 0}, "time_limit_s"),
        ({"poll_s": 0}, "poll_s"),
    ],
)
def test_bad_options_are_refused_before_anything_is_claimed(catalog, options, message):
    options = {"work": lambda row: None, **options}

    with pytest.raises((UsageError, ermpoll.NoticeError), match=message):
        ermpoll.Agent(queue(catalog), **options)


def test_stop_finishes_what_runs_and_gives_back_the_rest(catalog):
    rids = add(catalog, *[NEW] * 4)
    begun, go = threading.Event(), threading.Event()

    def hold(row):
        begun.set()
        go.wait(10)

    agent = ermpoll.Agent(queue(catalog), hold, prefetch=3).start()
    assert begun.wait(10)
    threading.Timer(0.3, go.set).start()
    stopped = agent.stop(timeout_s=10)

    assert stopped
    assert sorted(map(str, states(catalog, rids))) == ["actionable"] * 3 + ["complete"]
    given_back = [read(catalog, rid) for rid in rids if rid != rids[0]]
    assert [(row["owner"], row["attempts"]) for row in given_back] == [(None, None)] * 3
    assert (agent.status.released, agent.status.held) == (3, 0)


def test_stop_says_what_is_still_held(catalog):
    [rid] = add(catalog, NEW)
    begun, go = threading.Event(), threading.Event()

    def hold(row):
        begun.set()
        go.wait(10)

    agent = ermpoll.Agent(queue(catalog), hold).start()
    assert begun.wait(10)

    assert agent.stop(timeout_s=0.2) is False
    assert (agent.status.state, agent.status.held) == ("stopping", 1)
    go.set()
    assert wait_until(lambda: agent.status.state == "stopped")
    assert states(catalog, [rid]) == ["complete"]


def test_a_stop_that_abandons_gives_back_what_still_runs(catalog):
    [rid] = add(catalog, NEW)
    begun, go = threading.Event(), threading.Event()

    def hold(row):
        begun.set()
        go.wait(20)

    agent = ermpoll.Agent(queue(catalog), hold).start()
    assert begun.wait(10)

    assert agent.stop(timeout_s=0.2, abandon=True)
    assert states(catalog, [rid]) == ["actionable"]
    go.set()


def test_a_long_job_keeps_its_lease(catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog, lease_s=1.5)

    def last(row):
        let_pass(4)

    agent = ermpoll.Agent(jobs, last)
    robber = ermpoll.Agent(jobs, lambda row: None, name="robber", poll_s=0.3)

    with agent:
        assert wait_until(lambda: agent.status.held == 1)
        with robber:
            assert wait_until(lambda: agent.status.completed == 1)

    assert (agent.status.lost, robber.status.rescued) == (0, 0)
    assert states(catalog, [rid]) == ["complete"]


def test_a_job_over_its_time_limit_has_failed(catalog):
    slow, quick = add(catalog, {**NEW, "name": "slow"}, NEW)
    go = threading.Event()
    agent = ermpoll.Agent(
        queue(catalog, attempts=None),
        lambda row: go.wait(20) and None if row["name"] else None,
        workers=2,
        time_limit_s=0.5,
    )

    with agent:
        assert wait_until(lambda: agent.status.failed == 1)
        go.set()

    assert read(catalog, slow)["error"] == "timed out after 0.5 s"
    assert states(catalog, [quick]) == ["complete"]


def test_pause_claims_no_more_and_resume_does(catalog):
    agent = ermpoll.Agent(queue(catalog), lambda row: None, poll_s=0.2)
    with agent:
        assert wait_until(lambda: agent.status.state == "waiting")
        agent.pause()
        let_pass(0.3)  # a look that is going on may still claim
        [rid] = add(catalog, NEW)
        looked = sum(agent.status.looks.values())
        assert wait_until(lambda: sum(agent.status.looks.values()) > looked + 1)
        assert (agent.status.state, states(catalog, [rid])) == (
            "paused",
            ["actionable"],
        )
        agent.resume()
        assert wait_until(lambda: agent.status.completed == 1)


def test_a_notice_wakes_an_agent(box, catalog):
    agent = ermpoll.Agent(queue(catalog), lambda row: None, notices=box.amqp_url)
    with agent:
        assert wait_until(lambda: agent.status.notices.state == "push")
        [rid] = add(catalog, NEW)
        assert wait_until(lambda: states(catalog, [rid]) == ["complete"])


def test_starting_the_same_name_again_replaces_the_first(catalog):
    jobs = queue(catalog)
    first = ermpoll.Agent(jobs, lambda row: None).start()
    second = ermpoll.Agent(jobs, lambda row: None).start()

    assert ermpoll.agents() == [second]
    assert first.status.state == "stopped"
    second.stop()
    assert ermpoll.agents() == []


def test_starting_and_stopping_twice_is_once(catalog):
    agent = ermpoll.Agent(queue(catalog), lambda row: None)

    assert agent.start() is agent.start()
    assert (agent.stop(), agent.stop()) == (True, True)
    with agent:
        assert agent.status.state != "stopped"


def test_events_tell_what_happened(catalog):
    bad, good = add(catalog, {**NEW, "name": "bad"}, NEW)
    events = []
    agent = ermpoll.Agent(
        queue(catalog, attempts=None),
        lambda row: picklable_work.fail(row) if row["name"] else None,
        workers=2,
    )
    agent.subscribe(events.append)

    agent.run_once()

    told = {(e.kind, e.rid) for e in events if e.rid}
    assert {("claimed", bad), ("completed", good), ("failed", bad)} <= told
    [failed] = [e for e in events if e.kind == "failed"]
    assert failed.reason == "ValueError: no such series"
    assert failed.status.failed == 1


def test_a_listener_that_raises_hurts_nobody(catalog):
    add(catalog, NEW)
    agent = ermpoll.Agent(queue(catalog), lambda row: None)
    agent.subscribe(lambda event: 1 / 0)

    assert agent.run_once() == 1


def test_logs_name_rows_and_no_values(catalog, caplog):
    [rid] = add(catalog, {**NEW, "name": "confidential"})
    caplog.set_level(logging.DEBUG, "ermpoll")

    agent = ermpoll.Agent(queue(catalog), lambda row: {"result": "confidential"})
    agent.run_once()

    events = {getattr(record, "event", None) for record in caplog.records}
    assert {"claimed", "completed"} <= events
    assert "confidential" not in caplog.text
    assert rid in caplog.text


def test_a_transform_that_fails_marks_its_row_and_no_other(catalog):
    bad, good = add(catalog, {**NEW, "name": "bad"}, NEW)
    agent = ermpoll.Agent(
        queue(catalog),
        lambda row: None,
        transform=lambda row: {"priority": 1 // (row["name"] is None)},
    )

    agent.run(until_idle=True)

    assert states(catalog, [bad, good]) == ["failed", "complete"]
    assert "ZeroDivisionError" in read(catalog, bad)["error"]


def test_two_agents_never_do_a_row_twice(catalog):
    rids = add(catalog, *[NEW] * 120)
    done, lock = [], threading.Lock()

    def note(row):
        with lock:
            done.append(row["RID"])

    agents = [
        ermpoll.Agent(queue(catalog), note, workers=2, name=f"agent {n}", poll_s=0.2)
        for n in range(3)
    ]
    for agent in agents:
        agent.start()
    assert wait_until(lambda: len(done) >= 120, 30)
    for agent in agents:
        agent.stop()

    assert sorted(done) == sorted(rids)
    assert states(catalog, rids) == ["complete"] * 120


def test_the_one_column_convention_of_the_field(catalog):
    good, bad = add(catalog, {"name": "good"}, {"name": "bad"})
    jobs = ermpoll.Queue(
        catalog,
        "Ops:Job",
        ready=None,
        claimed="in progress",
        done="success",
        failed="error: {error}",
    )

    def convert(row):
        if row["name"] == "bad":
            picklable_work.fail(row)

    ermpoll.Agent(jobs, convert, workers=2).run(until_idle=True)

    assert states(catalog, [good, bad]) == [
        "success",
        "error: ValueError: no such series",
    ]
    assert jobs.counts() == {"success": 1, "error: …": 1}
    assert jobs.failures().rids == (bad,)
    assert jobs.retry(jobs.failures()).won == (bad,)
    assert states(catalog, [bad]) == [None]


def test_a_pipeline_of_three_steps_over_one_table(catalog):
    rids = add(catalog, *[{"state": "raw"}] * 5)
    words = ["raw", "aligned", "measured", "published"]
    agents = [
        ermpoll.Agent(
            queue(catalog, ready=before, claimed=f"{after}?", done=after),
            lambda row, after=after: {"result": f"{row['result'] or ''}>{after}"},
            poll_s=0.2,
        )
        for before, after in itertools.pairwise(words)
    ]
    for agent in agents:
        agent.start()
    assert wait_until(lambda: states(catalog, rids) == ["published"] * 5)
    for agent in agents:
        agent.stop()

    assert {read(catalog, rid)["result"] for rid in rids} == {
        ">aligned>measured>published"
    }


def test_without_the_right_to_write_nothing_starts():
    with ermpoll.sandbox.start(token="owner") as guarded:
        stranger = ermpoll.connect(guarded.url, {})
        agent = ermpoll.Agent(
            ermpoll.Queue(stranger, demo.TABLE, **demo.QUEUE), lambda row: None
        )

        for begin in (agent.start, agent.run, agent.run_once):
            with pytest.raises(Denied, match="no right to update Imaging:Image"):
                begin()

    assert (agent.status.state, stranger.writes) == ("stopped", 0)


@pytest.mark.parametrize(
    "fault",
    mostly_long(
        [{"abort": 1.0}, {"status": 502}, {"status": 401}, {"drop_reply": True}], keep=2
    ),
)
def test_a_result_is_kept_until_it_can_be_written(box, catalog, fault):
    [rid] = add(catalog, NEW)
    begun, go = threading.Event(), threading.Event()

    def last(row):
        begun.set()
        go.wait(10)
        return {"result": "kept"}

    agent = ermpoll.Agent(queue(catalog), last, poll_s=0.5)
    with agent:
        assert begun.wait(10)
        box.faults(methods=("PUT",), **fault)
        go.set()
        let_pass(1.0)
        box.faults()
        assert wait_until(lambda: agent.status.completed == 1, 20)

    assert read(catalog, rid)["result"] == "kept"
    assert agent.status.lost == 0


def test_an_interrupt_finishes_what_runs_and_a_second_gives_it_back(catalog):
    quick, slow = add(catalog, {**NEW, "name": "quick"}, NEW)
    go = threading.Event()

    def last(row):
        # as Kernel > Interrupt does: in the main thread alone
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        go.wait(0.5 if row["name"] else 20)
        if not row["name"]:
            return None
        return {"result": "finished"}

    first = ermpoll.Agent(queue(catalog), last)
    assert first.run_once([quick]) == 1

    def twice(row):
        for _ in range(2):
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            go.wait(0.5)
        go.wait(20)

    with pytest.raises(KeyboardInterrupt):
        ermpoll.Agent(queue(catalog), twice, name="twice").run_once([slow])

    assert states(catalog, [quick, slow]) == ["complete", "actionable"]
    go.set()


def test_what_came_of_one_write_is_told_with_one_status(catalog):
    rids = add(catalog, *[NEW] * 3)
    agent = ermpoll.Agent(queue(catalog), lambda row: None, workers=3, prefetch=0)
    events: list[ermpoll.Event] = []
    agent.subscribe(events.append)

    agent.run(until_idle=True)

    claimed = [event for event in events if event.kind == "claimed"]
    assert [event.rid for event in claimed] == rids
    assert len({id(event.status) for event in claimed}) == 1
    assert claimed[0].status.held == 3

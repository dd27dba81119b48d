from __future__ import annotations

import threading
import time
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from deriva.core.polling_ermrest_catalog import PollingErmrestCatalog

import ermpoll
from ermpoll.history import shadow_run
from ermpoll.sandbox import demo
from tests.helpers.agents_of_the_field import ImageDaemon, NothingLeft
from tests.helpers.conditions import let_pass, wait_until
from tests.helpers.pasts import rename, work_on
from tests.helpers.sandbox_processes import serving
from tests.helpers.tables import add, edit, queue, read

NEW = {"state": "actionable", "name": "a"}


@pytest.fixture
def jobs(catalog):
    return queue(catalog)


@pytest.fixture
def watching(jobs):
    """Starts shadows that have looked once, and stops them when the test ends."""
    started = []

    def start(transform=lambda row: {"result": "1"}, *, of=jobs, **options):
        shadow = ermpoll.shadow(of, transform, **{"rate": None, **options}).start()
        started.append(shadow)
        wait_until(lambda: shadow.comparison.since)
        return shadow

    yield start
    for shadow in started:
        shadow.stop()


def old_daemon(catalog, table="Ops:Job"):
    """Take rows one by one as deriva-py's daemons do, until none is left; ends."""
    etag = None
    while True:
        etag, batch = ermpoll.state_change_once(
            catalog,
            f"entity/{table}/state=actionable/!name=d@sort(RID)?limit=1",
            f"attributegroup/{table}/RID;state",
            lambda row: {"RID": row["RID"], "state": "claimed"},
            etag,
        )
        if not batch:
            return
        for row, _ in batch:
            done = {"RID": row["RID"], "state": "complete", "result": "1"}
            if row["name"] == "b":
                done["result"] = "2"
            catalog.put(f"attributegroup/{table}/RID;state,result", [done])


def looked(shadow, **counts):
    """Have it look until it counts so."""

    def so():
        shadow.look_now()
        return {**shadow.comparison.counts, **counts} == shadow.comparison.counts

    wait_until(so, 20)
    return shadow.comparison


def test_what_an_old_daemon_does_stands_beside_what_would_have_been(jobs, watching):
    rids = add(jobs.catalog, *[{**NEW, "name": name} for name in "abcd"])
    shadow = watching(lambda row: None if row["name"] == "c" else {"result": "1"})

    old_daemon(jobs.catalog)

    told = looked(shadow, same=1, other=1, missed=1, new=1)
    words = {row.rid: row.likeness.value for row in told.rows}
    assert [words[rid] for rid in rids] == ["same", "other", "missed", "new"]
    [other] = [row for row in told.rows if row.rid == rids[1]]
    [cell] = [one for one in other.cells if one.column == "result"]
    assert (cell.first, cell.second) == ("2", "1")
    assert told.names[other.by] == "Ada Lovelace"
    assert other.at == told.since
    assert other.done_at > told.since


def test_a_daemon_on_deriva_py_itself_is_watched(jobs, watching):
    add(jobs.catalog, *[{"name": name} for name in ("a", "b", None)])
    daemons = queue(
        jobs.catalog,
        ready=None,
        claimed="in progress",
        done="success",
        failed="error: {error}",
    )
    shadow = watching(lambda row: {}, of=daemons)
    parts = urlsplit(jobs.catalog.url)
    number = parts.path.rpartition("/")[2]
    daemon = ImageDaemon(PollingErmrestCatalog(parts.scheme, parts.netloc, number))

    with pytest.raises(NothingLeft):
        all(iter(daemon.look_for_work, False))

    told = looked(shadow, same=2, other=1)
    [other] = [row for row in told.rows if row.likeness.value == "other"]
    assert other.cells[0].first == "error: no name"
    daemon.catalog._close_session()


def test_it_has_seen_what_a_back_test_tells_afterwards(jobs, watching):
    def transform(row):
        return {"result": "1"} if row["priority"] != 1 else None

    add(jobs.catalog, *[NEW] * 4)
    shadow = watching(transform)

    for _ in range(4):
        work_on(jobs.catalog, rounds=2)
        shadow.look_now()
    jobs.retry(jobs.failures())
    jobs.complete(jobs.claim(5))

    told = jobs.backtest(transform, shadow.comparison.since, rate=None)
    assert told.counts["other"] > 10
    seen = looked(shadow, **told.counts)
    assert sorted(seen.rows, key=repr) == sorted(told.rows, key=repr)
    assert seen.cell_counts == told.cell_counts


def test_rows_that_come_and_are_finished_between_two_looks_are_seen(jobs, watching):
    shadow = watching()
    shadow.pause()
    wait_until(lambda: shadow.status.state == "paused")

    for number in range(5):
        add(jobs.catalog, {**NEW, "priority": number})
        jobs.complete(jobs.claim(1))
    shadow.resume()

    told = looked(shadow, other=5)
    assert {row.cells[1].likeness.value for row in told.rows} == {"new"}


def test_what_was_done_while_it_was_stopped_is_read_when_it_starts(jobs, watching):
    add(jobs.catalog, NEW)
    shadow = watching(lambda row: {})
    assert shadow.stop()
    old_daemon(jobs.catalog)

    shadow.start()

    looked(shadow, other=1, new=0)


def test_a_notice_has_it_look(jobs, watching, box):
    add(jobs.catalog, NEW)
    shadow = watching(notices=box.amqp_url, poll_s=600)
    wait_until(lambda: shadow.status.notices.state == "push")

    old_daemon(jobs.catalog)

    wait_until(lambda: shadow.comparison.counts["same"] == 1)


def test_it_writes_nothing_and_neither_can_the_transform(jobs, watching, box):
    [rid] = add(jobs.catalog, NEW)
    writes = len(box.log)

    def writing(row):
        edit(jobs.catalog, rid, result="written")
        return {}

    shadow = watching(writing)

    [row] = looked(shadow, new=1).rows
    assert "no write was sent" in row.note
    assert read(jobs.catalog, rid)["result"] is None
    assert len(box.log) == writes


def test_writes_of_the_user_go_on_while_the_transform_runs(jobs, watching):
    [rid] = add(jobs.catalog, NEW)
    asked, gate = threading.Event(), threading.Event()

    def slow(row):
        asked.set()
        gate.wait(10)
        return {}

    shadow = ermpoll.shadow(jobs, slow, rate=None).start()
    try:
        assert asked.wait(10)
        edit(jobs.catalog, rid, priority=5)
    finally:
        gate.set()
        shadow.stop()

    assert read(jobs.catalog, rid)["priority"] == 5


def test_a_row_that_is_deleted_while_it_waits_is_followed_no_longer(jobs, watching):
    gone, stays = add(jobs.catalog, NEW, NEW)
    shadow = watching()
    looked(shadow, new=2)

    jobs.catalog.delete(f"entity/Ops:Job/RID={gone}")

    assert [row.rid for row in looked(shadow, new=1).rows] == [stays]
    # also where as many come as go
    [comes] = add(jobs.catalog, NEW)
    jobs.catalog.delete(f"entity/Ops:Job/RID={stays}")
    shadow.look_now()
    wait_until(lambda: [row.rid for row in shadow.comparison.rows] == [comes])


def test_a_catalog_that_is_killed_and_comes_back_is_told_and_read_on(tmp_path: Path):
    place = {"data": str(tmp_path / "catalog")}
    with serving(**place) as (_, line):
        url = line["url"]
        jobs = ermpoll.Queue(ermpoll.connect(url, {}), demo.TABLE, **demo.QUEUE)
        shadow = ermpoll.shadow(jobs, lambda row: {}, rate=None).start()
        wait_until(lambda: shadow.comparison.since)
    port = int(url.split(":")[2].split("/")[0])

    try:
        wait_until(lambda: shadow.status.state == "backing off")
        assert "the connection was refused" in shadow.status.reason
        with serving(**place, port=port):
            jobs.complete(jobs.claim(1))
            wait_until(lambda: shadow.comparison.counts["same"] == 1, 20)
            assert shadow.stop()
    finally:
        shadow.stop()


def test_a_catalog_that_goes_in_the_middle_of_a_look_is_told(jobs, watching, box):
    shadow = watching(rate=5)
    wait_until(lambda: shadow.status.state == "waiting")
    add(jobs.catalog, NEW)
    old_daemon(jobs.catalog)
    before = shadow._pace.turns
    shadow.look_now()
    # past what decides whether there is anything to read
    wait_until(lambda: shadow._pace.turns > before + 3)

    box.faults(status=503, times=1000)

    wait_until(lambda: shadow.status.state == "backing off", 3)
    box.faults()
    looked(shadow, same=1)


def test_a_model_that_changes_is_told_and_ends_nothing(jobs, watching):
    add(jobs.catalog, NEW)
    shadow = watching()
    rename(jobs.catalog, "priority", "urgency")

    old_daemon(jobs.catalog)

    told = " ".join(looked(shadow, same=1).told)
    assert "the model changed in this period: 'urgency' was called 'priority'" in told


def test_it_waits_where_the_table_tells_nothing_and_says_why(jobs, watching):
    [rid] = add(jobs.catalog, NEW)
    shadow = watching()
    rename(jobs.catalog, "state", "status")
    edit(jobs.catalog, rid, priority=1)

    shadow.look_now()

    wait_until(lambda: shadow.status.state == "backing off")
    assert "its state column 'state'" in shadow.status.reason
    rename(jobs.catalog, "status", "state")
    old_daemon(jobs.catalog)
    looked(shadow, same=1)


def test_it_stops_at_once_in_the_middle_of_a_reading(jobs, watching):
    shadow = watching()
    wait_until(lambda: shadow.status.state == "waiting")
    add(jobs.catalog, NEW)
    old_daemon(jobs.catalog)
    # one request in ten seconds
    slow = ermpoll.shadow(jobs, lambda row: {}, rate=0.1, name="slow").start()
    wait_until(lambda: slow.status.state == "looking")

    began = time.monotonic()
    assert slow.stop()

    assert time.monotonic() - began < 5
    assert slow.status.state == "stopped"


def test_it_stops_between_two_calls_of_a_slow_transform(jobs):
    add(jobs.catalog, *[NEW] * 50)
    asked = []

    def slow(row):
        asked.append(row["RID"])
        let_pass(0.2)

    shadow = ermpoll.shadow(jobs, slow, rate=None).start()
    wait_until(lambda: asked)

    assert shadow.stop()
    assert len(asked) < 50
    assert shadow.comparison.since is None


def test_a_transform_that_ends_its_thread_is_told_and_can_be_started_again(jobs):
    add(jobs.catalog, NEW)
    leaves = [True]

    def leaving(row):
        if leaves and leaves.pop():
            raise SystemExit(1)
        return {}

    shadow = ermpoll.shadow(jobs, leaving, rate=None).start()
    wait_until(lambda: shadow.status.state == "stopped")
    assert shadow.status.reason == "ended by SystemExit: 1"
    assert ermpoll.agents() == []

    with shadow:
        wait_until(lambda: shadow.comparison.counts["new"] == 1)


def test_it_sends_no_more_requests_a_second_than_told(jobs, watching):
    shadow = watching(rate=5)
    began, before = time.monotonic(), shadow.comparison.requests

    add(jobs.catalog, NEW)
    old_daemon(jobs.catalog)

    sent = looked(shadow, same=1).requests - before
    assert sent > 5
    assert time.monotonic() - began > (sent - 1) / 5


def test_more_rows_than_can_be_followed_begin_it_anew(jobs, watching, monkeypatch):
    monkeypatch.setattr(shadow_run, "MOST_ROWS", 3)
    shadow = watching()
    add(jobs.catalog, *[NEW] * 10)

    shadow.look_now()

    wait_until(lambda: any("begun anew" in told for told in shadow.comparison.told))
    old_daemon(jobs.catalog)
    looked(shadow, new=0)


def test_only_rows_of_the_queue_are_followed(jobs, watching):
    add(jobs.catalog, {**NEW, "name": "ours"}, {**NEW, "name": "theirs"})
    shadow = watching(of=queue(jobs.catalog, where="name=ours"))

    old_daemon(jobs.catalog)

    told = looked(shadow, same=1)
    assert len(told.rows) == 1
    assert "rows are those that match name=ours at the end" in told.told


def test_it_is_listed_and_replaces_the_running_one_of_its_name(jobs, watching):
    first = watching()
    second = watching()

    wait_until(lambda: first.status.state == "stopped")
    assert ermpoll.agents() == [second]


def test_text_frame_and_page_say_what_it_has_seen(jobs, watching):
    add(jobs.catalog, {**NEW, "name": "b"})
    with watching() as shadow:
        old_daemon(jobs.catalog)
        looked(shadow, other=1)

    assert "result other: done 2, would 1" in str(shadow)
    assert list(shadow.frame["cell"]) == ["same", "other"]
    assert "stopped" in repr(shadow)
    page = shadow._repr_html_()
    assert "would claim" in page
    assert "shadow of Ops:Job" in page


def test_what_can_not_be_watched_is_refused(jobs):
    with pytest.raises(ermpoll.UsageError, match="transform: expected a function"):
        ermpoll.shadow(jobs, None)
    with pytest.raises(ermpoll.UsageError, match=r"expected an ermpoll.Queue"):
        ermpoll.shadow(jobs.catalog, lambda row: {})
    with pytest.raises(ermpoll.UsageError, match="requests a second above 0"):
        ermpoll.shadow(jobs, lambda row: {}, rate=0)
    add(jobs.catalog, NEW)
    past = jobs.at(timedelta(0), rate=None)
    with pytest.raises(ermpoll.UsageError, match="a queue of today"):
        ermpoll.shadow(past, lambda row: {})

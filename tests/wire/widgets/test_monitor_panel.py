from __future__ import annotations

import gc
import threading
import weakref

import pytest

import ermpoll
from ermpoll.errors import UsageError
from ermpoll.notices.base import LocalNotices
from ermpoll.widgets.panels.monitor_panel import _listener
from ermpoll.widgets.parts import table_reader
from ermpoll.widgets.parts.row_picker import RowPicker
from tests.helpers import pages
from tests.helpers.conditions import wait_until


@pytest.fixture
def gate():
    """Holds work up until it is set; set at the end in any case."""
    made = threading.Event()
    yield made
    made.set()


@pytest.fixture
def agent(jobs, gate):
    def work(row):
        gate.wait(20)
        return {"Priority": 1}

    made = ermpoll.Agent(jobs, work, workers=2)
    yield made
    gate.set()
    made.stop()


@pytest.fixture
def monitor(agent, keep):
    return keep(ermpoll.monitor(agent))


def seen(panel):
    return pages.text_of(panel._repr_html_())


def test_a_monitor_starts_nothing_and_shows_state_and_counts(monitor, jobs):
    text = seen(monitor)

    assert "○ not started · polling only" in text
    assert f"new {jobs.waiting()}" in text
    assert "0 jobs/min" in text
    assert monitor.buttons.start.layout.display is None
    assert monitor.buttons.stop.layout.display == "none"


def test_a_monitor_follows_its_agent_from_start_to_stop(monitor, agent, gate):
    monitor.buttons.start.click()
    wait_until(lambda: len(agent.status.running) == 2)
    wait_until(lambda: "Running now (2 of 2 workers" in monitor._running.value)
    assert monitor.buttons.stop.layout.display is None

    gate.set()
    wait_until(lambda: agent.status.completed > 2)
    monitor.buttons.stop.click()

    wait_until(lambda: agent.status.state == "stopped")
    wait_until(lambda: "stopped since" in monitor._title.value)


def test_a_stop_says_what_it_finished_released_and_still_holds(monitor, agent, gate):
    monitor.start()
    wait_until(lambda: len(agent.status.running) == 2)
    rids = [one.rid for one in agent.status.running]

    assert monitor.stop(timeout_s=0.2) is False

    said = pages.text_of(monitor._title.value)
    assert "stopping finished 0, released" in said
    assert f"still holds 2 ({', '.join(rids)})" in said
    gate.set()
    monitor.stop()
    assert "finished 2" in monitor._title.value


def test_pausing_and_resuming_swap_their_buttons(monitor, agent, gate):
    gate.set()
    monitor.start()
    monitor.buttons.pause.click()
    wait_until(lambda: monitor.buttons.resume.layout.display is None)
    assert monitor.buttons.pause.layout.display == "none"

    monitor.buttons.resume.click()

    wait_until(lambda: monitor.buttons.pause.layout.display is None)


def test_failed_rows_are_opened_and_retried(monitor, jobs):
    failures = jobs.failures(limit=10)
    rid = failures.rids[0]
    monitor.select([rid])

    said = monitor.open()
    outcome = monitor.retry()

    assert said == failures.rows[0]["Processing_Error"]
    assert said in pages.text_of(monitor._table.opened.value)
    assert outcome.won == (rid,)
    assert "1 row ready again" in monitor._title.value
    assert rid not in jobs.failures().rids


def test_overdue_claims_are_rescued_as_they_were_listed(monitor, jobs):
    put = "attributegroup/Imaging:Image/RID;Processing_Status,Processing_Owner"
    row = jobs.candidates().rids[0]
    owner = "gone~0123456789abcdef~0"
    body = {"RID": row, "Processing_Status": "in progress", "Processing_Owner": owner}
    jobs.catalog.put(put, [body])
    monitor._table.reader.read()
    monitor.refresh()
    assert row in monitor._table.stale._rids

    monitor.select([row])
    outcome = monitor.rescue()

    assert outcome.won == (row,)
    assert row in jobs.candidates().rids


def test_acts_without_a_selection_say_what_to_do(monitor):
    with pytest.raises(UsageError, match="expected a row to retry, found none"):
        monitor.retry()

    assert monitor.buttons.retry.tooltip == "Tick a row first"


def test_ticked_rows_stay_where_they_are_while_the_table_changes(monitor, jobs):
    rids = monitor._table.failures._rids
    monitor.select(rids[:1])

    jobs.retry(rids[1:3])
    monitor._table.reader.read()
    monitor.refresh()

    assert monitor._table.failures._rids == rids
    assert monitor.selected == rids[:1]


def fail_more(jobs, n):
    """So many rows fail, and are the newest failures; returns their RIDs."""
    put = "attributegroup/Imaging:Image/RID;Processing_Status"
    rids = jobs.candidates().rids[:n]
    rows = [{"RID": rid, "Processing_Status": "error"} for rid in rids]
    jobs.catalog.put(put, rows)
    return rids


def read_again(monitor):
    monitor._table.backlog.read()
    monitor.refresh()


@pytest.mark.parametrize("newer", [3, 12])
def test_acts_are_on_what_was_ticked_whatever_failed_meanwhile(monitor, jobs, newer):
    fail_more(jobs, 6)
    read_again(monitor)
    ticked = monitor._table.failures._rids[-5:]
    monitor.select(ticked)

    arrived = fail_more(jobs, newer)
    read_again(monitor)
    opened = monitor.open()
    outcome = monitor.retry()

    assert len(opened.splitlines()) == 5
    assert sorted(outcome.won) == sorted(ticked)
    assert "5 rows ready again" in monitor._title.value
    assert monitor.selected == ()
    assert set(monitor._table.failures._rids) & set(arrived)


def test_ticked_rows_that_can_t_be_retried_are_named_with_the_reason(monitor, jobs):
    fail_more(jobs, 4)
    read_again(monitor)
    good, edited, ready, gone = monitor._table.failures._rids[:4]
    monitor.select([good, edited, ready, gone])
    catalog, image = jobs.catalog, "attributegroup/Imaging:Image/RID;"
    catalog.put(f"{image}Specimen", [{"RID": edited, "Specimen": "mine"}])
    catalog.put(
        f"{image}Processing_Status", [{"RID": ready, "Processing_Status": "new"}]
    )
    catalog.delete(f"entity/Imaging:Image/RID={gone}")
    read_again(monitor)

    monitor.buttons.retry.click()
    wait_until(lambda: "ready again" in monitor._title.value)

    said = pages.text_of(monitor._title.value)
    assert "1 row ready again, 3 left alone" in said
    assert f"{edited}: changed meanwhile" in said
    assert f"{ready}: is not failed: Processing_Status is 'new'" in said
    assert f"{gone}: is gone" in said


def test_an_overdue_claim_that_its_holder_renewed_is_left_alone_and_named(
    monitor, jobs
):
    put = "attributegroup/Imaging:Image/RID;Processing_Status,Processing_Owner"
    row, live = jobs.candidates().rids[:2]
    owner = "gone~0123456789abcdef~0"
    body = {"Processing_Status": "in progress", "Processing_Owner": owner}
    jobs.catalog.put(put, [{"RID": rid, **body} for rid in (row, live)])
    read_again(monitor)
    monitor.select([row, live])

    jobs.catalog.put(put, [{"RID": live, **body}])
    read_again(monitor)
    outcome = monitor.rescue()

    assert (outcome.won, outcome.lost) == ((row,), (live,))
    said = pages.text_of(monitor._title.value)
    assert f"1 row freed, 1 left alone: {live}: changed meanwhile" in said


def test_ticks_stay_when_an_act_could_not_be_tried(monitor, box):
    rids = monitor._table.failures._rids[:2]
    monitor.select(rids)
    box.faults(status=503, times=1, methods=["GET"])

    with pytest.raises(ermpoll.CatalogError):
        monitor.retry()

    assert monitor.selected == rids


def test_rows_ticked_in_a_monitor_are_acted_on_as_they_were_listed(monitor, jobs):
    rid = monitor._table.failures._rids[0]
    monitor.select([rid])
    put = "attributegroup/Imaging:Image/RID;Specimen"
    jobs.catalog.put(put, [{"RID": rid, "Specimen": "mine"}])

    assert jobs.retry(monitor).lost == (rid,)


def test_a_click_that_is_under_way_to_a_row_just_gone_ticks_no_other(jobs):
    shown = jobs.candidates(limit=13)
    picks = RowPicker("Rows", 10, lambda: None)
    picks.show(jobs, shown.rows[3:], ["RID"])
    *kept, last = picks._boxes

    picks.show(jobs, [shown.rows[0], *shown.rows[3:12]], ["RID"])
    last.value = True
    kept[0].value = True

    assert picks.selected == (shown.rids[3],)
    for n in (1, 2):
        picks.show(jobs, shown.rows[n : n + 10], ["RID"])
    assert picks.selected == (shown.rids[3],)
    picks.close()


def test_without_the_right_to_write_acts_are_disabled_and_say_why(box, keep):
    jobs = ermpoll.Queue(
        box.catalog(read_only=True),
        "Imaging:Image",
        state="Processing_Status",
        ready="new",
        claimed="in progress",
        done="success",
        failed="error",
    )
    monitor = keep(ermpoll.monitor(ermpoll.Agent(jobs, lambda row: None)))
    monitor.select(monitor._table.failures._rids[:1])

    for word in ("start", "retry"):
        button = getattr(monitor.buttons, word)
        assert (button.disabled, button.tooltip) == (True, jobs.why_not_writable)


def test_the_table_is_read_sparingly_and_not_after_a_304(jobs, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(table_reader, "monotonic", lambda: now[0])
    lane = WriteLock()
    read = table_reader.TableReader(jobs, lane, lambda: None)
    status = ermpoll.Agent(jobs, lambda row: None).status

    looks = [{"rows": 1}, {"rows": 1, "unchanged": 5}, {"rows": 2}, {"rows": 3}]
    read.read()
    waits = [read.follow(with_looks(status, looks[0]))]
    waits.append(read.follow(with_looks(status, looks[1])))
    waits.append(read.follow(with_looks(status, looks[2])))
    now[0] += 6
    waits.append(read.follow(with_looks(status, looks[3])))

    assert waits == [None, None, 5.0, None]
    assert lane.words == ["read"]


class WriteLock:
    """Takes note of what it is given and does it at once."""

    def __init__(self):
        self.words = []

    def submit(self, word, act):
        self.words.append(word)
        act()
        return True


def with_looks(status, looks):
    from dataclasses import replace

    return replace(status, looks=looks)


def test_a_catalog_that_goes_away_is_said_and_the_panel_stays(monitor, box):
    box.faults(status=503, times=1)
    monitor._table.reader.read()
    monitor.refresh()

    assert "The table could not be read: Unavailable" in monitor._table.counts.value
    assert "success" in monitor._table.counts.value


def test_two_panels_over_one_agent_both_follow_it(agent, keep, gate):
    first, second = keep(ermpoll.monitor(agent)), keep(ermpoll.monitor(agent))
    gate.set()

    first.start()
    wait_until(lambda: agent.status.completed)

    for panel in (first, second):
        wait_until(lambda panel=panel: "completed" in panel._figures.value)
        wait_until(lambda panel=panel: "not started" not in panel._title.value)


def test_an_agent_does_not_keep_a_closed_panel_alive(agent):
    panel = ermpoll.monitor(agent)
    ghost = weakref.ref(panel)

    listener = _listener(panel)

    panel.close()
    del panel
    gc.collect()

    assert ghost() is None
    listener(None)


def test_closing_a_monitor_stops_nothing(monitor, agent):
    monitor.start()
    monitor.close()

    assert agent.status.state != "stopped"
    assert agent in ermpoll.agents()


def test_a_poller_has_a_monitor_without_a_table(keep):
    poller = ermpoll.Poller(lambda: False)
    panel = keep(poller.panel())

    panel.start()
    wait_until(lambda: poller.status.looks)
    panel.look_now()
    panel.stop()

    text = seen(panel)
    assert "0 notices/min" in text
    assert "jobs/min" not in text
    with pytest.raises(UsageError, match="found one of a poller"):
        panel.retry()


def test_a_flood_of_events_sends_few_messages_and_ends_right(jobs, keep):
    notices = LocalNotices()
    poller = ermpoll.Poller(lambda: False, notices=notices)
    panel = keep(ermpoll.monitor(poller))
    sent = []
    panel._title.observe(lambda change: sent.append(change.new), "value")
    panel.start()
    wait_until(lambda: poller.status.looks)

    for _ in range(20_000):
        notices.notify()
    received = poller.status.notices.received
    panel.stop()

    assert received == 20_000
    assert len(sent) < 30
    assert "stopped" in panel._title.value

from __future__ import annotations

import gc
import weakref

import pytest

import ermpoll
from ermpoll.errors import UsageError
from ermpoll.notices.base import LocalNotices
from ermpoll.widgets import base
from ermpoll.widgets.base import listener_of
from tests.helpers import pages
from tests.helpers.conditions import wait_until


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
    monitor.select([monitor._table.failed.table.page.rows[0]["RID"]])

    for word in ("start", "retry"):
        button = getattr(monitor.buttons, word)
        assert (button.disabled, button.tooltip) == (True, jobs.why_not_writable)


def test_a_catalog_that_goes_away_is_said_and_the_panel_stays(monitor, box):
    # all of them: the panel reads by itself as well
    box.faults(status=503)
    monitor._table.reader.read()
    box.faults()
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

    listener = listener_of(panel)

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


def test_what_still_runs_after_a_stop_can_be_given_back_if_one_says_so(
    monitor, agent, jobs
):
    monitor.start()
    wait_until(lambda: len(agent.status.running) == 2)
    rids = [one.rid for one in agent.status.running]
    assert monitor.buttons.arm.layout.display == "none"
    monitor.stop(timeout_s=0.1)
    wait_until(lambda: monitor.buttons.arm.layout.display is None)

    monitor.buttons.arm.click()
    wait_until(lambda: monitor._controls.asking.layout.display is None)
    question = pages.text_of(monitor._controls.question.value)
    assert f"Gives back 2 rows ({', '.join(rids)})" in question
    monitor.buttons.abandon.click()

    wait_until(lambda: agent.status.state == "stopped")
    wait_until(lambda: "released 2" in monitor._title.value)
    assert set(rids) <= set(jobs.candidates(500).rids)


def test_waiting_on_gives_nothing_back(monitor, agent, gate):
    monitor.start()
    wait_until(lambda: len(agent.status.running) == 2)
    monitor.stop(timeout_s=0.1)
    monitor.arm()
    monitor.disarm()

    assert monitor._controls.asking.layout.display == "none"
    gate.set()
    wait_until(lambda: agent.status.state == "stopped")
    assert agent.status.completed == 2


def test_the_number_of_workers_is_changed_on_the_page(monitor, agent):
    monitor.start()
    wait_until(lambda: len(agent.status.running) == 2)

    monitor._controls.workers.value = 5

    wait_until(lambda: len(agent.status.running) == 5)
    agent.workers = 3
    wait_until(lambda: monitor._controls.workers.value == 3)


def test_all_numbers_of_a_panel_are_of_one_reading(monitor, agent, gate, jobs):
    gate.set()
    monitor.start()
    for _ in range(20):
        monitor.refresh()
        now = monitor._table.reader.now
        done = now.status.completed + now.status.failed
        figures = pages.text_of(monitor._figures.value)
        assert f"{now.status.completed:,} completed" in figures
        assert f"{done}/" in pages.text_of(monitor._table.counts.value)
    monitor.stop()

    now = monitor._table.reader.now
    assert now.counts == jobs.counts()
    assert "read " in pages.text_of(monitor._table.counts.value)


def test_an_answer_and_an_error_leave_after_a_while(monitor, monkeypatch):
    monitor._tell("2 rows ready again")
    monitor.buttons.retry.click()
    wait_until(lambda: monitor.error)
    now = base.monotonic()
    monkeypatch.setattr(base, "monotonic", lambda: now + base.ANSWER_STAYS_S + 1)
    assert (monitor._answer.text, bool(monitor.error)) == ("", True)

    monkeypatch.setattr(base, "monotonic", lambda: now + base.ERROR_STAYS_S + 1)
    assert monitor.error == ""

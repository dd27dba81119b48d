from __future__ import annotations

import gc
import weakref

import pytest

import ermpoll
from ermpoll.errors import UsageError
from ermpoll.notices.base import LocalNotices
from ermpoll.widgets.panels.monitor_panel import _listener
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
    monitor.select(monitor._table.failures._rids[:1])

    for word in ("start", "retry"):
        button = getattr(monitor.buttons, word)
        assert (button.disabled, button.tooltip) == (True, jobs.why_not_writable)


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

from __future__ import annotations

from datetime import timedelta

import ermpoll
from ermpoll.notices.base import LocalNotices
from tests.helpers import pages
from tests.helpers.conditions import wait_until


def test_a_watch_starts_when_it_is_told_and_shows_what_comes(jobs, keep, box):
    watch = keep(ermpoll.watch(jobs, box.amqp_url))
    assert watch.candidates is None
    watch.buttons.start.click()
    wait_until(lambda: watch.agent.status.notices.state == "push")
    wait_until(lambda: watch.candidates is not None)
    before = watch.candidates

    jobs.claim(rows=before.rids[:1])

    wait_until(lambda: watch.candidates.rids[0] == before.rids[1])
    wait_until(lambda: "1 came, 1 went" in watch._log.value)
    wait_until(lambda: before.rids[1] in watch._rows.value)
    watch.stop()
    assert watch.agent.status.state == "stopped"


def test_a_watch_reads_only(jobs, keep, box):
    watch = keep(ermpoll.watch(jobs))
    watch.start()
    wait_until(lambda: watch.candidates is not None)

    assert box.log == ()
    assert watch._table.failed_box.layout.display == "none"


def test_a_saved_watch_shows_state_and_candidates(jobs, keep):
    watch = keep(ermpoll.watch(jobs))
    watch.start()
    wait_until(lambda: watch.candidates is not None)
    watch.stop()

    text = pages.text_of(watch._repr_html_())
    assert "watch of Imaging:Image ○ stopped since" in text
    assert watch.candidates.rids[0] in text


def test_a_second_watch_replaces_the_first_when_it_starts(jobs, keep):
    first, second = keep(ermpoll.watch(jobs)), keep(ermpoll.watch(jobs))

    first.start()
    second.start()

    wait_until(lambda: first.agent.status.state == "stopped")
    assert ermpoll.agents() == [second.agent]


def test_closing_a_watch_stops_its_poller(jobs):
    watch = ermpoll.watch(jobs)
    watch.start()

    watch.close()
    watch.close()

    assert ermpoll.agents() == []


def test_a_watch_reads_nothing_when_nothing_was_written(jobs, keep):
    watch = keep(ermpoll.watch(jobs, notices := LocalNotices()))
    watch.start()
    wait_until(lambda: watch.candidates is not None)
    before = watch.candidates

    notices.notify()

    wait_until(lambda: watch.agent.status.looks.get("unchanged"))
    assert watch.candidates is before
    wait_until(lambda: "304, nothing new" in watch._log.value)


def test_a_watch_says_who_is_logged_in(jobs, keep):
    watch = keep(ermpoll.watch(jobs))
    watch.start()

    wait_until(lambda: "Ada Lovelace" in watch._title.value)


def test_a_watch_looks_again_when_a_row_may_be_tried_again(jobs, keep, box):
    soon = jobs.catalog.now() + timedelta(seconds=1)
    rid = box.add(1, Retry_At=soon.isoformat(), Priority=-1)[0]
    watch = keep(ermpoll.watch(jobs))
    watch.start()
    wait_until(lambda: watch.candidates is not None)
    total = watch.candidates

    wait_until(lambda: "due" in watch._log.value, 8)

    assert rid not in total.rids

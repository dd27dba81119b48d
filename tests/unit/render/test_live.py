from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from ermpoll import render
from ermpoll.records import NoticesStatus, Running, Status, Wake
from tests.helpers import pages

NOW = datetime(2026, 11, 24, 9, 32, 7, tzinfo=UTC)


def test_a_status_says_state_notices_login_rates_and_what_runs():
    status = Status(
        name="images",
        state="working",
        since=NOW,
        notices=NoticesStatus(state="push", last_at=NOW - timedelta(seconds=2)),
        next_look_at=NOW + timedelta(minutes=10),
        log=(Wake(at=NOW, reason="notice", detail="304, nothing new", ours=True),),
        dropped=12,
        looks={"rows": 3, "unchanged": 1},
        login="ann@example.org",
        login_left_s=6 * 3600,
        workers=4,
        running=(Running(rid="1-A", since=NOW - timedelta(seconds=182), attempt=2),),
        held=3,
        jobs_per_min=(90, 120, 142),
        unknown=2,
        retried=3,
    )

    text = pages.text_of(render.status(status, now=NOW))

    for part in (
        "images ● working · push, last notice 2 s ago · next look 09:42:07",
        "ann@example.org, 6 h 00 min left · times in UTC",
        "142 jobs/min 90 to 142 in 3 minutes",
        "3 retried",
        "2 not known",
        "Running now (1 of 4 workers, 3 held) RID for attempt 1-A 3 min 02 s 2",
        "(newest first, 12 dropped): 3 with rows, 1 unchanged",
        "09:32:07 notice (ours) 304, nothing new",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("notices", "words"),
    [
        (NoticesStatus(), "polling only"),
        (NoticesStatus(state="down", reason="refused"), "polling (refused), next try"),
        (NoticesStatus(state="deaf"), "no notices come; polling"),
    ],
)
def test_a_status_says_why_it_polls(notices, words):
    notices = dataclasses.replace(notices, next_try_at=NOW if notices.reason else None)
    status = Status(name="images", state="waiting", notices=notices)

    assert words in pages.text_of(render.status(status, now=NOW))


def test_a_zone_is_named_once_and_used():
    status = Status(name="images", state="waiting", next_look_at=NOW)

    html = render.status(status, now=NOW, zone=ZoneInfo("Asia/Tokyo"))

    assert "18:32:07" in html
    assert html.count("Asia/Tokyo") == 1


def test_agents_are_listed_a_line_each_or_none_in_words():
    status = Status(name="images", state="paused", since=NOW, completed=12)

    listed = pages.text_of(render.agents([SimpleNamespace(status=status)]))

    assert "images ◑ paused since" in listed
    assert pages.text_of(render.agents([])) == "Nothing is running"

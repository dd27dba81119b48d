from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from ermpoll.widgets.browser import BrowserLink


@pytest.fixture
def told():
    return []


@pytest.fixture
def now():
    return [100.0]


@pytest.fixture
def voice(told, now):
    made = BrowserLink(lambda: told.append("zone"), lambda: now[0])
    yield made
    made.widget.close()


def test_the_zone_is_utc_until_the_browser_tells_its_own(voice, told):
    assert voice.zone is UTC

    voice.widget.zone = "Asia/Tokyo"

    assert voice.zone == ZoneInfo("Asia/Tokyo")
    assert told == ["zone"]


@pytest.mark.parametrize("name", ["", "Nowhere/At_all", "../../etc/passwd", "a\x00b"])
def test_a_zone_that_is_none_changes_nothing(voice, told, name):
    voice.widget.zone = name

    assert (voice.zone, told) == (UTC, [])


def test_a_change_is_said_once_and_no_more_than_every_five_seconds(voice, now):
    voice.say("monitor", "working")
    voice.say("monitor", "stopped")
    assert voice.widget.text == "working"

    now[0] += 5
    voice.say("monitor", "stopped")
    now[0] += 5
    voice.say("preview", "showing 50")
    now[0] += 5
    voice.say("monitor", "stopped")

    assert voice.widget.text == "showing 50"

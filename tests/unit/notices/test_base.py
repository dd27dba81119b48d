from __future__ import annotations

import logging

import pytest

from ermpoll.errors import NoticeError, UsageError
from ermpoll.notices import open_notices
from ermpoll.notices.base import LocalNotices, Notices
from ermpoll.records import NoticesStatus


def test_a_hub_is_open_while_somebody_listens():
    notices = LocalNotices()

    before = notices.status.state
    first, second = notices.subscribe(list), notices.subscribe(list)
    first()
    between = notices.status.state
    second()

    assert (before, between, notices.status.state) == ("off", "push", "off")


def test_each_subscriber_hears_each_notice_until_it_leaves():
    notices = LocalNotices()
    heard: list[str] = []
    leave = notices.subscribe(lambda: heard.append("a"))
    notices.subscribe(lambda: heard.append("b"))

    notices.notify()
    leave()
    notices.notify()

    assert heard == ["a", "b", "b"]


def test_leaving_twice_does_not_leave_for_another():
    notices = LocalNotices()
    leave = notices.subscribe(list)
    notices.subscribe(list)

    leave()
    leave()

    assert notices.status.state == "push"


def test_the_same_callback_may_subscribe_twice():
    notices = LocalNotices()
    heard: list[int] = []

    def hear() -> None:
        heard.append(1)

    leave = notices.subscribe(hear)
    notices.subscribe(hear)
    leave()
    notices.notify()

    assert heard == [1]


def test_a_hub_may_be_opened_again_after_it_was_closed():
    notices = LocalNotices()
    notices.subscribe(list)
    notices.close()
    heard: list[int] = []

    notices.subscribe(lambda: heard.append(1))
    notices.notify()

    assert heard == [1]


def test_notices_are_counted_with_the_time_of_the_last():
    notices = LocalNotices()
    notices.subscribe(list)

    notices.notify()
    notices.notify()

    status = notices.status
    assert status.received == 2
    assert status.last_at is not None
    assert status.last_at.tzinfo is not None


def test_the_count_of_notices_outlives_a_change_of_state():
    notices = LocalNotices()
    notices.subscribe(list)
    notices.notify()
    before = notices.status

    notices.fail()

    after = notices.status
    assert (after.received, after.last_at) == (1, before.last_at)


def test_a_source_that_fails_says_why_and_brings_nothing():
    notices = LocalNotices()
    told: list[NoticesStatus] = []
    heard: list[int] = []
    notices.subscribe(lambda: heard.append(1), told.append)

    notices.fail("the plug was pulled")
    notices.fail("the plug was pulled")
    notices.notify()
    notices.mend()

    assert [(s.state, s.reason) for s in told] == [
        ("push", ""),
        ("down", "the plug was pulled"),
        ("push", ""),
    ]
    assert heard == []


def test_a_subscriber_that_raises_stops_no_other(caplog):
    notices = LocalNotices()
    heard: list[int] = []
    notices.subscribe(lambda: [][0])
    notices.subscribe(lambda: heard.append(1))

    with caplog.at_level(logging.ERROR):
        notices.notify()

    assert heard == [1]
    assert "IndexError" in caplog.text


def test_without_a_source_the_status_is_off():
    notices = open_notices(None)

    notices.subscribe(list)

    assert notices.status == NoticesStatus(state="off")


def test_a_notices_object_is_taken_as_it_is():
    notices = LocalNotices()

    assert open_notices(notices) is notices


def test_the_same_address_is_the_same_hub():
    url = "amqp://somebody:pw@localhost:1"
    first, second = open_notices(url), open_notices(url)
    other = open_notices("amqp://localhost:2")

    assert first is second
    assert other is not first
    assert isinstance(first, Notices)


def test_something_that_is_no_source_is_refused():
    with pytest.raises(UsageError, match="notices is a int: give None, an address"):
        open_notices(5672)  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["", "localhost", "https://host/ermrest", "amqp://"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(NoticeError, match="expected amqp://host"):
        open_notices(url)

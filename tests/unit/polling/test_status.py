from __future__ import annotations

from ermpoll.records import Event
from tests.helpers.looks import Looks, drain, ticking


def test_the_log_keeps_two_hundred_lines_and_counts_the_rest():
    poller, _ = ticking(Looks())

    for _ in range(250):
        poller.wake("manual")
        drain(poller)

    assert len(poller.status.log) == 200
    assert poller.status.dropped == 50


def test_the_login_is_shown_with_the_time_it_has_left():
    poller, clock = ticking(Looks())
    drain(poller)

    poller.board.log_in("Ann", left_s=100.0)
    clock.now += 30
    status = poller.status

    assert (status.login, status.login_left_s) == ("Ann", 70.0)
    assert [wake.reason for wake in status.log] == ["start"]


def test_a_lost_login_stays_in_the_status_until_it_is_back():
    poller, _ = ticking(Looks())
    events: list[Event] = []
    poller.subscribe(events.append)
    drain(poller)

    poller.board.log_in(None, detail="login expired: log in again")
    drain(poller)
    lost = poller.status
    poller.board.log_in("Ann", detail="logged in again")
    drain(poller)

    assert (lost.reason, lost.login) == ("login expired: log in again", None)
    assert lost.log[0].reason == "login"
    assert poller.status.reason == ""
    told = [event.reason for event in events if event.kind == "login"]
    assert told == ["login expired: log in again", "logged in again"]


def test_a_login_that_goes_is_told_in_our_words():
    poller, _ = ticking(Looks())

    for login in (None, "Ann", "Ann", None, None, "Ann", "Ben"):
        poller.board.log_in(login)

    assert [wake.detail for wake in reversed(poller.status.log)] == [
        "login expired: nobody is logged in, rows may be hidden; log in again",
        "logged in as Ann",
        "logged in as Ben",
    ]


def test_listeners_get_the_status_that_is_stored():
    events: list[Event] = []
    poller, _ = ticking(Looks())
    leave = poller.subscribe(events.append)

    drain(poller)
    leave()
    poller.look_now()
    drain(poller)

    states = [event.status.state for event in events if event.status]
    assert states == ["looking", "waiting"]


def test_a_listener_that_raises_is_called_again_and_stops_nothing(caplog):
    calls: list[str] = []
    later: list[str] = []

    def bad(event: Event) -> None:
        calls.append(event.kind)
        raise RuntimeError("secret contents")

    poller, _ = ticking(Looks())
    poller.subscribe(bad)
    poller.subscribe(lambda event: later.append(event.kind))

    drain(poller)

    assert calls == later == ["state", "state"]
    assert "secret contents" not in caplog.text


def test_the_owner_fills_in_its_half_of_the_status():
    from dataclasses import replace

    poller, _ = ticking(Looks(), decorate=lambda status: replace(status, workers=4))

    assert poller.status.workers == 4

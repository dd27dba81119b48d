from __future__ import annotations

import logging

import pytest

from ermpoll.errors import Aborted, PreconditionFailed, Unavailable, UsageError
from ermpoll.notices.base import LocalNotices
from ermpoll.polling.poller import Poller
from ermpoll.records import LookResult
from tests.helpers.looks import Looks, drain, ticking


def test_the_first_tick_looks():
    look = Looks()
    poller, _ = ticking(look)

    assert poller.tick() == 0
    assert len(look) == 1


def test_a_tick_before_its_time_only_says_how_long():
    look = Looks()
    poller, clock = ticking(look, poll_s=10)
    drain(poller)
    clock.now += 0.4

    assert poller.tick() == pytest.approx(0.6)
    assert len(look) == 1


def test_true_means_look_again_at_once():
    look = Looks(True, True, False)
    poller, _ = ticking(look)

    drain(poller)

    assert len(look) == 3
    assert poller.status.looks == {"rows": 2, "empty": 1}


def test_none_means_nothing_found():
    look = Looks(None)
    poller, _ = ticking(look)

    drain(poller)

    assert poller.status.looks == {"empty": 1}


def test_a_look_may_say_more_than_true():
    look = Looks(LookResult(outcome="unchanged", due_s=3.0, detail="304, as ever"))
    poller, clock = ticking(look)

    drain(poller)
    clock.now += 3.0
    poller.tick()

    assert [wake.reason for wake in poller.status.log] == ["due", "start"]
    assert poller.status.log[-1].detail == "304, as ever"
    assert poller.status.looks == {"unchanged": 1, "empty": 1}


def test_a_look_can_ask_why_it_is_made():
    reasons: list[object] = []
    poller, clock = ticking(lambda: reasons.append(poller.because))
    drain(poller)
    clock.now += 1.0
    poller.wake("notice")
    drain(poller)

    assert reasons == ["start", "notice"]
    assert poller.because is None


def test_a_failing_look_is_told_and_tried_again():
    """An HTTP error ends deriva-py's loop."""
    look = Looks(Unavailable("no answer from the catalog"), False)
    poller, clock = ticking(look)

    wait_s = drain(poller)
    failed = poller.status
    clock.now += wait_s
    drain(poller)

    assert wait_s == pytest.approx(0.5)
    assert (failed.state, failed.reason) == (
        "backing off",
        "Unavailable: no answer from the catalog",
    )
    assert failed.next_look_at is not None
    assert poller.status.state == "waiting"
    assert poller.status.looks == {"error": 1, "empty": 1}


def test_back_off_grows_while_looks_fail():
    look = Looks(*[OSError("down")] * 8)
    poller, clock = ticking(look)

    waits = []
    for _ in range(8):
        waits.append(drain(poller))
        clock.now += waits[-1]

    assert waits == pytest.approx([0.5, 1, 2, 4, 8, 16, 30, 30])


@pytest.mark.parametrize("race", [PreconditionFailed(), Aborted()])
def test_a_lost_race_is_waited_out_for_a_moment(race, caplog):
    look = Looks(race)
    poller, _ = ticking(look)

    with caplog.at_level(logging.INFO):
        wait_s = drain(poller)

    assert wait_s <= 0.1
    assert caplog.records == []
    assert poller.status.looks == {"error": 1}


def test_a_failure_shows_no_login_and_logs_no_contents(caplog):
    error = ValueError("row of Jane Doe via amqp://me:hunter2@host Bearer abc.def")
    poller, _ = ticking(Looks(error))

    with caplog.at_level(logging.DEBUG):
        drain(poller)

    assert "Jane Doe" not in caplog.text
    assert "ValueError" in caplog.text
    said = repr(poller.status)
    assert "hunter2" not in said
    assert "abc.def" not in said
    assert "[secret]" in said


def test_look_now_goes_before_a_back_off():
    look = Looks(OSError("down"), False)
    poller, _ = ticking(look)
    drain(poller)

    poller.look_now()
    drain(poller)

    assert [wake.reason for wake in poller.status.log] == ["manual", "start"]


def test_a_paused_poller_looks_when_it_is_resumed():
    look = Looks()
    poller, clock = ticking(look)
    drain(poller)
    poller.pause()
    clock.now += 100
    poller.look_now()

    paused_s = poller.tick()
    state = poller.status.state
    poller.resume()
    drain(poller)

    assert (state, paused_s > 1000, len(look)) == ("paused", True, 2)
    assert poller.status.state == "waiting"


def test_resume_without_a_pause_does_nothing():
    look = Looks()
    poller, _ = ticking(look)
    drain(poller)

    poller.resume()
    drain(poller)

    assert len(look) == 1


def test_more_from_a_worker_is_looked_at_outside_the_gap():
    look = Looks()
    poller, clock = ticking(look)
    drain(poller)
    clock.now += 0.001

    poller.wake("more")
    poller.tick()

    assert len(look) == 2


def test_an_echo_of_an_own_write_is_marked():
    poller, clock = ticking(Looks())
    drain(poller)
    clock.now += 1.0

    poller.wrote()
    poller.wake("notice")
    drain(poller)
    clock.now += 1.0
    poller.wake("notice")
    drain(poller)

    assert [wake.ours for wake in poller.status.log] == [False, True, False]


class Ears(LocalNotices):
    """Notices that count what they are told."""

    misses = 0

    def missed(self) -> None:
        self.misses += 1


MOVED, UNMOVED = LookResult(etag_moved=True), LookResult(outcome="unchanged")


@pytest.mark.parametrize(("found", "misses"), [(MOVED, 1), (UNMOVED, 0)])
def test_a_timer_look_that_finds_an_unheard_change_is_reported(found, misses):
    notices = Ears()
    poller, clock = ticking(Looks(UNMOVED, found), notices=notices)
    clock.now += drain(poller)

    drain(poller)

    assert notices.misses == misses


def test_a_change_that_a_notice_told_of_is_no_miss():
    """Also when the look for that notice did not ask: an agent that is full."""
    notices, full = Ears(), LookResult()
    poller, clock = ticking(Looks(UNMOVED, full, MOVED), notices=notices)
    leave = notices.subscribe(poller._on_notice)
    drain(poller)
    clock.now += 0.5
    notices.notify()
    clock.now += drain(poller)

    drain(poller)
    leave()

    assert [wake.reason for wake in poller.status.log] == ["timer", "notice", "start"]
    assert notices.misses == 0


def test_a_look_that_cannot_be_called_is_refused():
    with pytest.raises(UsageError, match="look is a int: give a function"):
        Poller(5)  # type: ignore[arg-type]


def test_an_async_look_is_refused():
    async def look() -> bool:
        return True

    with pytest.raises(UsageError, match="look is async"):
        Poller(look)  # type: ignore[arg-type]

from __future__ import annotations

import logging
import threading
import time

import pytest

import ermpoll
from ermpoll.backoff import Clocks
from ermpoll.errors import UsageError
from ermpoll.notices.base import LocalNotices
from ermpoll.polling.poller import Poller
from ermpoll.records import Event, LookResult
from tests.helpers.conditions import let_pass, wait_until
from tests.helpers.looks import SOON, Looks


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"poll_s": 0}, "poll_s is 0"),
        ({"poll_s": -1}, "poll_s is -1"),
        ({"coalesce_s": 0}, "coalesce_s is 0"),
        ({"coalesce_s": float("nan")}, "coalesce_s is nan"),
    ],
)
def test_a_time_that_is_none_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        Poller(Looks(), **options)


def test_a_poller_shows_itself_as_text_html_and_panel():
    poller = Poller(Looks(), name="shown <b>")

    panel = poller.panel()
    panel.close()

    assert repr(poller) == "<Poller 'shown <b>' stopped>"
    assert "shown &lt;b&gt;" in poller._repr_html_()
    assert panel.agent is poller


# -- the thread


def test_a_notice_is_looked_at_within_milliseconds():
    notices, look = LocalNotices(), Looks()
    with Poller(look, notices=notices) as poller:
        wait_until(lambda: poller.status.state == "waiting")
        delays = []
        for _ in range(5):
            # Past the gap, which a fast hand would measure instead.
            let_pass(0.25)
            look.happened.clear()
            began = time.perf_counter()
            notices.notify()
            assert look.happened.wait(5)
            delays.append(look.times[-1] - began)

    assert sorted(delays)[2] < 0.005


def test_stop_ends_any_wait_at_once():
    poller, took = Poller(Looks()), []
    for _ in range(5):
        poller.start()
        wait_until(lambda: poller.status.state == "waiting")
        began = time.perf_counter()
        assert poller.stop()
        took.append(time.perf_counter() - began)

    assert sorted(took)[2] < 0.05
    assert poller.status.state == "stopped"
    assert poller.status.next_look_at is None


def test_stop_ends_a_back_off_and_a_pause():
    for poller in (Poller(Looks(*[OSError()] * 99)), Poller(Looks())):
        poller.start()
        poller.pause()
        wait_until(lambda poller=poller: poller.status.state == "paused")

        began = time.perf_counter()
        poller.stop()

        assert time.perf_counter() - began < 0.2


def test_start_twice_is_one_thread():
    poller = Poller(Looks(), name="twice")

    poller.start().start()
    alive = [t for t in threading.enumerate() if t.name == "ermpoll-poller-twice"]
    poller.stop()
    poller.stop()

    assert len(alive) == 1


def test_a_stop_that_a_look_outlasts_says_so():
    looking, go_on = threading.Event(), threading.Event()

    def look() -> None:
        looking.set()
        go_on.wait(10)

    poller = Poller(look).start()
    looking.wait(5)

    stopped = poller.stop(timeout_s=0.01)
    status = poller.status
    go_on.set()

    assert not stopped
    assert (status.state, status.reason) == ("stopping", "a look is still going on")
    assert poller.stop()
    assert poller.status.state == "stopped"


def test_start_takes_back_a_stop_that_is_not_over():
    looking, go_on = threading.Event(), threading.Event()
    threads: set[int] = set()

    def look() -> None:
        threads.add(threading.get_ident())
        looking.set()
        go_on.wait(10)

    poller = Poller(look).start()
    looking.wait(5)
    poller.stop(timeout_s=0.01)
    poller.start()
    looking.clear()
    go_on.set()

    # Well before the timer: who starts it wants to see something.
    assert looking.wait(0.5)
    assert len(threads) == 1
    poller.stop()


def test_stop_from_within_a_look_does_not_wait_for_itself():
    answers: list[bool] = []
    poller = Poller(lambda: answers.append(poller.stop()))

    poller.start()
    wait_until(lambda: poller.status.state == "stopped")

    assert answers == [False]


def test_a_look_that_leaves_its_thread_is_not_shown_as_running():
    def look() -> None:
        raise SystemExit

    poller = Poller(look).start()

    wait_until(lambda: poller.status.state == "stopped")
    assert poller.status.reason == "ended by SystemExit"


def test_a_stop_by_a_listener_returns_at_once_and_counts():
    answers: list[tuple[bool, float]] = []
    look = Looks()

    def stop(event: Event) -> None:
        if event.kind == "state" and event.reason == "waiting":
            began = time.perf_counter()
            answers.append((poller.stop(), time.perf_counter() - began))

    poller = Poller(look)
    poller.subscribe(stop)
    poller.start()
    wait_until(lambda: poller.status.state == "stopped")

    [(stopped, took_s)] = answers
    assert not stopped
    assert took_s < 0.05
    assert len(look) == 1


@pytest.mark.parametrize("leave", [SystemExit(3), GeneratorExit()])
def test_a_listener_that_exits_ends_the_poller_in_order(leave, caplog):
    """The look ends first, and all others hear of it."""
    told: list[str] = []
    looked = threading.Event()

    def bad(event: Event) -> None:
        raise leave

    poller = Poller(lambda: looked.set(), name="left")
    poller.subscribe(bad)
    poller.subscribe(lambda event: told.append(event.reason))

    poller.start()
    wait_until(lambda: poller.status.state == "stopped")

    assert looked.is_set()
    assert poller.status.reason.startswith(f"ended by {type(leave).__name__}")
    assert told[-1] == poller.status.reason
    assert "a listener of left" in caplog.text
    assert poller.stop()
    assert poller not in ermpoll.agents()


def test_a_listener_that_exits_ends_a_run_in_the_foreground():
    def leave(event: Event) -> None:
        raise SystemExit(3)

    poller = Poller(Looks())
    poller.subscribe(leave)

    with pytest.raises(SystemExit):
        poller.run()

    assert poller.status.reason == "ended by SystemExit: 3"


def test_run_ticks_only_when_there_is_something_to_do():
    class Counting(Poller):
        ticks = 0

        def tick(self) -> float:
            self.ticks += 1
            return super().tick()

    stop, poller = threading.Event(), Counting(Looks())
    timer = threading.Timer(0.3, stop.set)
    timer.start()

    poller.run(stop=stop)
    timer.join()

    assert poller.ticks == 2


def test_a_whole_day_passes_at_once_on_a_clock_of_ones_own():
    class Day:
        now = 0.0

        def wait(self, woken: threading.Event, wait_s: float) -> bool:
            self.now += wait_s
            return woken.is_set()

    day, looks = Day(), []
    clocks = Clocks(monotonic=lambda: day.now, random=lambda: 0.5, wait=day.wait)

    def look() -> None:
        looks.append(day.now)
        if day.now > 86400:
            poller.stop()

    poller = Poller(look, poll_s=600, clocks=clocks)
    poller.run()

    assert looks[:4] == [0.0, 1.0, 3.0, 7.0]
    assert 86400 / 600 < len(looks) < 86400 / 600 + 12


def test_a_poller_can_be_started_again():
    look = Looks()
    poller = Poller(look)

    for n in (1, 2, 3):
        poller.start()
        wait_until(lambda n=n: len(look) == n)
        poller.stop()

    assert poller.status.looks == {"empty": 3}


def test_many_hands_at_start_and_stop_leave_one_thread_and_a_true_status():
    poller = Poller(Looks(), name="tugged")

    def tug() -> None:
        for _ in range(50):
            poller.start()
            poller.stop()

    hands = [threading.Thread(target=tug) for _ in range(4)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join(20)
    stopped = poller.status.state
    poller.start()
    wait_until(lambda: poller.status.state == "waiting")
    alive = [t for t in threading.enumerate() if t.name == "ermpoll-poller-tugged"]
    listed = poller in ermpoll.agents()
    poller.stop()

    assert (stopped, len(alive), listed) == ("stopped", 1, True)


def test_a_named_poller_is_listed_and_replaces_its_namesake():
    first, second = Poller(Looks(), name="mine"), Poller(Looks(), name="mine")

    first.start()
    second.start()
    listed = [poller for poller in ermpoll.agents() if poller.name == "mine"]
    second.stop()

    assert listed == [second]
    assert first.status.state == "stopped"
    assert second not in ermpoll.agents()


def test_a_poller_in_the_foreground_is_listed_while_it_runs():
    listed: list[bool] = []
    poller = Poller(lambda: listed.append(poller in ermpoll.agents()), name="here")

    poller.run(until_idle=True)

    assert listed == [True]
    assert poller not in ermpoll.agents()


def test_acts_of_an_operator_are_audited(caplog):
    caplog.set_level(logging.INFO, logger="ermpoll.audit")
    with Poller(Looks(), name="watched") as poller:
        poller.start()

    acts = [r.getMessage() for r in caplog.records if r.name == "ermpoll.audit"]
    assert acts == ["start watched", "stop watched"]


def test_a_source_that_goes_and_comes_back_is_told_and_looked_at():
    notices, look = LocalNotices(), Looks()
    with Poller(look, notices=notices) as poller:
        wait_until(lambda: poller.status.state == "waiting")
        wait_until(lambda: len(look) == 1)

        notices.fail("the broker went")
        wait_until(lambda: len(look) >= 2)
        down = poller.status.notices
        notices.mend()
        wait_until(lambda: poller.status.notices.state == "push")
        seen = len(look)
        notices.notify()
        wait_until(lambda: len(look) > seen)

    news = [wake.detail for wake in poller.status.log if wake.reason == "broker"]
    assert down.reason == "the broker went"
    assert news == ["push", "down: the broker went", "push"]


def test_notices_are_counted_by_minute():
    notices = LocalNotices()
    with Poller(Looks(), notices=notices) as poller:
        wait_until(lambda: poller.status.state == "waiting")
        for _ in range(7):
            notices.notify()

        assert sum(poller.status.notices_per_min) == 7


# -- in the foreground


def test_run_ends_when_idle():
    look = Looks(True, True, False)
    poller = Poller(look)

    poller.run(until_idle=True)

    assert len(look) == 3
    assert poller.status.state == "stopped"


def test_run_until_idle_waits_for_what_is_due():
    look = Looks(LookResult(due_s=0.05), OSError("down"), False)
    poller = Poller(look, clocks=SOON)

    poller.run(until_idle=True)

    assert len(look) == 3


def test_a_second_run_works():
    """deriva-py raises UnboundLocalError."""
    look = Looks()
    poller = Poller(look)

    poller.run(until_idle=True)
    poller.run(until_idle=True)

    assert len(look) == 2


def test_run_stops_at_the_callers_event_at_once():
    stop, poller = threading.Event(), Poller(Looks())
    thread = threading.Thread(target=poller.run, args=(stop,))
    thread.start()
    wait_until(lambda: poller.status.state == "waiting")

    began = time.perf_counter()
    stop.set()
    thread.join(5)

    assert time.perf_counter() - began < 0.2


def test_an_interrupt_ends_run_quietly():
    poller = Poller(Looks(False, KeyboardInterrupt()))

    threading.Timer(0.05, poller.look_now).start()
    poller.run()

    assert poller.status.state == "stopped"


def test_run_beside_a_thread_is_refused():
    with Poller(Looks(), name="busy") as poller:
        with pytest.raises(UsageError, match="busy is running already"):
            poller.run()

        assert poller in ermpoll.agents()

from __future__ import annotations

import logging
import threading
import time

import pytest

import ermpoll
from ermpoll.backoff import Clocks
from ermpoll.errors import Aborted, PreconditionFailed, Unavailable, UsageError
from ermpoll.notices.base import LocalNotices
from ermpoll.polling.poller import Poller
from ermpoll.records import Event, LookResult
from tests.helpers.conditions import let_pass, wait_until

#: Back-offs are short ones.
SOON = Clocks(random=lambda: 0.05)


class FakeClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Looks:
    """A look that counts, and answers what it was told to answer."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.times: list[float] = []
        self.happened = threading.Event()

    def __call__(self) -> bool | LookResult | None:
        self.times.append(time.perf_counter())
        self.happened.set()
        answer = self.answers.pop(0) if self.answers else False
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[return-value]

    def __len__(self) -> int:
        return len(self.times)


def ticking(look: object, **options: object) -> tuple[Poller, FakeClock]:
    """A poller that is stepped by hand, on a clock that stands still."""
    clock = FakeClock()
    clocks = Clocks(monotonic=clock, random=lambda: 0.5)
    poller = Poller(look, clocks=clocks, **options)  # type: ignore[arg-type]
    return poller, clock


def drain(poller: Poller) -> float:
    """Tick until there is nothing to do; return the seconds until there is again."""
    while (wait_s := poller.tick()) == 0:
        pass
    return wait_s


# -- one step


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


@pytest.mark.parametrize("weather", [PreconditionFailed(), Aborted()])
def test_a_lost_race_is_weather(weather, caplog):
    look = Looks(weather)
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


def test_the_log_keeps_two_hundred_lines_and_counts_the_rest():
    poller, _ = ticking(Looks())

    for _ in range(250):
        poller.wake("manual")
        drain(poller)

    assert len(poller.status.log) == 200
    assert poller.status.dropped == 50


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


def test_a_look_that_cannot_be_called_is_refused():
    with pytest.raises(UsageError, match="look is a int: give a function"):
        Poller(5)  # type: ignore[arg-type]


def test_an_async_look_is_refused():
    async def look() -> bool:
        return True

    with pytest.raises(UsageError, match="look is async"):
        Poller(look)  # type: ignore[arg-type]


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


def test_run_until_idle_waits_for_what_is_due_and_for_the_owner():
    look = Looks(LookResult(due_s=0.05), OSError("down"), False)
    poller = Poller(look, idle=lambda: len(look) >= 4, clocks=SOON)
    timer = threading.Timer(0.2, poller.look_now)
    timer.start()

    poller.run(until_idle=True)
    timer.join()

    assert len(look) == 4


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

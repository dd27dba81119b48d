from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ermpoll.polling.schedule import MAX_GAP_S, Next, Schedule
from ermpoll.records import LookResult

EMPTY = LookResult()
FOUND = LookResult(found=True, outcome="rows")
MORE = LookResult(found=True, more=True, outcome="rows")


@dataclass
class Simulation:
    """Drives a schedule as a poller does, on a clock that it moves itself."""

    schedule: Schedule
    look_s: float = 0.0
    now: float = 0.0
    starts: list[tuple[float, str]] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    answers: list[LookResult | None] = field(default_factory=list)

    def advance(self, until: float) -> None:
        """Make all looks that are due before ``until``, then stand there."""
        while (due := self.schedule.next_look(self.now)).at < until:
            self.look(max(due.at, self.now), due.reason)
        self.now = max(self.now, until)

    def look(self, at: float, reason: str) -> None:
        self.now = at
        self.starts.append((at, reason))
        self.schedule = self.schedule.began(self.now)
        answer = self.answers.pop(0) if self.answers else EMPTY
        self.now += self.look_s
        if answer is None:
            self.schedule = self.schedule.failed(self.now, reason, 0.5)
        else:
            self.schedule = self.schedule.ended(self.now, reason, answer, 0.5)
        self.ends.append(self.now)

    def notice(self, at: float) -> None:
        self.advance(at)
        self.schedule = self.schedule.ask("notice", self.now)


def started(
    look_s: float = 0.0, *, push: bool = True, poll_s: float = 600
) -> Simulation:
    """A schedule whose first look is over and found nothing."""
    schedule = Schedule(poll_s=poll_s, coalesce_s=0.1, push=push)
    simulation = Simulation(schedule, look_s)
    simulation.look(0.0, "start")
    simulation.starts.clear()
    return simulation


def test_the_first_look_is_wanted_at_once():
    assert Schedule().next_look(7.0) == Next(at=7.0, reason="start")


def test_a_first_notice_is_looked_at_at_once():
    simulation = started()

    simulation.notice(30.0)

    assert simulation.schedule.next_look(30.0).at <= 30.0


def test_a_burst_costs_one_look_at_its_head_and_one_behind_it():
    simulation = started()

    for i in range(8):
        simulation.notice(30.0 + i * 0.01)
    simulation.advance(35.0)

    assert simulation.starts == [
        (30.0, "notice"),
        (pytest.approx(30.1), "notice"),
    ]


def test_a_stream_that_brings_work_is_looked_at_ten_times_a_second():
    """deriva-py looks once, after the last notice."""
    simulation = started(look_s=0.01)

    for i in range(5000):
        simulation.answers = [FOUND]
        simulation.notice(30.0 + i * 0.012)

    per_second = len(simulation.starts) / 60
    assert 5 <= per_second <= 12


def test_a_stream_keeps_its_pace_when_each_find_is_followed_by_an_empty_look():
    simulation = started(look_s=0.001)

    for i in range(5000):
        simulation.answers = [MORE, EMPTY]
        simulation.notice(30.0 + i * 0.012)

    assert 5 <= len(simulation.starts) / 60 <= 12


def test_a_stream_that_brings_nothing_is_looked_at_ever_less():
    """126 unrelated writes in 8 s, each with a new ETag."""
    simulation = started()

    for i in range(126):
        simulation.notice(30.0 + i * 8 / 126)

    gaps = [b - a for (a, _), (b, _) in pairwise(simulation.starts)]
    assert gaps[:4] == [pytest.approx(g, abs=0.07) for g in (0.1, 0.2, 0.4, 0.8)]
    assert max(gaps) <= MAX_GAP_S + 0.07
    assert len(simulation.starts) <= 13


def test_a_quiet_second_makes_the_next_notice_a_first_one():
    simulation = started()
    for i in range(200):
        simulation.notice(30.0 + i * 0.02)
    simulation.advance(40.0)
    simulation.starts.clear()

    simulation.notice(40.0)
    simulation.notice(40.01)
    simulation.advance(41.0)

    assert [at for at, _ in simulation.starts] == [40.0, pytest.approx(40.1)]


def test_changes_that_come_one_by_one_are_seen_at_once():
    simulation = started()
    times = [30.0 + i * 0.25 for i in range(40)]

    for at in times:
        simulation.notice(at)
    simulation.advance(50.0)

    assert [at for at, _ in simulation.starts] == pytest.approx(times)


def test_a_find_resets_the_gap():
    simulation = started()
    for i in range(200):
        simulation.notice(30.0 + i * 0.02)
    assert simulation.schedule.gap_s == MAX_GAP_S

    simulation.schedule = simulation.schedule.ended(
        simulation.now, "notice", FOUND, 0.5
    )

    assert simulation.schedule.gap_s == pytest.approx(0.1)


def test_a_304_costs_so_little_that_it_sets_the_gap_back():
    simulation = started()
    for i in range(200):
        simulation.notice(30.0 + i * 0.02)
    assert simulation.schedule.gap_s == MAX_GAP_S

    unchanged = LookResult(outcome="unchanged")
    simulation.schedule = simulation.schedule.ended(
        simulation.now, "notice", unchanged, 0.5
    )

    assert simulation.schedule.gap_s == pytest.approx(0.1)


def test_more_is_looked_at_at_once():
    simulation = started()
    simulation.notice(30.0)
    simulation.answers = [MORE, MORE, FOUND]
    simulation.advance(30.001)

    assert [reason for _, reason in simulation.starts] == ["notice", "more", "more"]


def test_a_due_time_makes_a_look_of_its_own_name():
    simulation = started()
    simulation.answers = [LookResult(due_s=7.5)]
    simulation.notice(30.0)

    simulation.advance(60.0)

    assert simulation.starts == [(30.0, "notice"), (37.5, "due")]


def test_a_notice_that_meets_a_due_time_makes_a_due_look():
    """A due look is unconditional; a notice's may be answered 304."""
    simulation = started()
    simulation.answers = [LookResult(due_s=7.5)]
    simulation.notice(30.0)
    simulation.advance(37.0)
    simulation.schedule = simulation.schedule.ask("notice", 37.0)

    assert simulation.schedule.next_look(37.5).reason == "due"


def test_a_due_time_that_never_moves_does_not_spin():
    simulation = started()
    simulation.answers = [LookResult(due_s=0.0)] * 1000

    simulation.notice(30.0)
    simulation.advance(40.0)

    assert len(simulation.starts) <= 14


def test_the_timer_is_only_a_net_while_notices_come_in():
    simulation = started(poll_s=600)

    simulation.advance(3600.0)

    assert len(simulation.starts) == 5
    assert {reason for _, reason in simulation.starts} == {"timer"}


def test_without_notices_the_timer_decays_from_a_second_to_poll_s():
    simulation = started(push=False, poll_s=60)

    simulation.advance(600.0)

    times = [0.0, *(at for at, _ in simulation.starts)]
    gaps = [round(b - a, 3) for a, b in pairwise(times)]
    assert gaps[:8] == [1, 2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize("activity", [FOUND, LookResult(etag_moved=True)])
def test_activity_brings_the_timer_back_to_a_second(activity):
    simulation = started(push=False, poll_s=60)
    simulation.advance(600.0)
    simulation.starts.clear()
    simulation.answers = [activity]

    simulation.advance(700.0)

    (first, _), (second, _), *_ = simulation.starts
    assert second - first == pytest.approx(1.0)


def test_the_timer_never_takes_longer_than_poll_s_and_a_tenth():
    schedule = Schedule(poll_s=0.4).began(0.0)

    latest = schedule.ended(0.0, "start", EMPTY, 0.999_999)
    earliest = schedule.ended(0.0, "start", EMPTY, 0.0)

    assert latest.next_look(0.0).at == pytest.approx(0.44, abs=1e-3)
    assert earliest.next_look(0.0).at == pytest.approx(0.36)


@pytest.mark.parametrize("push", [True, False])
def test_a_change_of_the_source_asks_for_a_look(push):
    simulation = started(push=not push)
    simulation.advance(30.0)

    schedule = simulation.schedule.pushing(push)

    assert schedule.next_look(30.0).at <= 30.0


def test_losing_the_notices_shortens_the_timer():
    simulation = started(push=True)
    simulation.advance(30.0)
    simulation.schedule = simulation.schedule.pushing(False)
    simulation.advance(30.1)
    simulation.starts.clear()

    simulation.advance(60.0)

    assert simulation.starts[0] == (pytest.approx(31.0), "timer")


def test_a_failed_look_is_tried_again_for_the_same_reason():
    simulation = started()
    simulation.answers = [None]

    simulation.notice(30.0)
    simulation.advance(33.0)

    assert simulation.starts == [(30.0, "notice"), (30.5, "notice")]


def outage(failures: int, retry_after_s: float = 0.0) -> Schedule:
    """A schedule after so many failures, the last at 0, with the longest waits."""
    schedule = Schedule().began(0.0)
    for _ in range(failures):
        schedule = schedule.failed(0.0, "start", 0.999, retry_after_s=retry_after_s)
    return schedule


@pytest.mark.parametrize(
    ("noticed_at", "looked_at"), [(0.1, 0.5), (0.5, 0.5), (12.0, 12.0)]
)
def test_a_notice_brings_the_next_try_forward(noticed_at, looked_at):
    schedule = outage(8).ask("notice", noticed_at)

    assert schedule.next_look(noticed_at).at == pytest.approx(looked_at)


def test_a_notice_does_not_put_a_try_off():
    schedule = outage(8).failed(0.0, "start", 0.001).ask("notice", 0.01)

    assert schedule.next_look(0.01).at == pytest.approx(0.06, abs=0.01)


def test_it_does_so_once_for_each_failure():
    schedule = outage(8).ask("notice", 1.0).began(1.0).failed(1.2, "notice", 0.9)
    assert schedule.next_look(1.2).at > 50

    assert schedule.ask("notice", 1.3).next_look(1.3).at == pytest.approx(1.7)


def test_a_stream_of_notices_in_an_outage_costs_two_tries_a_second_at_most():
    simulation = started()
    simulation.answers = [None] * 1000

    for i in range(3000):
        simulation.notice(30.0 + i * 0.02)

    assert len(simulation.starts) <= 122


def test_a_server_that_asks_to_wait_is_left_alone_for_so_long():
    schedule = outage(1, retry_after_s=30.0)
    assert schedule.next_look(0.0).at == 30.0

    noticed = schedule.ask("notice", 2.0)
    assert noticed.next_look(2.0).at == 30.0

    answered = noticed.began(30.0).ended(30.0, "notice", EMPTY, 0.5)
    failed = answered.began(40.0).failed(40.0, "timer", 0.9).ask("notice", 40.1)
    assert failed.next_look(40.1).at == pytest.approx(40.5)


def test_notices_of_other_catalogs_do_not_put_off_our_own():
    """All catalogs of a host share one exchange; a 304 says that it was not ours."""
    simulation = started()
    unchanged = LookResult(outcome="unchanged")

    for i in range(400):
        simulation.answers = [unchanged]
        simulation.notice(30.0 + i * 0.05)
    assert simulation.schedule.gap_s == pytest.approx(0.1)
    assert len(simulation.starts) <= 201

    simulation.starts.clear()
    simulation.notice(50.01)
    simulation.advance(51.0)
    assert simulation.starts[0][0] - 50.01 <= 0.1


def test_a_person_goes_before_a_back_off_once():
    schedule = Schedule().began(0.0)
    for _ in range(9):
        schedule = schedule.failed(0.0, "start", 0.9)

    asked = schedule.ask("manual", 1.0)
    again = asked.began(1.0).failed(1.0, "manual", 0.9)

    assert asked.next_look(1.0) == Next(at=1.0, reason="manual")
    assert again.next_look(1.0).at > 30.0


def test_weather_is_waited_out_for_a_moment_only():
    schedule = Schedule().began(0.0).failed(0.0, "start", 0.9, lost_race=True)

    assert schedule.next_look(0.0).at == pytest.approx(0.09)


def test_success_ends_the_back_off():
    schedule = Schedule().began(0.0).failed(0.0, "start", 0.9).began(1.0)

    schedule = schedule.ended(1.0, "start", EMPTY, 0.5).began(2.0)

    assert schedule.failed(2.0, "timer", 0.9).next_look(2.0).at == pytest.approx(2.9)


events = st.lists(
    st.tuples(
        st.floats(0.0, 3.0),
        st.sampled_from(
            ["notice", "notice", "notice", "more", "manual", "lost", "back"]
        ),
    ),
    max_size=40,
)
answers = st.lists(
    st.sampled_from(
        [EMPTY, EMPTY, FOUND, LookResult(due_s=0.3), LookResult(etag_moved=True)]
    ),
    max_size=60,
)


def play(simulation: Simulation, happenings: list[tuple[float, str]]) -> list[float]:
    """Let things happen, each some time after the last; return the notices' times."""
    notices = []
    for wait_s, what in happenings:
        simulation.advance(simulation.now + wait_s)
        if what in ("lost", "back"):
            simulation.schedule = simulation.schedule.pushing(what == "back")
        else:
            simulation.schedule = simulation.schedule.ask(what, simulation.now)
        if what == "notice":
            notices.append(simulation.now)
    simulation.advance(simulation.now + 5.0)
    return notices


@settings(deadline=None)
@given(events, answers, st.floats(0.0, 0.5))
def test_no_change_waits_longer_than_the_longest_gap_and_one_look(
    happenings, replies, look_s
):
    simulation = started(look_s)
    simulation.answers = replies

    notices = play(simulation, happenings)

    begun = [at for at, _ in simulation.starts]
    for notice in notices:
        after = min(at for at in begun if at >= notice)
        assert after - notice <= MAX_GAP_S + look_s + 1e-6


@settings(deadline=None)
@given(events, answers, st.floats(0.0, 0.5))
def test_no_two_looks_for_notices_come_within_coalesce_s(happenings, replies, look_s):
    simulation = started(look_s)
    simulation.answers = replies

    play(simulation, happenings)

    times = [0.0, *(at for at, _ in simulation.starts)]
    for before, (at, reason) in zip(times, simulation.starts, strict=False):
        if reason in ("notice", "due"):
            assert at - before >= 0.1 - 1e-6


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.0, 1e6), st.booleans()), max_size=20),
    st.floats(0.0, 0.999),
)
def test_a_machine_that_slept_looks_at_once_and_causes_no_storm(jumps, rand):
    schedule = Schedule(poll_s=10.0, coalesce_s=0.1)
    now = 0.0

    for jump_s, notice in jumps:
        now += jump_s
        if notice:
            schedule = schedule.ask("notice", now)
        due = schedule.next_look(now)
        assert due.at - now <= 11.0 + 1e-3
        if due.at <= now:
            schedule = schedule.began(now).ended(now, due.reason, EMPTY, rand)
            assert schedule.next_look(now).at > now


def test_a_schedule_survives_any_number_of_empty_looks():
    schedule = Schedule(push=True)

    for i in range(5000):
        schedule = schedule.ask("notice", i * 1.0).began(i * 1.0)
        schedule = schedule.ended(i * 1.0, "notice", EMPTY, 0.5)

    assert schedule.gap_s <= MAX_GAP_S


def test_a_failed_look_is_tried_again_before_what_it_holds_is_lost():
    """A renewal waits out neither the back-off nor all that a server asks for."""
    schedule = replace(started().schedule, failures=9)

    def again_s(**told: float) -> float:
        failed = schedule.failed(10.0, "timer", 0.99, **told)
        return failed.next_look(10.0).at - 10

    assert again_s(left_s=20.0) == 2
    assert again_s(left_s=20.0, retry_after_s=3.0) == 3
    assert again_s(left_s=20.0, retry_after_s=60.0) == 10
    assert again_s(left_s=600.0, retry_after_s=60.0) == 60
    assert again_s(left_s=0.2, retry_after_s=60.0) == 0.5
    assert again_s(left_s=-1.0) == 0.5

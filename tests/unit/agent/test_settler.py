"""What the fate of each row of a write comes to: pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ermpoll.agent.execution import Report
from ermpoll.agent.held_jobs import Finished
from ermpoll.agent.settler import Aside, Effect, RowFate, effect_of
from ermpoll.errors import Fault
from ermpoll.queue import transitions
from ermpoll.queue.guarded_put import Fate
from ermpoll.queue.transitions import Held
from ermpoll.records import Failure

AT = datetime(2026, 1, 1, tzinfo=UTC)
ROW = {"RID": "A", "RMT": "t", "state": "claimed", "owner": "k", "attempts": 1}
HELD = Held(rid="A", rmt="t", token="k", row=ROW, was="actionable", deadline=10)
ENDED = Finished(held=HELD, report=Report(), worked_s=2)


def effect(spec, step, fate: Fate, **known: object) -> Effect:
    row = RowFate(step=step, fate=fate, **{"held": HELD, "finished": ENDED, **known})
    return effect_of(spec, row, sent_at=100.0, at=AT)


@pytest.fixture
def claim(spec):
    row = {**ROW, "state": "actionable", "owner": None}
    [step] = transitions.stamp(spec, [transitions.claim(spec, row, {})], lambda: "k")
    return step


@pytest.fixture
def steps(spec):
    """A step of each kind for a row that is held."""
    return {
        "complete": transitions.complete(spec, HELD, {}),
        "fail": transitions.fail(spec, HELD, "why"),
        "retry": transitions.retry_later(spec, HELD, "why", AT),
        "release": transitions.release(spec, HELD),
        "renew": transitions.renew(spec, HELD),
    }


def test_a_claim_that_was_won_is_worked_on_under_a_lease_from_its_sending(spec, claim):
    told = effect(spec, claim, Fate.WON, rmt="t2", held=None, finished=None)

    assert told.claimed is not None
    assert (told.claimed.rid, told.claimed.rmt) == ("A", "t2")
    assert told.claimed.deadline == 100 + spec.lease_s
    assert (told.count, told.event) == ("claimed", None)


def test_a_renewal_that_was_won_moves_the_deadline(spec, steps):
    renewed = replace(HELD, rmt="t2", deadline=100 + spec.lease_s)

    told = effect(spec, steps["renew"], Fate.WON, rmt="t2", finished=None)

    assert told == Effect(renewed=renewed)


@pytest.mark.parametrize(
    ("kind", "count", "event", "reason"),
    [
        ("complete", "completed", "completed", ""),
        ("fail", "failed", "failed", "why"),
        ("retry", "retried", "failed", "why"),
        ("release", "released", "released", ""),
    ],
)
def test_a_finish_that_was_won_is_held_no_more_and_told(
    spec, steps, kind, count, event, reason
):
    told = effect(spec, steps[kind], Fate.WON, rmt="t2")

    failure = Failure(rid="A", reason="why", attempt=1, at=AT)
    assert told == Effect(
        gone="A",
        count=count,
        event=event,
        reason=reason,
        worked_s=2,
        failure=failure if event == "failed" else None,
    )


def test_what_the_executor_did_not_do_is_released_with_its_reason(spec, steps):
    ended = replace(ENDED, report=Report(fault="gone"))

    told = effect(spec, steps["release"], Fate.WON, finished=ended)

    assert told.reason == "the executor did not do it: gone"


@pytest.mark.parametrize("fate", [Fate.UNSENT, Fate.UNKNOWN])
@pytest.mark.parametrize("kind", ["complete", "fail", "retry", "release"])
def test_a_finish_of_which_nothing_is_certain_is_written_again(spec, steps, kind, fate):
    assert effect(spec, steps[kind], fate) == Effect(finished=ENDED)


def test_a_claim_that_was_missed_counts_as_lost_and_a_rescue_as_nothing(spec, claim):
    rescue = transitions.rescue(spec, ROW)

    assert effect(spec, claim, Fate.MISSED, held=None) == Effect(count="lost")
    assert effect(spec, rescue, Fate.MISSED, held=None) == Effect()


def lost(reason: str) -> Effect:
    return Effect(gone="A", count="lost", event="lost", reason=reason)


@pytest.mark.parametrize("kind", ["complete", "fail", "release", "renew"])
def test_a_held_row_whose_write_was_missed_is_lost(spec, steps, kind):
    taken = {**ROW, "RMT": "2026-01-01T00:00:00+00:00", "RMB": "eve"}
    cases = {
        "owner was set by eve meanwhile: this claim was taken over": {"owner": "other"},
        "state was set to 'hold' by eve meanwhile": {"state": "hold"},
    }

    for reason, edit in cases.items():
        told = effect(spec, steps[kind], Fate.MISSED, row={**taken, **edit})
        assert told == lost(reason)
    assert effect(spec, steps[kind], Fate.MISSED, row=None) == lost("was deleted")


def test_an_earlier_copy_of_a_finish_may_be_the_one_that_counted(spec, steps):
    done = {**ROW, "RMT": "2026-01-01T00:00:00+00:00", "state": "complete"}

    told = effect(spec, steps["complete"], Fate.MISSED, row=done)

    assert (told.gone, told.count) == ("A", "completed")


def test_a_row_that_is_held_no_more_is_not_lost_again(spec, steps):
    assert effect(spec, steps["renew"], Fate.MISSED, held=None) == Effect()


def test_a_claim_that_is_refused_marks_its_candidate_as_failed(spec, claim):
    told = effect(
        spec, claim, Fate.REFUSED, reason="no such word", fault=Fault.ROW,
        held=None, finished=None,
    )  # fmt: skip

    assert told.reject is not None
    assert (told.reject.kind, told.reject.reason) == ("fail", "no such word")


ASIDE = Aside(rid="A", rmt="t", reason="no")


def test_a_candidate_that_this_login_may_not_write_is_set_aside(spec, claim):
    told = effect(
        spec, claim, Fate.REFUSED, reason="no", fault=Fault.LOGIN,
        held=None, finished=None,
    )  # fmt: skip

    assert told == Effect(aside=ASIDE)


@pytest.mark.parametrize("fault", [Fault.ROW, Fault.LOGIN])
def test_a_candidate_whose_failure_is_refused_is_set_aside(spec, fault):
    change = replace(transitions.claim(spec, ROW, {}).change, reason="bad")
    reject = transitions.reject(spec, change)

    told = effect(
        spec, reject, Fate.REFUSED, reason="no", fault=fault, held=None, finished=None
    )

    assert told == Effect(aside=ASIDE)


def test_a_result_that_is_refused_fails_its_row_with_the_reason(spec, steps):
    told = effect(
        spec, steps["complete"], Fate.REFUSED, reason="a trigger says no",
        fault=Fault.ROW,
    )  # fmt: skip

    report = Report(error="a trigger says no", final=True)
    assert told == Effect(finished=Finished(held=HELD, report=report))


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("complete", Fault.LOGIN),
        ("fail", Fault.LOGIN),
        ("fail", Fault.ROW),
        ("retry", Fault.ROW),
    ],
)
def test_what_ended_is_kept_while_it_is_refused_and_at_the_end_given_back(
    spec, steps, kind, fault
):
    how = {"reason": "no", "fault": fault}
    told = effect(spec, steps[kind], Fate.REFUSED, **how)
    last = replace(ENDED, last_try=True)
    at_the_end = effect(spec, steps[kind], Fate.REFUSED, **how, finished=last)

    assert told == Effect(finished=ENDED, aside=replace(ASIDE, own=True))
    back = replace(last, given_back=True, refused="no")
    assert at_the_end == Effect(finished=back)
    released = effect(spec, steps["release"], Fate.WON, rmt="t2", finished=back)
    assert released.aside == replace(ASIDE, rmt="t2", own=True)
    assert released.reason == "the catalog refuses to write how it ended: no"


def test_a_row_whose_release_is_refused_is_lost_with_the_reason(spec, steps):
    told = effect(spec, steps["release"], Fate.REFUSED, reason="no")

    reason = "the catalog refuses even its release: no"
    assert told == replace(lost(reason), aside=ASIDE)


def test_a_row_whose_renewal_is_refused_is_held_until_its_lease_is_over(spec, steps):
    told = effect(spec, steps["renew"], Fate.REFUSED, reason="no", finished=None)

    # asked for again, not at once
    later = 100 + spec.lease_s / 20
    reason = "its renewal was refused: no"
    assert told == Effect(renewed=replace(HELD, renew_at=later), reason=reason)


def test_an_edit_that_was_kept_is_told(spec, steps):
    told = effect(spec, steps["complete"], Fate.WON, rmt="t2", kept=("num", "note"))

    assert told.reason == "edited during the work, and kept as edited: num, note"

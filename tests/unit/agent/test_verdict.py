"""What follows from a look: pure."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ermpoll.agent.fetcher import Fetch
from ermpoll.agent.held_jobs import JobState
from ermpoll.agent.settler import Settled
from ermpoll.agent.verdict import (
    is_idle,
    is_unsettled,
    lapse_reason,
    trouble_of,
    unwritten,
    words,
)
from ermpoll.errors import Aborted, Denied, TransformError, Unavailable
from ermpoll.queue.guarded_put import Fate, RowResult
from ermpoll.queue.transitions import Transition, TransitionKind
from ermpoll.queue.writer import WriteResult
from ermpoll.records import Change

LOOKED = Fetch(looked=True)
NOTHING = Settled(done=WriteResult())


def step(kind: TransitionKind, rid: str = "A") -> Transition:
    row = {"RID": rid, "RMT": "t"}
    return Transition(kind=kind, change=Change(rid=rid, rmt="t", before=row, after={}))


def result(kind: TransitionKind, fate: Fate, **known: object) -> WriteResult:
    rows = {"A": RowResult(fate=fate)}
    return WriteResult(transitions={"A": step(kind)}, rows=rows, **known)


def wrote(kind: TransitionKind, fate: Fate) -> Settled:
    return Settled(done=result(kind, fate))


BUSY = {
    "there are more candidates": (replace(LOOKED, full=True), NOTHING),
    "a candidate went to another": (LOOKED, wrote("claim", Fate.MISSED)),
    "a row was freed just now": (LOOKED, wrote("rescue", Fate.WON)),
    "a write got no answer": (LOOKED, wrote("complete", Fate.UNKNOWN)),
    "a row could not be read back": (LOOKED, replace(NOTHING, unread=1)),
    "a claim is not confirmed": (LOOKED, replace(NOTHING, unconfirmed=True)),
    "a refused candidate is to be marked": (
        LOOKED,
        replace(NOTHING, rejects=(step("fail"),)),
    ),
    "a bad candidate is to be marked": (
        replace(LOOKED, rejects=(step("fail"),)),
        NOTHING,
    ),
    "the candidates were not read": (Fetch(), NOTHING),
    "nothing has changed": (Fetch(unchanged=True), NOTHING),
}


@pytest.mark.parametrize(
    ("fetch", "write"),
    [
        (LOOKED, NOTHING),
        (LOOKED, wrote("complete", Fate.WON)),
        (LOOKED, replace(wrote("claim", Fate.WON), claimed=1)),
    ],
)
def test_a_look_that_read_the_candidates_and_left_none_is_idle(fetch, write):
    assert is_idle(fetch, write)


@pytest.mark.parametrize("why", BUSY)
def test_a_look_is_not_idle_while(why):
    assert not is_idle(*BUSY[why])


@pytest.mark.parametrize("why", BUSY)
def test_what_is_unsettled_is_looked_at_again_by_itself(why):
    by_itself = {
        "a write got no answer",
        "a row could not be read back",
        "a claim is not confirmed",
        "a refused candidate is to be marked",
        "a bad candidate is to be marked",
    }

    assert is_unsettled(*BUSY[why]) == (why in by_itself)


@pytest.mark.parametrize(
    ("state", "trouble", "reason"),
    [
        (JobState.RUNNING, "", "its lease was over before the work was"),
        (JobState.WAITING, "", "its lease was over before the work was"),
        (JobState.ENDED, "", "its lease was over before its result was written"),
        (
            JobState.RUNNING,
            "the catalog was away (503)",
            "the catalog was away (503): it could not be renewed"
            " before its lease was over",
        ),
        (
            JobState.ENDED,
            "the catalog refused (403)",
            "the catalog refused (403): its result could not be written"
            " before its lease was over",
        ),
    ],
)
def test_why_a_lease_was_over_too_soon_is_told(state, trouble, reason):
    assert lapse_reason(state, trouble) == reason


def test_what_kept_rows_from_being_written_is_told():
    busy = result("complete", Fate.UNSENT, error=Unavailable("503 busy"))

    assert "was away (Unavailable: 503 busy)" in trouble_of(unwritten(busy))
    unknown = unwritten(result("complete", Fate.UNKNOWN))
    assert "was away (Unavailable: a write got no answer)" in trouble_of(unknown)
    assert trouble_of(unwritten(result("complete", Fate.WON))) == ""


@pytest.mark.parametrize(
    ("error", "begins"),
    [
        (Unavailable("no route"), "the catalog was away (Unavailable: no route)"),
        (Aborted("busy"), "the catalog was away (Aborted: busy)"),
        (Denied("403 no"), "the catalog refused (Denied: 403 no)"),
        (TransformError("no"), "the agent could not look (TransformError: no)"),
        (KeyError("a"), "the agent could not look (KeyError: 'a')"),
    ],
)
def test_a_lapse_is_said_to_be_of_what_it_was(error, begins):
    assert trouble_of(error) == begins


@pytest.mark.parametrize(
    ("fetch", "write", "trouble", "text"),
    [
        (Fetch(unchanged=True), NOTHING, "", "304, nothing new"),
        (LOOKED, NOTHING, "", "nothing to take"),
        (Fetch(full=True), NOTHING, "", "holds all that it can"),
        (Fetch(full=True), NOTHING, "broken", "the executor does no work"),
        (Fetch(full=True), wrote("renew", Fate.WON), "", "wrote what was due"),
        (Fetch(full=True), wrote("complete", Fate.WON), "", "finished 1"),
        (LOOKED, replace(wrote("claim", Fate.WON), claimed=1), "", "looked, took 1"),
        (LOOKED, wrote("claim", Fate.MISSED), "", "looked, lost 1"),
        (
            LOOKED,
            replace(wrote("complete", Fate.MISSED), unread=1),
            "",
            "looked, could not read back 1",
        ),
    ],
)
def test_a_look_is_put_into_words(fetch, write, trouble, text):
    assert words(fetch, write, trouble) == text

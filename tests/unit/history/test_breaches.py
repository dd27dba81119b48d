from __future__ import annotations

from dataclasses import replace

import pytest

from ermpoll.history import Breach
from ermpoll.history.breaches import judge, may_miss, orphans
from tests.helpers.lives import OTHER, TOKEN, at, claimed, life, machine

FREE = {"state": "actionable", "owner": None}
DONE = {"state": "complete"}
LATER = "2026-03-01T13:00:00+00:00"
OURS = "worker~" + "a" * 16 + "c0ffee00~600"


def found(*versions, **options):
    verdict = judge(machine(**options), life(*versions))
    return [(one.breach, one.detail) for one in verdict.findings]


RIGHT = {
    "completed": [(10, claimed()), (20, DONE)],
    "completed late, unchallenged": [(10, claimed()), (5000, DONE)],
    "renewed": [(10, claimed()), (500, {}), (1000, DONE)],
    "failed": [(10, claimed()), (20, {"state": "failed", "error": "x"})],
    "finished with a word of its own": [(10, claimed()), (20, {"state": "review"})],
    "set aside by a person": [(10, claimed()), (20, {"state": "hold", "RMB": "bob"})],
    "released": [(10, claimed()), (20, {**FREE, "attempts": 0})],
    "tried again later": [
        (10, claimed()), (20, {**FREE, "error": "x", "retry_at": LATER}),
        (3700, claimed(OTHER, attempts=2)), (3800, DONE),
    ],
    "rescued": [(10, claimed()), (700, FREE), (710, claimed(OTHER, attempts=2))],
    "rescued by another login": [(10, claimed()), (700, {**FREE, "RMB": "bob"})],
    "given up": [
        (5, {"attempts": 2}), (10, claimed(attempts=3)),
        (700, {"state": "failed", "owner": None}),
    ],
    "retried": [
        (10, claimed()), (20, {"state": "failed"}), (30, {**FREE, "attempts": 0}),
        (40, claimed(OTHER)),
    ],
    "set back by hand, token and all": [
        (10, claimed()), (20, DONE), (30, {"state": "actionable"}),
        (40, claimed(OTHER, attempts=1)),
    ],
    "edited and kept": [(10, claimed()), (20, {"priority": 5}), (30, DONE)],
    "a daemon without tokens": [
        (10, claimed("robot")), (20, {**DONE, "owner": None, "attempts": 7}),
    ],
    "a daemon that leaves a token of before": [
        (10, claimed()), (20, DONE), (30, {"state": "actionable"}),
        (40, {"state": "claimed", "RMB": "bob"}), (50, {**DONE, "RMB": "bob"}),
    ],
    "a daemon that ends late what was taken from it": [
        (10, {"state": "claimed", "RMB": "bob"}), (20, FREE), (30, claimed(OTHER)),
        (40, {**DONE, "RMB": "bob"}),
    ],
    "another queue's": [(10, {"state": "queued"}), (20, claimed(OURS)), (30, DONE)],
    "by a plan": [(10, DONE), (20, {"state": "review"}), (30, FREE)],
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_what_the_machine_allows_is_not_named(name):
    assert found(*RIGHT[name]) == []


WRONG = {
    "a claim over a claim": (
        Breach.TWO_HOLDERS, "another held it, 510 s before its lease ended",
        [(10, claimed()), (100, claimed(OTHER, attempts=2))],
    ),
    "a daemon's claim taken": (
        Breach.TWO_HOLDERS, "claimed while another held it",
        [(10, claimed("robot")), (100, claimed(OTHER))],
    ),
    "a token used twice": (
        Breach.TWO_HOLDERS, "used for another claim",
        [(10, claimed()), (20, {**FREE, "attempts": 0}), (30, claimed())],
    ),
    "an overdue claim taken without a rescue": (
        Breach.NO_RIGHT, "lease was over, not rescued",
        [(10, claimed()), (1000, claimed(OTHER, attempts=2))],
    ),
    "finished without a token": (
        Breach.NO_TOKEN, "expected that of worker, found none",
        [(10, claimed()), (20, {**DONE, "owner": None})],
    ),
    "finished with another's token": (
        Breach.NO_TOKEN, "found another",
        [(10, claimed()), (20, {**DONE, "owner": OTHER})],
    ),
    "claimed when done": (
        Breach.NO_RIGHT, "claimed from 'complete', which is not ready",
        [(10, DONE), (20, claimed())],
    ),
    "freed before its time": (
        Breach.NO_RIGHT, "freed, 590 s before its lease ended",
        [(10, claimed()), (20, FREE)],
    ),
    "finished by a stranger": (
        Breach.NO_RIGHT, "set to 'complete' by who did not hold it",
        [(10, claimed()), (20, {**DONE, "RMB": "bob"})],
    ),
    "set back by hand while it was held": (
        Breach.NO_RIGHT, "set to 'actionable' by who did not hold it",
        [(10, claimed()), (20, {"state": "actionable", "RMB": "bob"})],
    ),
    "given up while it was held": (
        Breach.NO_RIGHT, "freed, 590 s before",
        [(10, claimed()), (20, {"state": "failed", "owner": None})],
    ),
    "claimed before its time to try again": (
        Breach.NO_RIGHT, "before it was due again",
        [(10, {"retry_at": LATER}), (20, claimed())],
    ),
    "claimed for an attempt too many": (
        Breach.NO_RIGHT, "claimed for attempt 4 of 3",
        [(10, {"attempts": 3}), (20, claimed(attempts=4))],
    ),
    "an edit overwritten": (
        Breach.OVERWRITTEN, "of priority, made while the row was held",
        [(10, claimed()), (20, {"priority": 5}), (30, {**DONE, "priority": 1})],
    ),
    "an attempt that was not counted": (
        Breach.ATTEMPTS, "expected 1 at the claim, found 0",
        [(10, claimed(attempts=0))],
    ),
    "an attempt counted at the end": (
        Breach.ATTEMPTS, "expected 1 to stay at the end, found 2",
        [(10, claimed()), (20, {**DONE, "attempts": 2})],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_it_does_not_allow_is_named_once(name):
    breach, words, versions = WRONG[name]

    [(one, detail)] = found(*versions)

    assert one is breach
    assert words in detail


def test_a_put_that_was_halved_shares_a_token_between_rows():
    one = life((10, claimed()), (20, DONE), rid="1-A")
    other = life((11, claimed()), (20, DONE), rid="1-B")
    both = replace(one, by_rid={**one.by_rid, **other.by_rid})

    assert judge(machine(), both).findings == ()
    stolen = life((11, claimed(RMB="bob")), (20, {**DONE, "RMB": "bob"}), rid="1-B")
    both = replace(one, by_rid={**one.by_rid, **stolen.by_rid})
    assert [f.breach for f in judge(machine(), both).findings] == [Breach.TWO_HOLDERS]


def test_what_was_claimed_before_the_period_is_judged_by_its_token_alone():
    whole = life((10, claimed()), (20, {**DONE, "RMB": "bob"}))
    versions = whole.by_rid["1-A"]
    later = replace(
        whole,
        period=replace(whole.period, since=at(15)),
        by_rid={"1-A": versions[1:]},
    )

    verdict = judge(machine(), later)

    assert verdict.findings == ()
    assert (verdict.steps, verdict.claims) == (1, 0)


def test_a_claim_under_a_token_of_before_has_no_lease():
    versions = life(
        (10, claimed()), (20, DONE), (30, {"state": "actionable"}),
        (40, {"state": "claimed"}),
    )  # fmt: skip

    assert judge(machine(), versions).tokenless == {"1-A"}


def test_orphans_are_claims_whose_own_lease_is_over():
    def row(rid, owner):
        return {"RID": rid, "RMT": at(0).isoformat(), "RMB": "ada", "owner": owner}

    held = [row("1-A", TOKEN), row("1-B", "robot"), row("1-C", OURS)]

    assert [one.rid for one in orphans(machine(), held, at(700))] == ["1-A"]
    assert orphans(machine(), held, at(500)) == []


@pytest.mark.parametrize(
    ("before", "after", "missing"),
    [
        ({}, claimed(), False),
        ({}, claimed(attempts=2), True),
        ({}, DONE, True),
        ({}, {}, True),
        (claimed(), DONE, False),
        (claimed(), {**DONE, "owner": OTHER}, True),
        (claimed(), {}, False),
        (claimed(), {"owner": OTHER}, True),
        (claimed(), FREE, False),
        (DONE, claimed(OTHER), True),
        (DONE, {"priority": 1}, False),
        ({"state": "failed"}, {**FREE, "attempts": 0}, False),
    ],
)
def test_a_step_that_is_none_of_one_write_shows_that_something_is_missing(
    before, after, missing
):
    versions = life((10, before), (20, after)).by_rid["1-A"]

    assert may_miss(machine(), versions[1], versions[2]) is missing


def test_the_first_version_of_all_has_none_before_it():
    first, second = life((10, {})).by_rid["1-A"]

    assert not may_miss(machine(), None, first)
    assert may_miss(machine(), None, second)

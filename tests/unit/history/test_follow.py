from __future__ import annotations

from dataclasses import replace

import pytest

from ermpoll.history import ClaimEnd, StepKind
from ermpoll.history.follow import claims_of, follow
from tests.helpers.lives import OTHER, TOKEN, at, claimed, life, machine

FAILED = {"state": "failed", "error": "no disk"}
FREE = {"state": "actionable", "owner": None}


def kinds(*versions, **options):
    found = life(*versions)
    return [one.kind for one in follow(machine(**options), found.steps(), None)]


def ends(*versions, until=1000.0, **options):
    found = life(*versions)
    declared = machine(**options)
    followed = list(follow(declared, found.steps(), None))
    return claims_of(declared, followed, at(until), None)


def test_a_row_that_is_claimed_renewed_and_completed_says_so():
    told = kinds((10, claimed()), (20, {}), (30, {"state": "complete", "result": "x"}))

    assert told == [
        StepKind.BORN, StepKind.CLAIMED, StepKind.RENEWED, StepKind.COMPLETED,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("after", "kind"),
    [
        ({"state": "complete"}, StepKind.COMPLETED),
        ({"state": "review"}, StepKind.COMPLETED),
        ({"state": "review", "RMB": "bob"}, StepKind.BY_HAND),
        (FAILED, StepKind.FAILED),
        ({**FAILED, "owner": None}, StepKind.GIVEN_UP),
        ({**FREE, "attempts": 0}, StepKind.RELEASED),
        ({**FREE, "error": "no disk"}, StepKind.LATER),
        ({**FREE, "retry_at": "2026-03-01T13:00:00+00:00"}, StepKind.LATER),
        (FREE, StepKind.RESCUED),
        ({"state": "actionable"}, StepKind.BY_HAND),
        ({"owner": OTHER}, StepKind.OVERTAKEN),
        ({"owner": None}, StepKind.EDITED),
        ({"priority": 3}, StepKind.EDITED),
        ({}, StepKind.RENEWED),
    ],
)
def test_a_step_out_of_a_claim_is_told_by_what_it_wrote(after, kind):
    assert kinds((10, claimed()), (20, after))[-1] is kind


def test_without_an_attempts_column_what_is_given_back_is_told_by_its_lease():
    back = {**FREE}

    assert kinds((10, claimed()), (20, back), attempts=None)[-1] is StepKind.RELEASED
    assert kinds((10, claimed()), (900, back), attempts=None)[-1] is StepKind.RESCUED


@pytest.mark.parametrize(
    ("first", "then", "kind"),
    [
        (FAILED, {**FREE, "attempts": 0}, StepKind.RETRIED),
        (FAILED, {"priority": 1}, StepKind.EDITED),
        ({"state": "complete"}, FREE, StepKind.BY_HAND),
        ({"state": "complete"}, claimed(), StepKind.CLAIMED),
        ({"priority": 2}, FAILED, StepKind.REJECTED),
        ({"priority": 2}, {"state": "hold"}, StepKind.BY_HAND),
    ],
)
def test_steps_of_rows_that_nobody_holds_have_their_words(first, then, kind):
    assert kinds((10, first), (20, then))[-1] is kind


def test_a_deleted_row_ends_its_claim():
    found = life((10, claimed()))
    found = replace(found, deleted={"1-A": at(20)})
    followed = list(follow(machine(), found.steps(), None))
    [claim] = claims_of(machine(), followed, at(20), None)

    assert followed[-1].kind is StepKind.DELETED
    assert (claim.end, claim.until) == (ClaimEnd.DELETED, at(20))


def test_each_claim_is_told_with_its_token_and_how_it_ended():
    first, second, third = ends(
        (10, claimed()),
        (20, {**FREE, "error": "no disk"}),
        (30, claimed(OTHER, attempts=2)),
        (40, {"owner": TOKEN}),
    )

    assert (first.end, first.reason) == (ClaimEnd.LATER, "no disk")
    assert (first.agent, first.token, first.lease_s) == ("worker", TOKEN, 600)
    assert (first.since, first.until, first.by) == (at(10), at(20), "ada")
    assert (second.end, second.until) == (ClaimEnd.OVERTAKEN, at(40))
    assert (third.end, third.until) == (ClaimEnd.ORPHANED, None)


def test_a_claim_runs_for_as_long_as_its_lease():
    assert ends((10, claimed()), until=600)[0].end is ClaimEnd.RUNNING
    assert ends((10, claimed()), (500, {}), until=1000)[0].end is ClaimEnd.RUNNING
    assert ends((10, claimed()), until=611)[0].end is ClaimEnd.ORPHANED


def test_a_claim_of_a_daemon_without_a_lease_never_counts_as_orphaned():
    [claim] = ends((10, claimed("robot")), until=99_999)

    assert (claim.end, claim.agent, claim.lease_s) == (ClaimEnd.RUNNING, "robot", None)


def test_a_claim_from_before_what_was_read_is_marked_so():
    found = life((10, claimed()), (20, {"state": "complete"}))
    versions = found.by_rid["1-A"]
    later = replace(
        found,
        period=replace(found.period, since=at(15)),
        by_rid={"1-A": versions[1:]},
    )
    known = versions[1]
    followed = list(follow(machine(), later.steps(), known))
    [claim] = claims_of(machine(), followed, at(100), known)

    assert [one.kind for one in followed] == [StepKind.COMPLETED]
    assert (claim.end, claim.whole) == (ClaimEnd.COMPLETED, False)


def test_edits_of_others_under_a_claim_are_known():
    found = life((10, claimed()), (20, {"priority": 5}), (30, {}), (40, {"error": "x"}))

    followed = list(follow(machine(), found.steps(), None))

    assert followed[-1].after.edits == {"priority": 5}


def test_who_claimed_is_not_known_where_a_version_may_be_missing():
    found = life((10, claimed()), (20, {"priority": 5}))
    versions = found.by_rid["1-A"]
    unsure = replace(found, unsure=frozenset({("1-A", versions[1].at)}))

    surely = list(follow(machine(), found.steps(), None))
    perhaps = list(follow(machine(), unsure.steps(), None))

    assert surely[-1].after.by == "ada"
    assert perhaps[-1].after.by is None

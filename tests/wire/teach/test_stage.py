from __future__ import annotations

from collections import Counter

import pytest

import ermpoll
from ermpoll.errors import UsageError
from ermpoll.teach.script import Act, ClaimGuard, End, Heard, Story
from ermpoll.teach.stage import stage_of

ONE, BOTH, STALE, TURNS = End.ONE, End.BOTH, End.STALE, End.TURNS
#: How all orders end, by the guard and Ann's story; Bob claims.
ENDS = {
    (ClaimGuard.NONE, Story.CLAIMS): {BOTH: 4, ONE: 2},
    (ClaimGuard.NONE, Story.ABORTED): {BOTH: 8, ONE: 2},
    (ClaimGuard.NONE, Story.LOST): {BOTH: 6, ONE: 3},
    (ClaimGuard.NONE, Story.BACK): {BOTH: 4, ONE: 2, STALE: 2, TURNS: 1},
    (ClaimGuard.STATE, Story.CLAIMS): {ONE: 6},
    (ClaimGuard.STATE, Story.ABORTED): {ONE: 10},
    (ClaimGuard.STATE, Story.LOST): {ONE: 12},
    (ClaimGuard.STATE, Story.BACK): {ONE: 6, STALE: 2, TURNS: 1},
    (ClaimGuard.ETAG, Story.CLAIMS): {ONE: 6},
    (ClaimGuard.ETAG, Story.ABORTED): {ONE: 10},
    (ClaimGuard.ETAG, Story.LOST): {ONE: 12},
    (ClaimGuard.ETAG, Story.BACK): {ONE: 8, TURNS: 1},
    (ClaimGuard.VERSION, Story.CLAIMS): {ONE: 6},
    (ClaimGuard.VERSION, Story.ABORTED): {ONE: 10},
    (ClaimGuard.VERSION, Story.LOST): {ONE: 12},
    (ClaimGuard.VERSION, Story.BACK): {ONE: 8, TURNS: 1},
}


def test_a_guard_decides_in_how_many_orders_a_single_worker_wins(stage):
    ends = {
        (guard, story): dict(
            Counter(one.end for one in stage.play_all(guard, (story, Story.CLAIMS)))
        )
        for guard, story in ENDS
    }

    assert ends == ENDS


@pytest.mark.parametrize(("order", "who"), [("abab", "ann"), ("abba", "bob")])
def test_a_claim_is_written_under_the_workers_own_login(stage, races, order, who):
    calm = Story.CLAIMS, Story.CLAIMS
    rid = stage.play(ClaimGuard.VERSION, calm, order).played.rid

    [_, claimed] = [one for one in races.log if one.rows and one.rows[0].rid == rid]
    assert claimed.who == races.users[who]
    assert claimed.rows[0].after["Owner"].startswith(f"{who.capitalize()}~")


def test_a_lost_answer_is_written_and_found_again_by_its_token(stage):
    played = stage.play(ClaimGuard.VERSION, (Story.LOST, Story.CLAIMS), "aaaa").played

    assert [step.act for step in played.steps] == [
        Act.READ,
        Act.CLAIM,
        Act.AGAIN,
        Act.ASK,
    ]
    assert [step.heard for step in played.steps] == [
        Heard.FREE,
        Heard.DOUBT,
        Heard.TOO_LATE,
        Heard.WON,
    ]
    lost = played.steps[1]
    assert (lost.before.state, lost.after.state) == ("new", "in progress")


def test_a_503_changes_nothing_and_is_sent_again(stage):
    played = stage.play(ClaimGuard.NONE, (Story.ABORTED, Story.CLAIMS), "aaa").played

    refused = played.steps[1]
    assert (refused.heard, refused.before) == (Heard.NOTHING, refused.after)
    assert refused.answer == "503, Transaction aborted."
    assert played.winners == "a"


@pytest.mark.parametrize("order", ["aaa", "x", "aabbb"])
def test_a_step_that_there_is_not_is_refused(stage, order):
    with pytest.raises(UsageError, match="expected a worker with a step to make"):
        stage.play(ClaimGuard.NONE, (Story.CLAIMS, Story.CLAIMS), order)


def test_a_catalog_of_no_sandbox_is_refused_before_anything_is_sent(races):
    real = ermpoll.connect("https://catalog.example.org/ermrest/catalog/1", {})

    with pytest.raises(UsageError, match="expected workers of a sandbox") as refused:
        stage_of(races.catalog(user="ann"), real)

    assert "catalog.example.org" in str(refused.value)
    assert races.log == ()


def test_workers_of_two_sandboxes_are_refused(races):
    ann = races.catalog(user="ann")

    with (
        ermpoll.sandbox.start(port=0) as other,
        pytest.raises(UsageError, match="found two sandboxes"),
    ):
        stage_of(ann, other.catalog())


def test_a_sandbox_that_was_stopped_is_none(races):
    with ermpoll.sandbox.start(port=0) as other:
        left = other.catalog()

    with pytest.raises(UsageError, match="expected workers of a sandbox"):
        stage_of(left, left)


@pytest.mark.parametrize("worker", ["ann", None, 3])
def test_what_is_no_worker_is_named(worker):
    with pytest.raises(UsageError, match="expected a worker's catalog"):
        stage_of(worker, worker)


def test_queues_will_do_and_one_login_is_told_apart(races):
    made = stage_of(races.jobs(), races.jobs())

    assert made.names == ("Ada Lovelace 1", "Ada Lovelace 2")

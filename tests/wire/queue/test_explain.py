from __future__ import annotations

from datetime import timedelta

import ermpoll
from ermpoll.catalog.clock import time_text
from tests.helpers.tables import add, edit, queue, read

NEW = {"state": "actionable"}


def test_why_says_in_a_sentence_what_keeps_a_row(catalog):
    later = time_text(catalog.now() + timedelta(minutes=10))
    ok, wait, used, done, failed, other, filtered, held, legacy = add(
        catalog,
        {**NEW, "hold": False},
        {**NEW, "hold": False, "retry_at": later},
        {**NEW, "hold": False, "attempts": 3},
        {"state": "complete"},
        {"state": "failed"},
        {"state": "review"},
        {**NEW, "hold": True},
        {**NEW, "hold": False, "priority": 99},
        {"state": "claimed", "owner": "robot"},
    )
    jobs = queue(catalog, where="hold=false")
    jobs.claim(rows=[held])

    told = {
        ok: "nothing keeps the next claim",
        wait: "waits another 10 min to retry",
        used: "attempts are used up (3 of 3)",
        done: "is done",
        failed: "has failed",
        other: "state is 'review', not actionable",
        filtered: "the filter hold=false does not hold",
        held: "for another 10 min",
        legacy: "without a lease",
        "1-NONE": "is not there",
    }
    for rid, words in told.items():
        assert words in jobs.why(rid)
        assert jobs.why(rid).startswith(rid)


def test_why_tells_the_error_the_attempts_and_when_of_a_failure(catalog):
    plain, worded = add(catalog, NEW, {"state": "error: no\x1b[2J disk"})
    jobs = queue(catalog)
    jobs.fail(jobs.claim(1), {plain: ValueError("bad\nimage")})

    told = jobs.why(plain)

    assert "ValueError: bad image, after 1 of 3 attempts, last written 20" in told
    assert "retry() makes it actionable" in told
    bare = ermpoll.Queue(catalog, "Ops:Job", failed="error: {error}")
    assert "disk" in bare.why(worded)
    assert "\x1b" not in bare.why(worded)


def test_why_tells_who_holds_a_row_until_when_and_what_frees_it(catalog):
    mine, daemon, older = add(
        catalog,
        NEW,
        {"state": "claimed", "owner": "robot 7"},
        {"state": "claimed", "owner": "old~0123456789abcdef~0"},
    )
    jobs = queue(catalog)
    jobs.claim(rows=[mine])

    assert "UTC unless it is renewed; its holder frees it" in jobs.why(mine)
    told = jobs.why(daemon)
    assert "claimed by robot 7 without a lease" in told
    assert "after another 10 min rescue() frees it" in told
    assert "force=True" in told
    assert "no agent frees it by itself" in jobs.why(older)


def test_a_row_set_back_by_hand_is_taken_and_its_attempts_begin_anew(catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog, max_attempts=1)
    jobs.fail(jobs.claim(1), {rid: "bad"})
    edit(catalog, rid, state="actionable")
    assert "nothing keeps" in jobs.why(rid)

    claim = jobs.claim(1)

    assert (claim.rids, read(catalog, rid)["attempts"]) == ((rid,), 1)
    jobs.release(claim)
    assert read(catalog, rid)["attempts"] == 0


def test_without_an_owner_column_a_row_set_back_by_hand_is_not_taken(catalog):
    [rid] = add(catalog, {**NEW, "attempts": 3})
    jobs = ermpoll.Queue(catalog, "Ops:Job", attempts="attempts")

    assert jobs.claim(1).rids == ()
    assert "set attempts to 0" in jobs.why(rid)

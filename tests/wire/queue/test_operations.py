from __future__ import annotations

import logging

import pytest

import ermpoll
from ermpoll.errors import UsageError
from tests.helpers.conditions import let_pass, wait_until
from tests.helpers.tables import add, edit, queue, read

NEW = {"state": "actionable"}


def test_a_claim_writes_state_owner_and_attempt(catalog):
    [rid] = add(catalog, {**NEW, "attempts": 1})

    claim = queue(catalog).claim(1)

    row = read(catalog, rid)
    assert (row["state"], row["owner"], row["attempts"]) == ("claimed", claim.token, 2)
    assert claim.token.endswith("~600")
    assert claim.rows[0]["attempts"] == 2


def test_a_claim_is_empty_when_there_is_nothing(catalog):
    claim = queue(catalog).claim(3)

    assert (len(claim), claim.token, list(claim)) == (0, None, [])


def test_every_claim_has_a_token_of_its_own(catalog):
    add(catalog, *[NEW] * 3)
    jobs = queue(catalog)

    assert len({jobs.claim(1).token for _ in range(3)}) == 3


def test_a_claim_takes_extra_changes_with_it(catalog):
    left, taken = add(catalog, {**NEW, "hold": True}, NEW)

    claim = queue(catalog).claim(
        5, transform=lambda row: None if row["hold"] else {"priority": 7}
    )

    assert claim.rids == (taken,)
    assert (read(catalog, taken)["priority"], read(catalog, left)["state"]) == (
        7,
        "actionable",
    )


def test_a_transform_that_raises_claims_nothing(catalog):
    rids = add(catalog, NEW, NEW)
    before = catalog.writes

    with pytest.raises(ermpoll.TransformError, match="KeyError") as caught:
        queue(catalog).claim(2, transform=lambda row: row["nosuch"])

    assert (caught.value.rid, catalog.writes) == (rids[0], before)


@pytest.mark.parametrize("changes", [{"state": "x"}, {"nosuch": 1}, ["list"]])
def test_extra_changes_that_cant_be_are_refused(catalog, changes):
    add(catalog, NEW)

    with pytest.raises(UsageError, match="nothing was written"):
        queue(catalog).claim(1, transform=lambda row: changes)


def test_a_with_block_releases_what_is_unfinished(catalog):
    a, b = add(catalog, NEW, {**NEW, "attempts": 1})
    jobs = queue(catalog)

    with jobs.claim(2) as claim:
        jobs.complete(claim, {a: {"result": "r"}})

    row = read(catalog, b)
    assert (row["state"], row["owner"], row["attempts"]) == ("actionable", None, 1)
    assert read(catalog, a)["state"] == "complete"


def test_a_released_row_goes_back_to_the_word_it_came_from(catalog):
    a, b = add(catalog, {"state": None}, {"state": "again"})

    with queue(catalog, ready=["again", None]).claim(2):
        pass

    assert (read(catalog, a)["state"], read(catalog, b)["state"]) == (None, "again")


def test_two_claims_of_one_row_have_one_winner(catalog):
    [rid] = add(catalog, NEW)
    first, second = queue(catalog), queue(catalog)
    plans = [first.plan(), second.plan()]

    assert [plan.apply().won for plan in plans] == [(rid,), ()]


def test_complete_names_the_rows_that_stay_claimed(catalog):
    a, b = add(catalog, NEW, NEW)
    jobs = queue(catalog)
    claim = jobs.claim(2)

    outcome = jobs.complete(claim, {a: None})

    assert (outcome.won, outcome.still_claimed) == ((a,), (b,))
    assert (claim.unfinished, read(catalog, a)["owner"]) == ((b,), claim.token)


@pytest.mark.parametrize("word", ["actionable", "claimed"])
def test_complete_refuses_a_state_that_does_not_finish(catalog, word):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog)
    claim = jobs.claim(1)

    with pytest.raises(UsageError, match="state"):
        jobs.complete(claim, {rid: {"state": word}})

    assert jobs.complete(claim, {rid: {"state": "review"}}).won == (rid,)


def test_a_row_that_the_claim_does_not_hold_is_refused(catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog)
    claim = jobs.claim(1)
    jobs.complete(claim)

    with pytest.raises(UsageError, match=f"{rid} is finished"):
        jobs.fail(claim, {rid: "late"})
    with pytest.raises(UsageError, match="not part of this claim"):
        jobs.complete(claim, {"1-XXXX": {}})


def test_fail_writes_word_and_reason_and_cuts_what_does_not_fit(catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog)

    jobs.fail(jobs.claim(1), {rid: "bad\0 \ud800" + "x" * 9000})

    row = read(catalog, rid)
    assert row["state"] == "failed"
    assert row["error"].startswith("bad �xxx")
    assert len(row["error"]) == 4000


def test_a_claim_that_was_taken_over_writes_nothing(catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog)
    first = jobs.claim(1)
    jobs.rescue([rid], force=True)
    second = jobs.claim(1)

    for act in (jobs.complete, jobs.release, jobs.renew):
        outcome = act(first) if first.unfinished else None
        assert outcome is None or outcome.lost == (rid,)

    assert read(catalog, rid)["owner"] == second.token


def test_a_holder_writes_nothing_once_its_lease_is_over(catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog, lease_s=1)
    claim = jobs.claim(1)
    wait_until(jobs.stale)
    before = catalog.writes

    outcome = jobs.complete(claim)

    assert outcome.lost == (rid,)
    assert "lease was over" in outcome.reasons[rid]
    assert catalog.writes == before


def test_renewing_makes_the_lease_begin_anew(catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog, lease_s=1.5)
    claim = jobs.claim(1)

    for _ in range(3):
        let_pass(0.8)
        assert jobs.renew(claim).won == (rid,)

    assert jobs.complete(claim).won == (rid,)


def test_retry_makes_failed_rows_ready_and_no_others(catalog):
    bad, done = add(
        catalog,
        {"state": "failed", "attempts": 3, "owner": "x", "error": "e"},
        {"state": "complete"},
    )
    jobs = queue(catalog)

    outcome = jobs.retry([bad, done, "1-NONE"])

    row = read(catalog, bad)
    assert (row["state"], row["attempts"], row["owner"]) == ("actionable", 0, None)
    assert outcome.won == (bad,)
    assert outcome.reasons == {
        done: "is not failed: state is 'complete'",
        "1-NONE": "is gone",
    }


def test_rescue_frees_only_what_is_overdue_unless_forced(catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog)
    jobs.claim(1)

    held = jobs.rescue([rid])
    assert (held.won, held.lost) == ((), (rid,))
    assert "force=True" in held.reasons[rid]
    assert jobs.rescue([rid], force=True).won == (rid,)
    assert read(catalog, rid)["state"] == "actionable"


def test_rescue_leaves_a_row_that_was_touched_since_it_was_listed(catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog, lease_s=1)
    jobs.claim(1)
    listed = wait_until(jobs.stale)
    edit(catalog, rid, priority=1)
    wait_until(jobs.stale)

    outcome = jobs.rescue(listed)

    assert (listed.rids, outcome.won, outcome.lost) == ((rid,), (), (rid,))


def test_rescue_at_the_last_attempt_writes_failed(catalog):
    [rid] = add(catalog, {**NEW, "attempts": 2})
    jobs = queue(catalog)
    jobs.claim(1)

    jobs.rescue([rid], force=True)

    row = read(catalog, rid)
    assert (row["state"], row["attempts"]) == ("failed", 3)
    assert "given up after 3 attempts" in row["error"]


@pytest.mark.parametrize("form", ["rids", "rows", "frame", "indexed", "candidates"])
def test_rows_may_be_handed_over_in_every_form(catalog, form):
    rids = add(catalog, {"state": "failed"}, {"state": "failed"})
    jobs = queue(catalog)
    listed = jobs.failures()
    rows = {
        "rids": rids,
        "rows": listed.rows,
        "frame": listed.frame,
        "indexed": listed.frame.set_index("RID"),
        "candidates": listed,
    }[form]

    assert sorted(jobs.retry(rows).won) == sorted(rids)


@pytest.mark.parametrize("rows", [5, [5], {"a": 1}])
def test_what_are_no_rows_is_refused(catalog, rows):
    with pytest.raises(UsageError, match="expected rows as RIDs"):
        queue(catalog).retry(rows)


def test_acts_are_audited_without_values(catalog, caplog):
    caplog.set_level(logging.INFO, "ermpoll.audit")
    [rid] = add(catalog, {**NEW, "name": "confidential"})
    jobs = queue(catalog)

    jobs.plan(lambda row: {"state": "hold", "result": "confidential"}).apply()

    [record] = [r for r in caplog.records if r.name == "ermpoll.audit"]
    assert (record.event, record.table, record.rids) == ("apply", "Ops:Job", (rid,))
    assert "confidential" not in caplog.text


def test_retry_leaves_a_row_that_was_touched_since_it_was_listed(catalog):
    edited, other = add(catalog, {"state": "failed"}, {"state": "failed"})
    jobs = queue(catalog)
    listed = jobs.failures()
    edit(catalog, edited, name="looked at")

    outcome = jobs.retry(listed.frame)

    assert (outcome.won, outcome.lost) == ((other,), (edited,))
    assert read(catalog, edited)["state"] == "failed"


# what is told


@pytest.mark.parametrize("lost", [0, 1], ids=["answered", "read back"])
def test_a_claim_is_in_the_queues_order(box, catalog, lost):
    low, high, middle = add(
        catalog,
        {**NEW, "priority": 1},
        {**NEW, "priority": 9},
        {**NEW, "priority": 5},
    )
    jobs = queue(catalog, order="priority::desc::")
    box.faults(drop_reply=lost, methods=("PUT",))

    claim = jobs.claim(3)

    assert claim.rids == (high, middle, low)
    assert [row["priority"] for row in claim] == [9, 5, 1]
    assert jobs.complete(claim).won == (high, middle, low)


def test_a_claim_passes_over_what_the_catalog_refuses(catalog):
    bad, good = add(catalog, NEW, NEW)
    wrong = "2026-02-30T00:00:00+00:00"

    claim = queue(catalog).claim(
        1, transform=lambda row: {"retry_at": wrong if row["RID"] == bad else None}
    )

    assert (claim.rids, list(claim.refused), claim.error) == ((good,), [bad], None)
    assert claim.outcome.reasons == dict(claim.refused)


def test_the_audit_says_what_the_outcome_says(catalog, caplog):
    caplog.set_level(logging.INFO, "ermpoll.audit")
    bad, done = add(catalog, {"state": "failed"}, {"state": "complete"})
    jobs = queue(catalog)

    outcomes = [jobs.retry([bad, done]), jobs.rescue([done])]

    for outcome, record in zip(outcomes, caplog.records, strict=True):
        assert (record.rids, record.lost) == (outcome.won, outcome.lost)
        assert f"{len(outcome.won)} won, 1 lost" in record.getMessage()


def test_rows_of_a_claim_are_copies_all_the_way_down(catalog):
    [rid] = add(catalog, {**NEW, "tags": ["a"], "data": {"k": [1]}})
    jobs = queue(catalog)
    claim = jobs.claim(1)

    [row] = claim
    row["tags"].append("b")
    row["data"]["k"].append(2)

    assert (claim.rows[0]["tags"], claim.rows[0]["data"]) == (["a"], {"k": [1]})
    jobs.complete(claim, {rid: {"tags": row["tags"], "data": row["data"]}})
    assert read(catalog, rid)["tags"] == ["a", "b"]
    assert read(catalog, rid)["data"] == {"k": [1, 2]}

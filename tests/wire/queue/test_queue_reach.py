"""A queue's acts reach only rows of its own path, filter and ready words."""

from __future__ import annotations

from contextlib import closing

import pytest

import ermpoll
from ermpoll.errors import UsageError
from tests.helpers.conditions import wait_until
from tests.helpers.tables import OPTIONAL, add, edit, make_table, queue, read

NEW = {"state": "actionable"}


def overdue(jobs: ermpoll.Queue, *rids: str) -> None:
    """Wait until these rows' leases are over."""
    wait_until(lambda: set(rids) <= set(jobs.stale().rids))


def joined(catalog: ermpoll.Catalog) -> tuple[ermpoll.Queue, str, str]:
    """A queue by a path over another table, a row it finds and one it doesn't."""
    make_table(catalog, {"job": "text", "state": "text"}, name="Check")
    mine, other = add(catalog, NEW, NEW)
    add(catalog, {"job": mine, "state": "ok"}, {"job": mine, "state": "ok"},
        {"job": other, "state": "bad"}, table="Check")  # fmt: skip
    path = "M:=Ops:Job/(RID)=(Ops:Check:job)/state=ok/$M"
    return queue(catalog, path=path, lease_s=1), mine, other


def test_a_rescued_row_goes_back_to_the_word_it_came_from(catalog):
    words = ["actionable", None, "again"]
    rids = add(catalog, *({"state": word} for word in words))
    jobs = queue(catalog, ready=["again", "actionable", None], lease_s=1)
    jobs.claim(3)
    overdue(jobs, *rids)

    assert set(jobs.rescue(rids).won) == set(rids)
    assert [read(catalog, rid)["state"] for rid in rids] == words


def test_a_retried_row_goes_back_to_the_word_it_came_from(catalog):
    [rid] = add(catalog, {"state": "again"})
    jobs = queue(catalog, ready=["actionable", "again"])
    jobs.fail(jobs.claim(1), {rid: "bad"})

    assert jobs.retry([rid]).won == (rid,)
    assert read(catalog, rid)["state"] == "again"


def test_a_row_with_an_older_token_is_rescued_by_a_person_to_the_first_word(catalog):
    owner = "gone~0123456789abcdef~1"
    [rid] = add(catalog, {"state": "claimed", "owner": owner})
    jobs = queue(catalog, ready=["first", "second"])
    overdue(jobs, rid)

    assert jobs.rescue([rid]).won == (rid,)
    assert read(catalog, rid)["state"] == "first"


@pytest.mark.parametrize("force", [False, True])
def test_a_row_that_another_queue_has_claimed_is_left_alone(catalog, force):
    [rid] = add(catalog, {"state": "stage 2"})
    other = queue(catalog, ready="stage 2", lease_s=1)
    mine = queue(catalog, lease_s=1)
    other.claim(1)
    overdue(mine, rid)

    outcome = mine.rescue([rid], force=force)

    assert outcome.won == ()
    assert "another queue" in outcome.reasons[rid]
    assert "another queue" in mine.held().outside[rid]
    assert "another queue" in mine.why(rid)
    assert other.held().outside == {}
    assert other.rescue([rid]).won == (rid,)
    assert read(catalog, rid)["state"] == "stage 2"


def test_a_failure_of_another_queue_is_not_retried(catalog):
    [rid] = add(catalog, {"state": "stage 2"})
    other, mine = queue(catalog, ready="stage 2"), queue(catalog)
    other.fail(other.claim(1), {rid: "bad"})

    outcome = mine.retry(mine.failures())

    assert "another queue" in outcome.reasons[rid]
    assert other.retry([rid]).won == (rid,)


def test_a_row_of_an_earlier_stage_is_no_stranger_to_the_next(catalog):
    [rid] = add(catalog, NEW)
    first = queue(catalog, done="stage 2")
    second = queue(catalog, ready="stage 2")
    first.complete(first.claim(1))

    claim = second.claim(1)

    assert claim.rids == (rid,)
    assert second.complete(claim).won == (rid,)


def test_an_agent_rescues_only_rows_that_its_own_queue_claimed(catalog):
    narrow = {"where": "hold=false", "lease_s": 1}
    mine = queue(catalog, **narrow)
    rids = add(
        catalog,
        {**NEW, "hold": False, "name": "mine"},
        {"state": "stage 2", "hold": False, "name": "another's"},
        {**NEW, "hold": True, "name": "outside"},
        {"state": "claimed", "hold": False, "owner": "old~0123456789abcdef~1"},
        {"state": "claimed", "hold": False, "owner": "a daemon"},
    )
    mine.claim(5)
    queue(catalog, ready="stage 2", **narrow).claim(5)
    queue(catalog, where="hold=true", lease_s=1).claim(5)
    overdue(mine, *rids[:4])

    with closing(catalog):
        ermpoll.Agent(mine, lambda row: None).run(until_idle=True)

    assert [read(catalog, rid)["state"] for rid in rids] == ["complete"] + [
        "claimed"
    ] * 4


def test_rows_outside_the_filter_are_listed_marked_and_left_alone(catalog):
    inside, outside = add(
        catalog, {**NEW, "hold": False, "name": "a"}, {**NEW, "hold": True}
    )
    mine = queue(catalog, where="owner::null::/hold=false", lease_s=1)
    queue(catalog, lease_s=1).claim(2)
    overdue(mine, inside, outside)

    for listing in (mine.held(), mine.stale()):
        assert set(listing.rids) == {inside, outside}
        assert list(listing.outside) == [outside]
        assert "outside" in repr(listing)
        assert ">outside<" in listing._repr_html_()
    outcome = mine.rescue(mine.stale(), force=True)

    assert outcome.won == (inside,)
    assert outcome.reasons == {outside: "is outside this queue's filter"}
    assert read(catalog, outside)["state"] == "claimed"


def test_counts_failures_and_retry_know_the_filter_beside_own_columns(catalog):
    failed = {"state": "failed", "error": "e"}
    inside, outside = add(catalog, {**failed, "hold": False}, {**failed, "hold": True})
    mine = queue(catalog, where="error::null::&hold=false")

    assert mine.counts() == {"failed": 1}
    assert mine.failures().rids == (inside,)
    assert mine.retry([inside, outside]).won == (inside,)
    assert read(catalog, outside)["state"] == "failed"


def test_counts_failures_and_acts_know_the_path(catalog):
    jobs, mine, other = joined(catalog)
    whole = queue(catalog, lease_s=1)
    claim = whole.claim(2)
    overdue(jobs, mine, other)

    assert jobs.counts() == {"claimed": 1}
    assert list(jobs.held().outside) == [other]
    assert jobs.rescue([mine, other]).won == (mine,)
    assert (
        "outside this queue's path" in jobs.rescue([other], force=True).reasons[other]
    )
    for rid in claim.rids:
        edit(catalog, rid, state="failed")
    assert jobs.failures().rids == (mine,)
    assert jobs.retry([mine, other]).won == (mine,)


def test_a_plan_changes_no_row_outside_the_filter(catalog):
    inside, outside = add(catalog, {**NEW, "hold": False}, {**NEW, "hold": True})
    jobs = queue(catalog, where="hold=false")

    plan = jobs.plan(lambda row: {"state": "review"}, rows=[inside, outside])

    assert [(c.rid, c.reason) for c in plan.problems] == [
        (outside, "is outside this queue's filter")
    ]
    assert plan.apply().won == (inside,)


@pytest.mark.parametrize("name", ["state", "owner"])
def test_a_path_that_a_claimed_row_would_leave_is_refused(catalog, name):
    path = f"M:=Ops:Job/(RID)=(Ops:Check:job)/M:{name}=x/$M"
    make_table(catalog, {"job": "text", "state": "text"}, name="Check")

    with pytest.raises(UsageError, match=f"path: .*'{name}'"):
        ermpoll.Queue(catalog, "Ops:Job", path=path, **OPTIONAL)

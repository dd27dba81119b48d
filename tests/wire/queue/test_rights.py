"""Rows, columns and tables that a login may not write: said, passed over, listed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ermpoll.catalog.clock import ServerClock
from ermpoll.errors import Denied
from ermpoll.queue.guarded_put import Fate
from ermpoll.queue.set_aside import FIRST_S
from ermpoll.queue.writer import REFUSALS, by_then
from ermpoll.sandbox import Box
from tests.helpers.gate import Gate
from tests.helpers.guarded import BOB, TABLE, Place, guarded_box, place_in
from tests.helpers.tables import add, edit, read

NEW = {"state": "actionable"}


@pytest.fixture(scope="module")
def guarded() -> Iterator[Box]:
    with guarded_box() as box:
        yield box


@pytest.fixture
def place(guarded: Box) -> Iterator[Place]:
    with place_in(guarded) as place:
        yield place


# ---- rights that depend on the row


def test_a_claim_passes_over_rows_that_this_login_may_not_write(place):
    place.by_row()
    others = add(place.owner, *[{**NEW, "keeper": "eve"}] * 3)
    mine = add(place.owner, *[{**NEW, "keeper": BOB}] * 2)
    jobs = place.queue()

    claim = jobs.claim(1)

    assert claim.rids == (mine[0],)
    assert list(claim.refused) == others
    assert "no right to update this row" in claim.refused[others[0]]
    # it was asked for, not tried
    assert jobs.catalog.writes == 1
    assert jobs.complete(claim).won == claim.rids


def test_many_refused_rows_cost_few_requests(guarded, place):
    place.by_row()
    add(place.owner, *[{**NEW, "keeper": "eve"}] * 300)
    [mine] = add(place.owner, {**NEW, "keeper": BOB})
    jobs = place.queue()

    assert jobs.claim(1).rids == (mine,)
    assert jobs.catalog.writes == 1


def test_an_empty_claim_says_why(place):
    place.by_row()
    rids = add(place.owner, {**NEW, "keeper": "eve"})
    jobs = place.queue()

    claim = jobs.claim(5)

    assert (claim.rids, list(claim.refused)) == ((), rids)
    assert "1 refused" in repr(claim)


def test_why_plan_preview_and_refused_say_it(place):
    place.by_row()
    other, mine = add(place.owner, {**NEW, "keeper": "eve"}, {**NEW, "keeper": BOB})
    jobs = place.queue()

    assert "no right to update this row" in jobs.why(other)
    assert "nothing keeps" in jobs.why(mine)
    for plan in (
        jobs.plan(),
        jobs.plan(lambda row: {"priority": 1}),
        jobs.plan(lambda row: {"priority": 1}, rows=[other, mine]),
    ):
        assert [change.rid for change in plan.problems if "right" in change.reason] == [
            other
        ]
    assert list(jobs.candidates().refused) == [other]
    assert "no right" in jobs.candidates()._repr_html_()
    assert jobs.refused().rids == (other,)
    assert "no right" in jobs.refused().refused[other]


def test_a_right_that_is_given_counts_at_the_next_claim(place):
    place.by_row()
    [rid] = add(place.owner, {**NEW, "keeper": "eve"})
    jobs = place.queue()
    assert jobs.claim(1).rids == ()

    edit(place.owner, rid, keeper=BOB)

    assert jobs.claim(1).rids == (rid,)
    assert jobs.refused().rids == ()


def test_a_catalog_that_tells_no_rights_of_rows_is_found_out(place):
    place.by_row()
    others = add(place.owner, *[{**NEW, "keeper": "eve"}] * 3)
    [mine] = add(place.owner, {**NEW, "keeper": BOB})
    with Gate.before(place.url) as gate:
        gate.unknown = "trs("
        jobs = place.queue(gate.url)

        claim = jobs.claim(1)
        again = jobs.claim(1)

    # each was tried, and refused by itself
    assert claim.rids == (mine,)
    assert list(claim.refused) == list(again.refused) == others
    assert jobs.catalog.writes == len(others) + 1


def test_a_catalog_that_told_no_rights_of_rows_is_asked_again_after_a_time(place):
    place.by_row()
    add(place.owner, {**NEW, "keeper": "eve"})
    now_s = 1000.0
    with Gate.before(place.url) as gate:
        gate.unknown = "trs("
        jobs = place.queue(gate.url)
        jobs.catalog.clock = ServerClock(lambda: now_s)
        jobs.claim(1)
        gate.unknown = ""

        add(place.owner, {**NEW, "keeper": "eve"})
        jobs.claim(1)
        assert jobs.catalog.writes == 2, "each was tried"
        now_s += FIRST_S
        add(place.owner, {**NEW, "keeper": "eve"})

        assert len(jobs.claim(1).refused) == 3
        assert jobs.catalog.writes == 2, "none was tried"


def test_a_cell_policy_counts_as_a_rows(place):
    place.acl(f"{TABLE}/acl/update", [BOB])
    place.acl(f"{TABLE}/column/state/acl/update", [])
    binding = {"types": ["update"], "projection": "keeper"}
    place.acl(f"{TABLE}/column/state/acl_binding/keeper", binding)
    other, mine = add(place.owner, {**NEW, "keeper": "eve"}, {**NEW, "keeper": BOB})
    jobs = place.queue()

    claim = jobs.claim(2)

    assert (claim.rids, list(claim.refused)) == ((mine,), [other])


# ---- rights to columns and tables


def test_a_column_that_claiming_writes_and_this_login_may_not_is_said(place):
    place.acl(f"{TABLE}/acl/update", [BOB])
    place.acl(f"{TABLE}/column/owner/acl/update", [])
    [rid] = add(place.owner, NEW)

    with pytest.warns(UserWarning, match="no right to update the column 'owner'"):
        jobs = place.queue()

    assert "column 'owner'" in jobs.why_not_writable
    assert "column 'owner'" in jobs.why(rid)
    with pytest.raises(Denied, match="column 'owner'"):
        jobs.claim(1)
    assert jobs.catalog.writes == 0


def test_who_may_only_read_makes_a_queue_without_a_warning(place, recwarn):
    jobs = place.queue()

    assert "no right to update Ops:Job" in jobs.why_not_writable
    assert [str(one.message) for one in recwarn] == []


# ---- rows that are refused when they are written


@pytest.mark.parametrize("status", [400, 409])
def test_a_claim_goes_on_to_the_next_rows_where_a_write_is_refused(
    place, guarded, status
):
    place.acl(f"{TABLE}/acl/update", [BOB])
    rids = add(place.owner, *[NEW] * 12)
    jobs = place.queue()
    guarded.faults(
        status=status, times=10, methods=("PUT",), detail="the trigger says no"
    )

    claim = jobs.claim(1)

    assert claim.rids == (rids[10],)
    assert claim.refused == dict.fromkeys(rids[:10], "the trigger says no")


def test_a_refused_row_is_not_written_to_again_until_it_changes(place, guarded):
    place.acl(f"{TABLE}/acl/update", [BOB])
    bad, good = add(place.owner, NEW, NEW)
    jobs = place.queue()
    guarded.faults(status=409, times=1, methods=("PUT",), detail="no")
    assert jobs.claim(1).rids == (good,)
    before = jobs.catalog.writes

    claim = jobs.claim(1)

    assert (claim.rids, claim.refused) == ((), {bad: "no"})
    assert jobs.catalog.writes == before
    assert "tried again in 60 s" in jobs.why(bad)
    assert jobs.refused().rids == (bad,)
    edit(place.owner, bad, priority=1)
    assert jobs.claim(1).rids == (bad,)
    assert jobs.refused().rids == ()


@pytest.mark.parametrize("change", ["model", "asked for"])
def test_a_refused_row_is_tried_at_once(place, guarded, change):
    place.acl(f"{TABLE}/acl/update", [BOB])
    [rid] = add(place.owner, NEW)
    jobs = place.queue()
    guarded.faults(status=409, times=1, methods=("PUT",), detail="no")
    assert jobs.claim(1).refused == {rid: "no"}

    if change == "model":
        place.acl(f"{TABLE}/acl/delete", [BOB])
        claim = jobs.claim(1)
    else:
        claim = jobs.claim(rows=[rid])

    assert claim.rids == (rid,)
    assert read(place.owner, rid)["state"] == "claimed"


def test_a_column_without_a_right_holds_up_no_row_that_does_not_write_it(place):
    place.acl(f"{TABLE}/acl/update", [BOB])
    rids = add(place.owner, *[NEW] * 20)
    jobs = place.queue()
    claim = jobs.claim(20)
    before = jobs.catalog.writes
    place.acl(f"{TABLE}/column/result/acl/update", [])

    results = {rid: {"result": "r"} if n < 9 else {} for n, rid in enumerate(rids)}
    outcome = jobs.complete(claim, results)

    assert set(outcome.won) == set(rids[9:])
    assert set(outcome.refused) == set(rids[:9])
    assert "update" in outcome.refused[rids[0]]
    # no row is tried alone: the right is the column's
    assert jobs.catalog.writes - before <= 3


def test_where_nothing_gets_through_puts_are_paced(place, guarded):
    place.acl(f"{TABLE}/acl/update", [BOB])
    add(place.owner, *[NEW] * 200)
    jobs = place.queue()
    guarded.faults(status=409, times=10**6, methods=("PUT",), detail="no")
    writer, before = jobs.writer(), jobs.catalog.writes

    done = writer.write(jobs.selector.choose(200), until=by_then(2.5))

    assert jobs.catalog.writes - before <= REFUSALS + 3
    assert done.fates <= {Fate.REFUSED, Fate.UNSENT, Fate.MISSED}
    assert writer.is_refused
    guarded.faults()
    assert writer.write(jobs.selector.choose(3), until=by_then(5)).fates == {Fate.WON}
    assert not writer.is_refused


def test_of_many_rows_the_good_ones_are_written_soon(place, guarded):
    """Whatever their number, a few bad ones cost few PUTs."""
    place.by_row()
    place.acl(f"{TABLE}/acl/update", [])
    mine = add(place.owner, *[{**NEW, "keeper": BOB}] * 100)
    bad = mine[::33]
    jobs = place.queue()
    steps = jobs.selector.choose(100)
    for rid in bad:
        edit(place.owner, rid, keeper="eve")
        [row] = place.owner.get(f"entity/Ops:Job/RID={rid}").rows
        steps = [
            replace(s, change=replace(s.change, rmt=row["RMT"])) if s.rid == rid else s
            for s in steps
        ]

    done = jobs.writer().write(steps, until=by_then(30))

    assert set(done.rids(Fate.REFUSED)) == set(bad)
    assert len(done.rids(Fate.WON)) == 96
    assert done.sent < 60

from __future__ import annotations

import time
from dataclasses import replace

import ermpoll
from ermpoll.agent.unconfirmed import UnconfirmedClaims
from ermpoll.backoff import REAL
from ermpoll.queue import transitions
from ermpoll.queue.guarded_put import Fate
from ermpoll.queue.transitions import Held
from ermpoll.queue.writer import WriteResult, by_then
from tests.helpers.tables import add, edit, queue, read

NEW = {"state": "actionable"}
NONE = UnconfirmedClaims()


def doubtful(
    box: ermpoll.sandbox.Box, jobs: ermpoll.Queue, **fault: object
) -> WriteResult:
    """Claim a row without ever getting a certain answer."""
    box.faults(methods=("PUT",), **fault)
    done = jobs.writer().write(jobs.selector.choose(1), until=by_then(0.4))
    box.faults()
    assert done.rids(Fate.UNKNOWN)
    return done


def sorted_out(
    jobs: ermpoll.Queue, claims: UnconfirmedClaims, now: float = 0.0
) -> tuple[list[Held], UnconfirmedClaims]:
    rows = jobs.read_rows(claims.claims)
    return claims.sorted_out(jobs.definition, rows, now)


def test_a_claim_that_was_written_is_found_to_be_ours(box, catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog)

    claims = NONE.after(jobs.definition, doubtful(box, jobs, drop_reply=True), 0.0)
    [ours], left = sorted_out(jobs, claims)

    assert (bool(claims), left) == (True, NONE)
    assert (ours.rid, ours.token) == (rid, jobs.held().rows[0]["owner"])
    assert ours.deadline == jobs.definition.lease_s


def test_a_claim_that_may_still_be_written_is_kept_in_mind(box, catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog)

    claims = NONE.after(jobs.definition, doubtful(box, jobs, status=502), 0.0)

    assert sorted_out(jobs, claims) == ([], claims)
    edit(catalog, rid, priority=1)
    assert sorted_out(jobs, claims) == ([], NONE)


def test_a_claim_whose_lease_is_over_is_forgotten(box, catalog):
    add(catalog, NEW)
    jobs = queue(catalog)

    claims = NONE.after(jobs.definition, doubtful(box, jobs, status=502), 0.0)

    assert sorted_out(jobs, claims, now=601) == ([], NONE)


def test_a_row_that_is_gone_is_forgotten(box, catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog)
    claims = NONE.after(jobs.definition, doubtful(box, jobs, status=502), 0.0)

    catalog.delete(f"entity/Ops:Job/RID={rid}")

    assert sorted_out(jobs, claims) == ([], NONE)


def test_claims_of_an_earlier_write_are_kept(box, catalog):
    first, second = add(catalog, NEW, NEW)
    jobs = queue(catalog)

    claims = NONE.after(jobs.definition, doubtful(box, jobs, drop_reply=True), 0.0)
    claims = claims.after(jobs.definition, doubtful(box, jobs, drop_reply=True), 1.0)

    assert [one.rid for one in sorted_out(jobs, claims)[0]] == [first, second]


def test_without_an_owner_column_nothing_can_be_found_out(box, catalog):
    add(catalog, NEW)
    jobs = queue(catalog, owner=None)

    assert (
        NONE.after(jobs.definition, doubtful(box, jobs, drop_reply=True), 0.0) == NONE
    )


def test_an_edit_of_a_claim_found_later_is_no_baseline(box, catalog):
    """The edit stands, as if the claim's answer had come."""
    [rid] = add(catalog, {**NEW, "priority": 1})
    jobs = queue(catalog)
    claims = NONE.after(jobs.definition, doubtful(box, jobs, drop_reply=True), 0.0)
    edit(catalog, rid, priority=777)

    [ours], _ = sorted_out(jobs, claims)
    done = jobs.writer().write(
        [transitions.complete(jobs.definition, ours, {"priority": 5, "result": "r"})],
        until=by_then(5),
    )

    assert done.rows[rid].kept == ("priority",)
    row = read(catalog, rid)
    assert (row["priority"], row["result"], row["state"]) == (777, "r", "complete")


def test_a_claim_of_which_nothing_tells_is_listed_and_not_taken(box, catalog):
    lost, *others = add(catalog, *[NEW] * 3)
    worked: list[str] = []
    agent = ermpoll.Agent(
        queue(catalog, owner=None),
        lambda row: worked.append(row["RID"]),
        workers=1,  # several may do them in any order
        prefetch=0,
    )
    box.faults(methods=("PUT",), drop_reply=True, times=1)

    summary = agent.run(until_idle=True)

    assert worked == others
    assert [one.rid for one in agent.status.doubts] == [lost]
    assert (summary.done, summary.doubtful) == (2, 1)
    assert "1 row maybe claimed: the answer was lost" in str(summary)
    assert read(catalog, lost)["state"] == "claimed"


def test_a_row_in_doubt_is_forgotten_once_somebody_frees_it(box, catalog):
    [lost] = add(catalog, NEW)
    agent = ermpoll.Agent(
        queue(catalog, owner=None), lambda row: None, clocks=replace(REAL, monotonic=AT)
    )
    box.faults(methods=("PUT",), drop_reply=True, times=1)
    agent.run(until_idle=True)
    before = agent.status.doubts
    edit(catalog, lost, state="hold")

    AT.now += 61
    agent.run(until_idle=True)

    assert [one.rid for one in before] == [lost]
    assert agent.status.doubts == ()


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.now


AT = _Clock()

from __future__ import annotations

import time

import ermpoll
from ermpoll.agent.unconfirmed import UnconfirmedClaims
from ermpoll.queue.guarded_put import Fate
from ermpoll.queue.transitions import Held
from ermpoll.queue.writer import WriteResult, by_then
from tests.helpers.tables import add, edit, queue

NEW = {"state": "actionable"}


def doubtful(
    box: ermpoll.sandbox.Box, jobs: ermpoll.Queue, **fault: object
) -> WriteResult:
    """Claim a row without ever getting a certain answer."""
    box.faults(methods=("PUT",), **fault)
    done = jobs.writer().write(jobs.selector.choose(1), until=by_then(0.4))
    box.faults()
    assert done.rids(Fate.UNKNOWN)
    return done


def found(jobs: ermpoll.Queue, limbo: UnconfirmedClaims) -> dict[str, Held]:
    return limbo.found(jobs.read_rows(limbo.rids))


def test_a_claim_that_was_written_is_found_to_be_ours(box, catalog):
    [rid] = add(catalog, NEW)
    jobs, limbo = queue(catalog), UnconfirmedClaims(queue(catalog))

    limbo.add(doubtful(box, jobs, drop_reply=True), time.monotonic())

    assert limbo
    ours = found(jobs, limbo)
    assert list(ours) == [rid]
    assert ours[rid].token == jobs.held().rows[0]["owner"]
    assert not limbo


def test_a_claim_that_may_still_be_written_is_kept_in_mind(box, catalog):
    [rid] = add(catalog, NEW)
    jobs, limbo = queue(catalog), UnconfirmedClaims(queue(catalog))

    limbo.add(doubtful(box, jobs, status=502), time.monotonic())

    assert (
        found(jobs, limbo),
        bool(limbo),
    ) == ({}, True)
    edit(catalog, rid, priority=1)
    assert (
        found(jobs, limbo),
        bool(limbo),
    ) == ({}, False)


def test_a_claim_whose_lease_is_over_is_forgotten(box, catalog):
    add(catalog, NEW)
    jobs, limbo = queue(catalog), UnconfirmedClaims(queue(catalog))

    limbo.add(doubtful(box, jobs, status=502), time.monotonic() - 601)

    assert (
        found(jobs, limbo),
        bool(limbo),
    ) == ({}, False)


def test_without_an_owner_column_nothing_can_be_found_out(box, catalog):
    add(catalog, NEW)
    jobs = queue(catalog, owner=None)
    limbo = UnconfirmedClaims(jobs)

    limbo.add(doubtful(box, jobs, drop_reply=True), time.monotonic())

    assert not limbo

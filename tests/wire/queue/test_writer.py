"""Every row of a write has a fate, whatever becomes of the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import pytest

import ermpoll
from ermpoll.errors import Denied
from ermpoll.queue import transitions
from ermpoll.queue.guarded_put import Fate
from ermpoll.queue.plan import BATCH
from ermpoll.queue.writer import by_then
from tests.helpers.gate import Gate
from tests.helpers.tables import add, queue, read

NEW = {"state": "actionable"}


def tokens_by_write(catalog: ermpoll.Catalog) -> dict[str, set[str]]:
    """Owners of the rows of each write: rows of one have one version."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in catalog.get("entity/Ops:Job/!owner::null::").rows:
        found[row["RMT"]].add(row["owner"])
    return found


@pytest.fixture
def gate(catalog: ermpoll.Catalog) -> Iterator[Gate]:
    with Gate.before(catalog.url) as gate:
        yield gate


def claim_held(jobs: ermpoll.Queue, catalog: ermpoll.Catalog) -> ermpoll.Claim:
    add(catalog, *[NEW] * (BATCH + 1))
    return jobs.claim(BATCH + 1)


def failed_rows(catalog: ermpoll.Catalog) -> list[str]:
    return add(catalog, *[{"state": "failed"}] * (BATCH + 1))


ACTS = {
    "apply": lambda jobs, it: jobs.plan(
        lambda row: {"state": "hold"}, limit=BATCH + 1
    ).apply(),
    "claim": lambda jobs, it: jobs.claim(BATCH + 1).outcome,
    "complete": lambda jobs, it: jobs.complete(it),
    "fail": lambda jobs, it: jobs.fail(it, dict.fromkeys(it.rids, "bad")),
    "release": lambda jobs, it: jobs.release(it),
    "renew": lambda jobs, it: jobs.renew(it),
    "retry": lambda jobs, it: jobs.retry(it),
    "rescue": lambda jobs, it: jobs.rescue(it.rids, force=True),
}


@pytest.mark.parametrize("act", ACTS)
def test_what_was_written_is_told_where_a_later_put_is_refused(gate, catalog, act):
    jobs = queue(ermpoll.connect(gate.url))
    if act in ("apply", "claim"):
        it = add(catalog, *[NEW] * (BATCH + 1))
    else:
        it = failed_rows(catalog) if act == "retry" else claim_held(jobs, catalog)
    gate.left = 1

    outcome = ACTS[act](jobs, it)

    assert (len(outcome.won), len(outcome.lost)) == (BATCH, 1)
    assert isinstance(outcome.error, Denied)
    assert "no more today" in outcome.reasons[outcome.lost[0]]


def test_a_claim_holds_what_it_won_before_it_was_refused(gate, catalog):
    add(catalog, *[NEW] * (BATCH + 1))
    jobs = queue(ermpoll.connect(gate.url))
    gate.left = 1

    claim = jobs.claim(BATCH + 1)
    gate.left = 1

    assert isinstance(claim.error, Denied)
    assert len(claim) == BATCH
    assert len(jobs.release(claim).won) == BATCH


def test_after_a_put_that_is_refused_as_a_whole_no_other_is_sent(gate, catalog):
    add(catalog, *[NEW] * (2 * BATCH + 1))
    through = ermpoll.connect(gate.url)
    jobs = queue(through)
    gate.left = 1

    claim = jobs.claim(2 * BATCH + 1)

    assert (len(claim), len(claim.outcome.lost), through.writes) == (
        BATCH, BATCH + 1, 2,
    )  # fmt: skip


def test_what_wrote_nothing_raises(box, catalog):
    add(catalog, NEW)
    jobs = queue(catalog)
    box.faults(status=403, methods=("PUT",))

    with pytest.raises(Denied):
        jobs.claim(1)


def test_a_fault_after_the_write_does_not_hide_what_was_written(box, catalog):
    rids = add(catalog, NEW, NEW)
    jobs = queue(catalog)
    plan = jobs.plan(lambda row: {"state": "hold"})
    catalog.put("attributegroup/Ops:Job/RID;name", [{"RID": rids[0], "name": "x"}])
    box.faults(status=403, methods=("GET",))

    outcome = plan.apply()

    assert (outcome.won, outcome.lost) == ((rids[1],), (rids[0],))
    assert outcome.reasons == {rids[0]: "changed meanwhile"}


def test_no_two_puts_share_a_token(catalog):
    add(catalog, *[NEW] * (BATCH + 10))
    jobs = queue(catalog)
    held = jobs.claim(BATCH - 2)
    steps = [
        transitions.complete(jobs.definition, held.holding(rid), {})
        for rid in held.rids
    ]

    # what finishes and what is claimed share the first PUT
    steps += jobs.selector.choose(12)
    done = jobs.writer().write(steps, until=by_then(20))

    claimed = done.written("claim")
    assert len(claimed) == 12
    assert len({step.token for step in claimed.values()}) == 2
    assert all(read(catalog, rid)["owner"] == s.token for rid, s in claimed.items())


def test_every_put_of_a_claim_has_one_token(catalog):
    add(catalog, *[NEW] * (BATCH + 10))

    queue(catalog).claim(BATCH + 10)

    written = tokens_by_write(catalog)
    assert [len(tokens) for tokens in written.values()] == [1, 1]
    assert len(set.union(*written.values())) == 2


def test_a_refused_put_is_halved_and_its_halves_have_tokens_of_their_own(catalog):
    rids = add(catalog, *[NEW] * 8)
    jobs = queue(catalog)
    plan = jobs.plan()
    # what the checks here let through, since only the catalog can tell
    wrong = "2026-02-30T00:00:00+00:00"

    claim = jobs.claim(
        8, transform=lambda row: {"retry_at": wrong if row["RID"] == rids[0] else None}
    )

    assert list(claim.refused) == [rids[0]]
    assert claim.rids == tuple(rids[1:])
    written = tokens_by_write(catalog)
    assert sorted(len(tokens) for tokens in written.values()) == [1, 1, 1]
    assert len(set.union(*written.values())) == 3
    assert len(jobs.complete(claim).won) == 7
    assert plan.applied is None


def test_steps_that_cant_be_filled_are_written_in_puts_of_their_own(box, catalog):
    add(catalog, {**NEW, "data": {"k": 1}}, NEW)
    jobs = queue(catalog)
    claim = jobs.claim(2)
    a, b = claim.rids
    before = len(box.log)

    outcome = jobs.complete(claim, {a: {"result": "r"}, b: {"data": {"k": 2}}})

    assert outcome.won == (a, b)
    assert len(box.log) == before + 2


def test_of_a_row_that_stands_twice_the_first_step_counts(catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog)
    held = jobs.claim(1).holding(rid)

    done = jobs.writer().write(
        [
            transitions.complete(jobs.definition, held, {}),
            transitions.release(jobs.definition, held),
        ],
        until=by_then(10),
    )

    assert done.rids(Fate.WON) == (rid,)
    assert read(catalog, rid)["state"] == "complete"


def test_many_rows_need_few_requests(box, catalog):
    rids = add(catalog, *[{"state": "failed"}] * 230)
    jobs = queue(catalog)

    outcome = jobs.retry(rids)

    assert len(outcome.won) == 230
    assert len([w for w in box.log if w.method == "PUT"]) == 1

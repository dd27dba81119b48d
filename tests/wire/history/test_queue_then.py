from __future__ import annotations

from datetime import timedelta

import pytest

import ermpoll
from ermpoll.catalog.clock import time_text
from ermpoll.history import Past
from tests.helpers.pasts import rename
from tests.helpers.tables import add, edit, queue, read

NEW = {"state": "actionable"}


def now_of(catalog):
    return Past(catalog, rate=None).last


def test_the_queue_of_then_lists_and_counts_as_it_would_have(catalog):
    jobs = queue(catalog)
    rids = add(catalog, *[NEW] * 3)
    claim = jobs.claim(1)
    counts, candidates = jobs.counts(), jobs.candidates().rids
    then = now_of(catalog)
    jobs.complete(claim)
    add(catalog, NEW)

    past = jobs.at(then, rate=None)

    assert past.counts() == counts
    assert past.candidates().rids == candidates
    assert past.held().rids == claim.rids
    assert past.why(rids[2]).startswith(f"{rids[2]} was a candidate then")
    assert "is claimed by" in past.why(claim.rids[0])


def test_leases_are_held_against_then(catalog):
    jobs = queue(catalog, lease_s=5)
    add(catalog, NEW)
    jobs.claim(1)
    then = now_of(catalog)
    edit(catalog, *add(catalog, NEW), priority=1)

    assert len(jobs.at(then + timedelta(milliseconds=1), rate=None).stale()) == 0
    # a day later nothing else had been written
    catalog.clock.heard_write(then + timedelta(days=1))
    assert len(jobs.at(then + timedelta(hours=2), rate=None).stale()) == 1


def test_times_to_try_again_are_held_against_then(catalog):
    jobs = queue(catalog)
    at = catalog.now() + timedelta(minutes=10)
    add(catalog, {**NEW, "retry_at": time_text(at)})
    then = now_of(catalog)
    catalog.clock.heard_write(then + timedelta(days=1))

    assert len(jobs.at(then, rate=None).candidates()) == 0
    assert len(jobs.at(at + timedelta(minutes=1), rate=None).candidates()) == 1
    assert len(jobs.candidates()) == 1


def test_a_plan_of_then_is_made_and_never_applied(catalog):
    jobs = queue(catalog)
    [rid] = add(catalog, {**NEW, "priority": 1})
    then = now_of(catalog)
    edit(catalog, rid, priority=2)

    def transform(row):
        return {"state": "review", "result": f"of {row['priority']}"}

    plan = jobs.at(then, rate=None).plan(transform)

    [change] = plan.changes
    assert (change.kind, change.after["result"]) == ("changed", "of 1")
    with pytest.raises(ermpoll.WriteRefused, match="snapshot"):
        plan.apply()
    with pytest.raises(ermpoll.WriteRefused):
        jobs.at(then, rate=None).claim(1)
    assert read(catalog, rid)["result"] is None


def test_the_queue_of_then_has_the_names_of_then(catalog):
    add(catalog, NEW)
    then = now_of(catalog)
    rename(catalog, "state", "status")
    jobs = queue(catalog, state="status")

    past = jobs.at(then, rate=None)

    assert past.definition.state == "state"
    assert past.counts() == {"actionable": 1}


def test_a_moment_ahead_of_the_catalogs_time_is_warned_of(catalog):
    jobs = queue(catalog)
    ahead = catalog.now() + timedelta(days=1)

    with pytest.warns(UserWarning, match="later than the catalog's time"):
        jobs.at(ahead, rate=None)

from __future__ import annotations

from datetime import timedelta

import pytest

from ermpoll.catalog.clock import time_text
from ermpoll.history import Breach
from tests.helpers.pasts import capture, table_past
from tests.helpers.tables import add, edit, queue

NEW = {"state": "actionable"}
LEASE = "robot~" + "b" * 16 + "~600"


def plant(catalog, rid, **values):
    """Write as nobody should: by the RID alone."""
    edit(catalog, rid, **values)


def honest(jobs, catalog):
    """All that a queue does by itself, and a person beside it."""
    rids = add(catalog, *[NEW] * 6)
    claim = jobs.claim(5)
    edit(catalog, claim.rids[0], priority=1)
    jobs.renew(claim)
    jobs.fail(claim, {claim.rids[1]: "no disk"})
    jobs.release(claim, claim.rids[2:3])
    jobs.complete(claim, {claim.rids[0]: {"result": "x"}})
    jobs.complete(claim)
    jobs.retry([claim.rids[1]])
    jobs.complete(jobs.claim(2))
    edit(catalog, rids[0], state="actionable")
    jobs.complete(jobs.claim(1))
    return rids


def test_what_a_queue_does_by_itself_is_right(catalog):
    jobs = queue(catalog)
    honest(jobs, catalog)

    proof = jobs.prove("1 h", rate=None)

    assert proof, str(proof)
    assert proof.exact
    assert proof.claims == 8
    assert proof.steps > 20
    assert str(proof).startswith(f"0 of {proof.steps} steps were not right")


def test_each_planted_breach_is_found_and_nothing_else(catalog):
    jobs = queue(catalog)
    honest(jobs, catalog)
    claim = None
    rows = {}
    for name in ("two", "token", "right", "edit", "orphan", "attempts"):
        [rows[name]] = add(catalog, NEW)
    attempts = rows.pop("attempts")
    plant(catalog, attempts, state="claimed", owner=LEASE, attempts=5)
    claim = jobs.claim(4, rows=[rows[n] for n in ("two", "token", "right", "edit")])
    plant(catalog, rows["two"], owner="other~" + "c" * 16 + "~600")
    plant(catalog, rows["token"], state="complete", owner=None)
    plant(catalog, rows["right"], state="actionable", owner=None)
    plant(catalog, rows["edit"], result="by hand")
    jobs.complete(claim, {rows["edit"]: {"result": "by work"}}, on_edit="overwrite")
    orphan = "gone~" + "d" * 16 + "~0.000001"
    plant(catalog, rows["orphan"], state="claimed", owner=orphan, attempts=1)

    proof = jobs.prove("1 h", rate=None)

    assert {(one.rid, one.breach) for one in proof.findings} == {
        (rows["two"], Breach.TWO_HOLDERS),
        (rows["token"], Breach.NO_TOKEN),
        (rows["right"], Breach.NO_RIGHT),
        (rows["edit"], Breach.OVERWRITTEN),
        (rows["orphan"], Breach.ORPHANED),
        (attempts, Breach.ATTEMPTS),
    }
    assert not proof
    assert proof.by_breach[Breach.ORPHANED.value] == 1
    assert list(proof.frame["RID"]) == [one.rid for one in proof.findings]


def test_an_orphan_of_before_the_period_is_found(catalog):
    jobs = queue(catalog)
    [rid] = add(catalog, NEW)
    plant(catalog, rid, state="claimed", owner="gone~" + "d" * 16 + "~0.000001")
    begin = table_past(jobs).past.last
    add(catalog, NEW)

    [finding] = jobs.prove(begin, rate=None).findings

    assert (finding.rid, finding.breach) == (rid, Breach.ORPHANED)


def test_windows_find_what_shows_and_say_how_they_were_read(catalog):
    jobs = queue(catalog)
    begin = table_past(jobs).past.last
    honest(jobs, catalog)
    claim = jobs.claim(1, rows=add(catalog, NEW))
    plant(catalog, claim.rids[0], state="complete", owner=None)

    proof = jobs.prove(begin, windows=4, rate=None)

    assert [one.breach for one in proof.findings] == [Breach.NO_TOKEN]
    assert not proof.exact
    assert "windows" in str(proof)


def test_rows_that_came_to_be_and_changed_in_one_window_were_not_there_before(catalog):
    jobs = queue(catalog)
    honest(jobs, catalog)

    # the period begins with the catalog, before there was the table
    proof = jobs.prove("1 d", windows=1, rate=None)

    assert proof, str(proof)
    assert proof.rows == 6


def test_what_windows_found_is_judged_again_by_every_version(catalog):
    jobs = queue(catalog)
    later = time_text(catalog.now() + timedelta(hours=1))
    [rid] = add(catalog, {**NEW, "retry_at": later})
    begin = table_past(jobs).past.last
    edit(catalog, rid, retry_at=None)
    jobs.claim(1)

    # what is seen of it alone was claimed before it was due
    assert jobs.prove(begin, windows=1, rate=None)


def test_a_daemons_claim_under_a_token_of_before_is_no_orphan(catalog):
    jobs = queue(catalog)
    [rid] = add(catalog, NEW)
    plant(catalog, rid, owner="gone~" + "d" * 16 + "~0.000001")
    plant(catalog, rid, state="claimed")

    assert jobs.prove("1 h", rate=None)


def test_a_sample_says_of_how_many_it_is(catalog):
    jobs = queue(catalog)
    add(catalog, *[NEW] * 64)

    proof = jobs.prove("1 h", most_rows=16, rate=None)

    assert proof.rows < 64
    assert f"a sample of {proof.rows} of 64 rows" in str(proof)


def test_a_card_tells_the_number_and_each_by_name(catalog):
    jobs = queue(catalog)
    claim = jobs.claim(1, rows=add(catalog, NEW))
    fine = jobs.prove("1 h", rate=None)._repr_html_()
    plant(catalog, claim.rids[0], state="complete", owner=None)

    wrong = jobs.prove("1 h", rate=None)._repr_html_()

    assert "0 of 2" in fine
    assert "1 of 3" in wrong
    assert "finished without the claim&#39;s token" in wrong


@pytest.mark.parametrize(
    "options", [{"owner": None}, {"attempts": None}, {"error": None}]
)
def test_a_queue_without_some_columns_is_judged_by_the_others(catalog, options):
    jobs = queue(catalog, **options)
    add(catalog, *[NEW] * 3)
    claim = jobs.claim(3)
    jobs.release(claim, claim.rids[:1])
    jobs.fail(claim, {claim.rids[1]: "x"})
    jobs.complete(claim)

    assert jobs.prove("1 h", rate=None)


def test_what_could_not_be_read_is_not_proven(catalog):
    jobs = queue(catalog)
    honest(jobs, catalog)
    [rid] = add(catalog, NEW)
    capture(catalog, False)
    edit(catalog, rid, priority=1)
    edit(catalog, rid, priority=2)
    capture(catalog, True)

    proof = jobs.prove("1 h", rate=None)

    assert not proof
    assert proof.findings == ()
    assert "its history was switched off" in proof.unread
    assert "not all of it could be read" in str(proof)
    assert "ermpoll-warn" in proof._repr_html_()

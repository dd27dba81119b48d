"""Nobody's edit is written over, however the version of a row came to be known."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing

import pytest

import ermpoll
from ermpoll.errors import UsageError
from tests.helpers.conditions import wait_until
from tests.helpers.sandbox_client import Client
from tests.helpers.tables import JOB, add, make_table, queue, read
from tests.helpers.tables import edit as by_hand


def edit(box: ermpoll.sandbox.Box, rid: str) -> None:
    """Change a row as a person does, by its RID alone."""
    with closing(Client(box.url).connection) as connection:
        client = Client(box.url)
        client.connection = connection
        body = [{"RID": rid, "Specimen": "by hand"}]
        answer = client.put("/attributegroup/Imaging:Image/RID;Specimen", body)
    assert answer.status == 200


def specimen(jobs: ermpoll.Queue, rid: str) -> object:
    (row,) = jobs.catalog.get(f"entity/Imaging:Image/RID={rid}").rows
    return row["Specimen"]


def finish_both(jobs: ermpoll.Queue, claim: ermpoll.Claim, edited: str) -> None:
    """Finish two rows in one PUT, whose columns the edited one doesn't change."""
    jobs.complete(
        claim,
        {rid: {} if rid == edited else {"Specimen": "by work"} for rid in claim.rids},
    )


def once_written(box: ermpoll.sandbox.Box, act: Callable[[], None]) -> threading.Thread:
    """Act as soon as the next write is committed, then end all faults."""

    def run() -> None:
        wait_until(lambda: box.log)
        act()
        box.faults()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize(
    "faults", [{"drop_reply": 1}, {"methods": ("GET",)}], ids=["lost reply", "first"]
)
def test_an_edit_between_a_claim_and_reading_its_version_stands(
    box: ermpoll.sandbox.Box, faults: dict[str, object]
) -> None:
    jobs = box.jobs()
    # the row by which the catalog's ETags are checked is the one that is edited
    edited = str(jobs.candidates(1).rows[0]["RID"])
    box.faults(delay_s=0.3, **faults)
    person = once_written(box, lambda: edit(box, edited))

    claim = jobs.claim(2)
    person.join()
    finish_both(jobs, claim, edited)

    assert specimen(jobs, edited) == "by hand"
    assert edited not in jobs.held().rids


def test_an_edit_before_a_renewal_stands(box: ermpoll.sandbox.Box) -> None:
    jobs = box.jobs()
    claim = jobs.claim(2)
    edit(box, claim.rids[1])

    renewed = jobs.renew(claim)
    finish_both(jobs, claim, claim.rids[1])

    assert renewed.edited == (claim.rids[1],)
    assert specimen(jobs, renewed.edited[0]) == "by hand"


def test_an_edit_before_a_finish_stands_when_that_is_undone(
    box: ermpoll.sandbox.Box,
) -> None:
    jobs = box.jobs()
    claim = jobs.claim(2)
    first, second = claim.rids
    edit(box, second)
    finished = jobs.complete(claim, {first: {"Specimen": "by work"}, second: {}})

    plan = finished.undo()
    undone = plan.apply()

    assert [problem.rid for problem in plan.problems] == [second]
    assert undone.won == (first,)
    assert specimen(jobs, second) == "by hand"


# ---- columns that a person edits while the work goes on


def claimed(catalog: ermpoll.Catalog, **options: object):
    """A queue, one claimed row, and its RID."""
    [rid] = add(catalog, {"state": "actionable", "priority": 1, "result": "old"})
    jobs = queue(catalog, **options)
    return jobs, jobs.claim(1), rid


def test_an_edit_during_the_work_is_kept_and_named(catalog) -> None:
    jobs, claim, rid = claimed(catalog)
    by_hand(catalog, rid, priority=777)

    outcome = jobs.complete(claim, {rid: {"priority": 5, "result": "r"}})

    row = read(catalog, rid)
    assert (row["state"], row["priority"], row["result"]) == ("complete", 777, "r")
    assert (outcome.won, outcome.kept) == ((rid,), {rid: ("priority",)})
    assert "kept: priority" in outcome._repr_html_()


@pytest.mark.parametrize(
    ("on_edit", "state", "priority"),
    [("overwrite", "complete", 5), ("fail", "failed", 777)],
)
def test_an_edit_may_be_overwritten_or_fail_the_row(
    catalog, on_edit, state, priority
) -> None:
    jobs, claim, rid = claimed(catalog)
    by_hand(catalog, rid, priority=777)

    outcome = jobs.complete(claim, {rid: {"priority": 5}}, on_edit=on_edit)

    row = read(catalog, rid)
    assert (row["state"], row["priority"]) == (state, priority)
    assert (outcome.won, outcome.kept) == ((rid,), {})
    assert ("edited" in outcome.reasons.get(rid, "")) == (on_edit == "fail")
    assert ("priority" in (row["error"] or "")) == (on_edit == "fail")


def test_another_word_for_on_edit_is_refused(catalog) -> None:
    jobs, claim, _ = claimed(catalog)

    with pytest.raises(UsageError, match="'fail', found 'merge'"):
        jobs.complete(claim, on_edit="merge")

    assert claim.unfinished == claim.rids


def test_an_edit_of_a_column_outside_those_fetched_is_kept(catalog) -> None:
    jobs, claim, rid = claimed(catalog, columns=["name"])
    by_hand(catalog, rid, priority=777)

    outcome = jobs.complete(claim, {rid: {"priority": 5, "result": "r"}})

    assert outcome.kept == {rid: ("priority",)}
    assert read(catalog, rid)["result"] == "r"


@pytest.mark.parametrize(
    ("sent", "edited"),
    [
        ({"retry": "2026-01-01T00:00:00Z"}, False),
        ({"retry": "2026-01-01 01:00+01"}, False),
        ({"priority": "7"}, False),
        ({"priority": 7}, True),
    ],
)
def test_what_the_claim_wrote_counts_as_the_catalog_answered_it(
    catalog, sent, edited
) -> None:
    make_table(catalog, {**JOB, "retry": "timestamptz"}, name="Timed")
    [rid] = add(catalog, {"state": "actionable"}, table="Timed")
    jobs = ermpoll.Queue(catalog, "Ops:Timed", owner="owner")
    claim = jobs.claim(1, transform=lambda row: sent)
    by_hand(catalog, rid, table="Timed", hold=True)
    if edited:
        by_hand(catalog, rid, table="Timed", priority=8)

    wanted = {"retry": "2027-01-01T00:00:00+00:00"} if "retry" in sent else {}
    outcome = jobs.complete(claim, {rid: {**wanted, "priority": 9}})

    assert outcome.kept == ({rid: ("priority",)} if edited else {})
    assert read(catalog, rid, "Timed")["hold"] is True


def test_an_edit_that_a_renewal_met_stays_known(catalog) -> None:
    jobs, claim, rid = claimed(catalog)
    by_hand(catalog, rid, priority=777)
    assert jobs.renew(claim).won == (rid,)

    assert jobs.complete(claim, {rid: {"priority": 5}}).kept == {rid: ("priority",)}


def test_an_edit_after_a_claim_whose_answer_was_lost_is_no_baseline(
    box, catalog
) -> None:
    [rid] = add(catalog, {"state": "actionable", "priority": 1})
    jobs = queue(catalog)
    box.faults(drop_reply=1, delay_s=1, methods=("PUT", "GET"))
    before, others = len(box.log), ermpoll.connect(catalog.url)

    def person() -> None:
        wait_until(lambda: len(box.log) > before)
        by_hand(others, rid, priority=777)
        box.faults()

    thread = threading.Thread(target=person)
    thread.start()
    claim = jobs.claim(1)
    thread.join()
    assert claim.rids == (rid,)

    assert jobs.complete(claim, {rid: {"priority": 5}}).kept == {rid: ("priority",)}
    assert read(catalog, rid)["priority"] == 777


def test_a_row_that_is_edited_again_and_again_stays_claimed_and_is_told(
    catalog, monkeypatch
) -> None:
    jobs, claim, rid = claimed(catalog)
    by_hand(catalog, rid, priority=777)
    others = ermpoll.connect(catalog.url)
    get = catalog.get

    def busy(path: str, **options: object):
        page = get(path, **options)
        by_hand(others, rid, name=f"x{others.writes}")
        return page

    # somebody saves between each read and the write
    monkeypatch.setattr(catalog, "get", busy)
    outcome = jobs.complete(claim, {rid: {"priority": 5}})
    monkeypatch.undo()

    assert (outcome.won, outcome.still_claimed) == ((), (rid,))
    assert "edited again and again" in outcome.reasons[rid]
    assert jobs.complete(claim, {rid: {"priority": 5}}).won == (rid,)


@pytest.mark.parametrize("act", ["complete", "fail", "release", "renew"])
def test_a_row_that_was_taken_away_is_told_as_what_happened(catalog, act) -> None:
    rids = add(catalog, *[{"state": "actionable"}] * 3)
    jobs = queue(catalog)
    claim = jobs.claim(3)
    gone, held, freed = rids
    catalog.delete(f"entity/Ops:Job/RID={gone}")
    by_hand(catalog, held, state="hold")
    jobs.rescue([freed], force=True)
    other = queue(catalog).claim(1)

    acts = {
        "complete": lambda: jobs.complete(claim, {r: {"priority": 1} for r in rids}),
        "fail": lambda: jobs.fail(claim, dict.fromkeys(rids, "bad")),
        "release": lambda: jobs.release(claim),
        "renew": lambda: jobs.renew(claim),
    }
    reasons = acts[act]().reasons

    assert reasons[gone] == "was deleted"
    assert "state was set to 'hold'" in reasons[held]
    assert "is held by" in reasons[freed]
    assert read(catalog, freed)["owner"] == other.token


def test_without_an_owner_column_an_edit_ends_the_claim(catalog) -> None:
    [rid] = add(catalog, {"state": "actionable"})
    jobs = ermpoll.Queue(catalog, "Ops:Job")
    claim = jobs.claim(1)
    by_hand(catalog, rid, name="x")

    outcome = jobs.complete(claim, {rid: {"priority": 5}}, on_edit="overwrite")

    assert outcome.lost == (rid,)
    assert "without an owner column" in outcome.reasons[rid]
    assert read(catalog, rid)["priority"] is None

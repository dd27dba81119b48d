"""Nobody's edit is written over, however the version of a row came to be known."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing

import pytest

import ermpoll
from tests.helpers.conditions import wait_until
from tests.helpers.sandbox_client import Client


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

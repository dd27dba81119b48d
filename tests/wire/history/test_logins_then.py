"""Two logins: what each may read of the past, and whose steps are whose."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import ermpoll
from ermpoll.errors import NoHistory
from ermpoll.history import Breach
from ermpoll.sandbox import Box
from ermpoll.sandbox import box as boxes
from ermpoll.sandbox.app import Options
from ermpoll.sandbox.model.clients import User
from ermpoll.sandbox.process import SandboxThread
from tests.helpers.pasts import alter, table_past
from tests.helpers.tables import OPTIONAL, add, edit, make_table, queue

BOB = "https://sandbox.example.org/id/bob"
NEW = {"state": "actionable"}


@pytest.fixture(scope="module")
def guarded() -> Iterator[Box]:
    """A sandbox with an owner and somebody else."""
    thread = SandboxThread(Options(token="own", users=(User.parse("bob:bob-token"),)))
    with boxes.of_thread(thread, token="own") as box:
        yield box


@pytest.fixture
def owner(guarded: Box) -> ermpoll.Catalog:
    """The owner's connection to a table that bob may not read yet."""
    catalog = ermpoll.connect(guarded.new_catalog(), {"bearer-token": "own"})
    make_table(catalog)
    alter(catalog, "acl/enumerate", ["*"])
    return catalog


def allow(owner, right, *who):
    alter(owner, f"schema/Ops/table/Job/acl/{right}", list(who))


def of_bob(owner):
    catalog = ermpoll.connect(owner.url, {"bearer-token": "bob-token"})
    return ermpoll.Queue(catalog, "Ops:Job", **OPTIONAL)


def test_rights_are_those_of_then(owner):
    add(owner, NEW)
    before = table_past(queue(owner)).past.last
    allow(owner, "select", "*")
    edit(owner, *add(owner, NEW), priority=1)
    allowed = table_past(queue(owner)).past.last

    assert len(of_bob(owner).at(allowed, rate=None).candidates()) == 2
    # what was granted since does not open what was before
    with pytest.raises(NoHistory, match="had no right to read it then"):
        of_bob(owner).at(before, rate=None)


def test_a_life_begins_where_this_login_may_read_it(owner):
    [rid] = add(owner, NEW)
    edit(owner, rid, priority=0)
    allow(owner, "select", "*")
    edit(owner, rid, priority=1)

    told = of_bob(owner).history(rid, rate=None)

    assert [one.changes for one in told.versions] == [{"priority": (0, 1)}]
    assert any("had no right to read it then" in one for one in told.told)


def test_names_that_may_not_be_read_are_ids(owner):
    allow(owner, "select", "*")
    [rid] = add(owner, NEW)

    told = of_bob(owner).history(rid, rate=None)

    by = told.versions[0].by
    assert told.names == {by: by}
    assert any("names of logins" in one for one in told.told)


def test_who_ends_anothers_claim_is_named(owner):
    allow(owner, "select", "*")
    allow(owner, "update", BOB)
    jobs, others = queue(owner), of_bob(owner)
    finished, freed, held = add(owner, NEW, NEW, NEW)
    jobs.claim(3)
    edit(others.catalog, finished, state="complete")
    others.rescue([freed], force=True)
    edit(others.catalog, held, state="review")

    proof = jobs.prove("1 h", rate=None)

    assert {(one.rid, one.breach, one.by) for one in proof.findings} == {
        (finished, Breach.NO_RIGHT, BOB), (freed, Breach.NO_RIGHT, BOB),
    }  # fmt: skip
    assert "by who did not hold it" in str(proof)
    assert "a rescue by force looks the same" in str(proof)

"""Pages of a large table are found by an index, at any depth."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from ermpoll.sandbox import demo
from ermpoll.sandbox.model.acls import Rights
from ermpoll.sandbox.model.clients import OWNER
from ermpoll.sandbox.query.parser import parse
from ermpoll.sandbox.query.select import prepare
from ermpoll.sandbox.store.store import Store


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    store = Store()
    demo.make(store)
    yield store
    store.close()


def _plan(store: Store, address: str) -> str:
    rights = Rights(store.catalogs["1"].model, OWNER)
    read = prepare(parse(address), rights)
    rows = store.db.execute(f"EXPLAIN QUERY PLAN {read.sql}", read.parameters)
    return "; ".join(row[3] for row in rows.fetchall())


IMAGE = "entity/Imaging:Image"
READY = f"{IMAGE}/Processing_Status=new"


@pytest.mark.parametrize(
    "address",
    [
        f"{IMAGE}@sort(RID)@after(2-A)?limit=200",
        f"{IMAGE}@sort(RID::desc::)@after(2-A)?limit=200",
        f"{IMAGE}@sort(RID)@before(2-A)?limit=200",
        f"{READY}@sort(RID)?limit=200",
        f"{READY}@sort(RID)@after(2-A)?limit=200",
        f"{READY}@sort(RID::desc::)@after(2-A)?limit=200",
        f"{IMAGE}@sort(File_Name,RID)@after(x,2-A)?limit=200",
    ],
)
def test_a_page_is_an_index_search(store: Store, address: str) -> None:
    plan = _plan(store, address)

    assert "SEARCH" in plan or "SCAN i0 USING INDEX" in plan
    assert "after" not in address or "SEARCH" in plan
    # @before reads backwards and turns the page round.
    assert plan.count("TEMP B-TREE FOR ORDER BY") == ("before" in address)


def test_keys_that_may_be_null_still_page_past_the_last_value(store: Store) -> None:
    rights = Rights(store.catalogs["1"].model, OWNER)
    path = f"{IMAGE}@sort(Processing_Owner,RID)"
    whole = prepare(parse(path), rights).run(store.db)
    owner, rid = whole[1]["Processing_Owner"], whole[1]["RID"]
    assert owner is not None
    assert whole[-1]["Processing_Owner"] is None

    after = f"{path}@after({quote(owner, safe='')},{rid})"

    assert prepare(parse(after), rights).run(store.db) == whole[2:]

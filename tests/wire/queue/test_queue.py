from __future__ import annotations

from datetime import timedelta

import pytest

import ermpoll
from ermpoll.catalog.clock import time_text
from ermpoll.errors import NotFound, Unavailable
from tests.helpers.tables import add, make_table, queue

NEW = {"state": "actionable"}


def test_a_catalog_that_is_not_there_is_said_so():
    nowhere = ermpoll.connect("http://localhost:9/ermrest/catalog/1", timeout_s=2)

    with pytest.raises(Unavailable, match="localhost:9"):
        ermpoll.Queue(nowhere, "Ops:Job")


def test_a_catalog_that_is_unknown_is_said_so(box):
    other = ermpoll.connect(box.url.replace("catalog/1", "catalog/nosuch"))

    with pytest.raises(NotFound, match="check the address"):
        ermpoll.Queue(other, "Ops:Job")


def test_a_bare_table_name_is_enough_where_it_is_unique(catalog):
    assert ermpoll.Queue(catalog, "Job").title == "Ops:Job"


def test_odd_names_are_quoted_everywhere(catalog):
    state, owner = "st/ate; a:b,ü", 'own"er & (co)'
    make_table(catalog, {state: "text", owner: "text"}, name="Od d/Tab:le")
    jobs = ermpoll.Queue(
        catalog, "Ops:Od d%2FTab%3Ale", state=state, owner=owner, ready="a/b,c"
    )
    [row] = catalog.post("entity/Ops:Od%20d%2FTab%3Ale", [{state: "a/b,c"}]).rows

    with jobs.claim(1) as claim:
        assert claim.rids == (row["RID"],)
        assert jobs.complete(claim).won == claim.rids
    assert jobs.counts() == {"complete": 1}


def test_candidates_come_in_order_and_say_whether_there_are_more(catalog):
    low, high, none = add(
        catalog,
        {**NEW, "priority": 1},
        {**NEW, "priority": 9},
        {**NEW, "priority": None},
    )
    jobs = queue(catalog, order="priority::desc::")

    assert jobs.candidates(2).rids == (none, high)
    assert (jobs.candidates(2).more, jobs.candidates(3).more) == (True, False)
    assert jobs.candidates().rids[-1] == low
    assert jobs.waiting() == 3


def test_candidates_leave_out_what_waits_and_what_is_used_up(catalog):
    now = catalog.now()
    later = time_text(now + timedelta(hours=1))
    sooner = time_text(now - timedelta(hours=1))
    ok, due, _, _, _ = add(
        catalog,
        NEW,
        {**NEW, "retry_at": sooner, "attempts": 2},
        {**NEW, "retry_at": later},
        {**NEW, "attempts": 3},
        {"state": "other"},
    )

    assert queue(catalog).candidates().rids == (ok, due)


def test_ready_may_be_null_or_several_words(catalog):
    a, b, _ = add(catalog, {"state": None}, {"state": "again"}, {"state": "x"})

    assert queue(catalog, ready=None).candidates().rids == (a,)
    assert queue(catalog, ready=[None, "again"]).candidates().rids == (a, b)


def test_only_the_columns_named_are_fetched(catalog):
    add(catalog, {**NEW, "data": {"large": "x" * 1000}})
    jobs = queue(catalog, columns=["name", "priority"])
    [row] = jobs.candidates().rows

    assert jobs.candidates().columns == ("RID", "name", "priority")
    assert "data" not in row


def test_a_frame_has_real_types(catalog):
    add(catalog, {**NEW, "priority": None, "hold": True, "data": {"k": 1}})

    dtypes = {k: str(v) for k, v in queue(catalog).candidates().frame.dtypes.items()}

    assert dtypes["RID"] == "string"
    assert dtypes["priority"] == "Int64"
    assert dtypes["hold"] == "boolean"
    assert dtypes["retry_at"] == dtypes["RMT"] == "datetime64[us, UTC]"
    assert dtypes["data"] == dtypes["tags"] == "object"


def test_a_joined_path_finds_rows_by_another_table(catalog):
    make_table(
        catalog, {"job": "text", "ok": "boolean"}, name="Check",
    )  # fmt: skip
    a, b = add(catalog, NEW, NEW)
    add(catalog, {"job": a, "ok": True}, {"job": b, "ok": False}, table="Check")
    path = "/entity/M:=Ops:Job/(RID)=(Ops:Check:job)/ok=true/$M"
    jobs = queue(catalog, path=path)

    assert jobs.candidates().rids == (a,)
    assert jobs.waiting() == 1
    claim = jobs.claim(5)
    assert claim.rids == (a,)
    assert jobs.complete(claim).won == (a,)


def test_counts_fold_failures_into_one_word(catalog):
    add(catalog, NEW, {"state": None}, {"state": "error: a"}, {"state": "error: b"})

    counted = queue(catalog, failed="error: {error}").counts()

    assert counted == {"actionable": 1, "NULL": 1, "error: …": 2}

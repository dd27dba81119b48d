from __future__ import annotations

import datetime
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ermpoll.catalog.model import Column, Table
from ermpoll.catalog.paths import Order
from ermpoll.errors import UsageError
from ermpoll.queue.definition import QueueDefinition
from ermpoll.queue.plan import (
    BATCH,
    BODY,
    batches,
    finishing_changes,
    plan_row,
    put_by_token,
    put_by_version,
)
from ermpoll.records import Change, PlannedPut

TYPES = {
    "RID": "text", "RMT": "timestamptz", "state": "text", "n": "int4", "x": "float8",
    "data": "jsonb", "tags": "text", "legacy": "numeric",
}  # fmt: skip
TABLE = Table(
    schema="S",
    name="T",
    columns={
        name: Column(name=name, typename=base, base=base, is_array=name == "tags")
        for name, base in TYPES.items()
    },
    keys=(("RID",),),
    references=(),
    may_update=True,
)
ROW: dict[str, Any] = {
    "RID": "1-A", "RMT": "2026-01-01T00:00:00+00:00", "state": "new", "n": 1,
    "x": None, "data": {"k": [1]}, "tags": None, "legacy": 0.5,
}  # fmt: skip


def pack(changes, table: Table) -> list[PlannedPut]:
    return [
        put_by_version(table, batch.columns, batch.changes)
        for batch in batches(changes, table)
    ]


def plan(transform, row=ROW, problem=lambda row, changes: None) -> Change:
    return plan_row(row, transform, TABLE, problem)


def change(rid: str, /, **after: Any) -> Change:
    return Change(rid=rid, rmt=ROW["RMT"], before={**ROW, "RID": rid}, after=after)


@pytest.mark.parametrize(
    ("asked", "kind", "after"),
    [
        (None, "skipped", {}),
        ({}, "unchanged", {}),
        ({"n": 1}, "unchanged", {}),
        (dict(ROW), "unchanged", {}),
        ({"n": 2}, "changed", {"n": 2}),
        ({**ROW, "n": 2}, "changed", {"n": 2}),
        ({"n": None}, "changed", {"n": None}),
        ({"x": 1}, "changed", {"x": 1}),
    ],
)
def test_only_what_differs_is_a_change(asked, kind, after):
    found = plan(lambda row: asked)

    assert (found.kind, found.after, found.rid) == (kind, after, "1-A")


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (["n"], "found list"),
        ("n", "found str"),
        ({"nosuch": 1}, "S:T has no column 'nosuch'"),
        ({"n": "high"}, "n: 'high' is no int4"),
        ({"n": 2**31}, "is no int4"),
        ({"n": True}, "True is no int4"),
        ({"x": float("nan")}, "nan has no form in JSON"),
        ({"data": {"deep": [float("inf")]}}, "inf has no form in JSON"),
        ({"state": "a\0b"}, "NUL"),
        ({"state": "\ud800"}, "lone surrogate"),
        ({"tags": "no list"}, "is no list"),
        ({"RID": "other"}, "system column"),
        ({"n": object()}, "has no form in JSON"),
    ],
)
def test_what_the_catalog_would_refuse_is_a_problem(asked, reason):
    found = plan(lambda row: asked)

    assert found.kind == "problem"
    assert reason in found.reason


def test_a_rule_of_the_queue_is_a_problem_too():
    found = plan(lambda row: {"n": 2}, problem=lambda row, changes: "stays")

    assert (found.kind, found.reason, found.after) == ("problem", "stays", {"n": 2})


def test_a_transform_that_raises_is_a_failure_with_its_traceback():
    found = plan(lambda row: row["series"])

    assert (found.kind, found.reason) == ("failed", "KeyError: 'series'")
    assert 'row["series"]' in found.traceback
    assert "plan_row" not in found.traceback


def test_a_transform_that_changes_its_row_changes_a_copy():
    def transform(row):
        row["data"]["k"].append(2)
        row["n"] = 5
        return row

    found = plan(transform)

    assert found.diff == {"n": (1, 5), "data": ({"k": [1]}, {"k": [1, 2]})}


def test_python_values_become_json():
    when = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)

    found = plan(lambda row: {"state": when, "data": (1, {"a": when.date()})})

    assert found.after == {
        "state": "2026-01-02T00:00:00+00:00",
        "data": [1, {"a": "2026-01-02"}],
    }


def test_rows_that_change_the_same_columns_share_a_put():
    [put] = pack([change("A", n=2), change("B", n=3)], TABLE)

    assert put.path == "attributegroup/S:T/RID,RMT;n"
    assert put.rows == (
        {"RID": "A", "RMT": ROW["RMT"], "n": 2},
        {"RID": "B", "RMT": ROW["RMT"], "n": 3},
    )


def test_rows_that_change_others_carry_their_current_values():
    [put] = pack([change("A", n=2), change("B", state="done")], TABLE)

    assert put.path == "attributegroup/S:T/RID,RMT;n,state"
    assert [(row["n"], row["state"]) for row in put.rows] == [(2, "new"), (1, "done")]


@pytest.mark.parametrize("column", ["data", "legacy"])
def test_values_that_do_not_survive_are_never_carried(column):
    puts = pack([change("A", **{column: 1}), change("B", n=2)], TABLE)

    assert sorted(put.path for put in puts) == sorted(
        [f"attributegroup/S:T/RID,RMT;{column}", "attributegroup/S:T/RID,RMT;n"]
    )


def test_a_value_that_was_not_read_is_never_carried():
    known = Change(
        rid="A", rmt="t", before={"RID": "A", "RMT": "t", "n": 1}, after={"n": 2}
    )

    assert len(pack([known, change("B", state="x")], TABLE)) == 2


def test_none_for_json_leaves_the_key_out():
    [put] = pack([change("A", data=None), change("B", data=[])], TABLE)

    assert ["data" in row for row in put.rows] == [False, True]


def test_names_are_quoted():
    odd = Column(name="a/b;c", typename="text", base="text")
    table = Table(
        schema="S", name="T", columns={**TABLE.columns, odd.name: odd}, keys=(),
        references=(), may_update=True,
    )  # fmt: skip

    [put] = pack([change("A", **{"a/b;c": "v"})], table)

    assert put.path == "attributegroup/S:T/RID,RMT;a%2Fb%3Bc"


def test_a_large_plan_is_cut_into_batches():
    puts = pack([change(f"R{n}", n=n) for n in range(BATCH + 1)], TABLE)

    assert [len(put.rows) for put in puts] == [BATCH, 1]


def test_a_body_that_is_too_large_is_halved_until_one_row_stands_alone():
    small, large = "x" * (BODY // 4), "x" * 2 * BODY
    rows = [change(f"R{n}", note=small) for n in range(5)]
    puts = pack([*rows, change("L", note=large)], TABLE)

    assert [len(put.rows) for put in puts] == [3, 1, 1, 1]
    assert [rid for put in puts for rid in put.rids] == [f"R{n}" for n in range(5)] + [
        "L"
    ]


def test_what_is_not_current_any_more_is_never_filled_in():
    changes = [change("A", n=2), change("B", state="done")]

    assert [b.columns for b in batches(changes, TABLE, fill=False)] == [
        ("n",),
        ("state",),
    ]


def definition(**options: Any) -> QueueDefinition:
    told = {
        "table": TABLE, "state": "state", "ready": ("new", None), "claimed": "busy",
        "done": "done", "failed": "failed", "order": Order("RID"),
    }  # fmt: skip
    return QueueDefinition(**{**told, **options})


def test_a_put_by_token_names_token_and_state():
    put = put_by_token(
        definition(owner="owner"), {"A": "me~1~600"}, ("n",), [change("A", n=1)]
    )

    assert put.path == "attributegroup/S:T/RID,held:=owner,was:=state;n"
    assert put.rows == ({"RID": "A", "held": "me~1~600", "was": "busy", "n": 1},)


def test_a_put_by_token_never_sends_a_missing_token():
    put = put_by_token(definition(owner="owner"), {}, ("n",), [change("A", n=1)])

    assert put.rows == ()


@pytest.mark.parametrize(
    ("asked", "changes"),
    [
        (None, {}),
        ({}, {}),
        ({"n": 1, "x": 2.5}, {"x": 2.5}),
        ({"state": "review"}, {"state": "review"}),
    ],
)
def test_changes_that_finish_a_row_are_those_that_differ(asked, changes):
    assert finishing_changes(definition(), asked, ROW) == changes


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (["n"], "found list"),
        ({"nosuch": 1}, "has no column 'nosuch'"),
        ({"n": "high"}, "n: 'high' is no int4"),
        ({"RID": "other"}, "system column"),
        ({"state": "busy"}, "state: 'busy' would leave the row claimed"),
        ({"state": None}, "state: None would make the row a candidate again"),
    ],
)
def test_changes_that_cant_finish_a_row_are_refused_in_words(asked, reason):
    with pytest.raises(UsageError, match=reason):
        finishing_changes(definition(), asked, {})


@given(
    st.lists(
        st.tuples(
            st.text(string.ascii_uppercase, min_size=1, max_size=2),
            st.dictionaries(
                st.sampled_from(["state", "n", "x", "data", "tags"]),
                st.none() | st.just(3),
                min_size=1,
            ),
        ),
        max_size=12,
    )
)
def test_a_put_never_writes_what_no_row_asked_for(asked):
    changes = [
        Change(rid=rid, rmt="t", before={**ROW, "RID": rid, "RMT": "t"}, after=after)
        for rid, after in asked
    ]

    puts = pack(changes, TABLE)

    first = {c.rid: c for c in reversed(changes)}
    rids = [rid for put in puts for rid in put.rids]
    assert sorted(rids) == sorted(first)
    for put in puts:
        targets = put.path.rpartition(";")[2].split(",")
        for row in put.rows:
            wanted = {**ROW, **first[row["RID"]].after}
            for name in targets:
                # a missing key becomes NULL: only json that is to be NULL lacks it
                assert row.get(name) == wanted[name]
                assert name in row or (name == "data" and wanted[name] is None)

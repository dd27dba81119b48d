from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ermpoll.catalog.paths import (
    LONGEST,
    LONGEST_COLUMNS,
    MOST_VALUES,
    Order,
    literal,
    size,
)
from ermpoll.queue.reading.queries import Queries
from ermpoll.queue.tokens import PATTERN
from tests.unit.queue.test_definition import definition

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AT = "2026-01-01T00%3A00%3A00.000000%2B00%3A00"
FULL: dict[str, Any] = {"owner": "o", "attempts": "n", "retry_at": "at"}


def queries(**options: Any) -> Queries:
    return Queries(definition(**options))


def test_candidates_are_ready_due_and_not_used_up():
    path = queries(ready=("new",), where="ok=true", **FULL).candidates(NOW, 5)

    by_hand = f"o::regexp::{literal(PATTERN)}"
    assert path == (
        f"entity/S:T/ok=true/state=new/at::null::;at::leq::{AT}"
        f"/n::null::;n::lt::3;{by_hand}@sort(RID)?limit=5"
    )


def test_candidates_page_past_a_row_in_the_queues_order():
    path = queries(order=Order("p::desc::")).candidates(
        NOW, 5, after={"p": None, "RID": "1-A"}
    )

    assert path.endswith("@sort(p::desc::,RID)@after(::null::,1-A)?limit=5")


def test_a_whole_path_stands_instead_of_the_filter():
    path = queries(path="M:=S:T/x=1/$M", ready=("new",)).candidates(NOW, 1)

    assert path == "entity/M:=S:T/x=1/$M/state=new@sort(RID)?limit=1"


def test_only_named_columns_are_fetched_and_those_that_claiming_needs():
    path = queries(columns=("a",), order=Order("p"), **FULL).claimed()

    assert path == (
        "attribute/S:T/state=busy/RID,RMT,a,state,o,n,at,p,RMB@sort(RMT,RID)"
    )


@pytest.mark.parametrize(
    ("where", "narrowed"),
    [
        ("ok=true", "/ok=true"),
        ("o::null::", ""),
        ("o::null::/ok=true", "/ok=true"),
    ],
)
def test_a_filter_on_a_column_that_claiming_changes_says_nothing_later(where, narrowed):
    path = queries(where=where, owner="o").failures(3)

    assert path == f"entity/S:T{narrowed}/state=failed@sort(RMT::desc::,RID)?limit=3"


def test_failed_words_with_a_reason_are_found_by_their_pattern():
    path = queries(failed="err (x): {error}").failures(3)

    assert "state::regexp::%5Eerr%20%5C%28x%5C%29%3A%20.%2A%24" in path


def test_many_rows_are_asked_for_in_parts():
    paths = queries().rows(f"1-{n}" for n in range(MOST_VALUES + 1))

    assert [path.count("1-") for path in paths] == [MOST_VALUES, 1]


def test_without_a_retry_column_there_is_no_next_retry():
    assert queries().next_retry(NOW) is None
    assert f"at::gt::{AT}" in str(queries(**FULL).next_retry(NOW))


@pytest.mark.parametrize(
    "rids",
    [
        [f"1-{n:04X}" for n in range(1000)],
        [f"{'Z' * 60}-{n}" for n in range(300)],
        [f"{'ü' * 20}{n}" for n in range(200)],
    ],
    ids=["short", "long", "quoted"],
)
@pytest.mark.parametrize("where", ["", "name=" + "x" * 1500, "name=" + "ü" * 300])
@pytest.mark.parametrize("columns", [None, ("a",)])
def test_no_address_is_longer_than_any_server_takes(rids, where, columns):
    made = queries(columns=columns, where=where, **FULL)

    asked = [
        *made.rows(rids),
        *made.marks(rids, ["a", "p"]),
        *(made.candidates(NOW, len(part), rids=part) for part in made.parts(NOW, rids)),
    ]

    assert max(map(size, asked)) <= 4000
    assert [rid for part in made.parts(NOW, rids) for rid in part] == rids
    assert max(len(path) for path in made.rows(rids)) <= LONGEST


def test_a_rid_that_is_too_long_by_itself_is_asked_for_alone():
    long = "x" * 5000

    assert queries().parts(NOW, ["1-A", long, "1-B"]) == [("1-A",), (long,), ("1-B",)]
    assert queries().parts(NOW, []) == []


def test_columns_that_fill_an_address_are_not_named_in_it():
    names = [f"{'é' * 30} {n}" for n in range(30)]

    assert len(",".join(names)) < LONGEST_COLUMNS
    assert all(p.startswith("entity/") for p in queries().marks(["1-A"], names))


def test_many_state_words_are_asked_for_in_parts_and_null_by_itself():
    words = [f"{'ü' * 20}{n}" for n in range(150)]

    asked = queries().words(*words, None)

    assert max(map(size, asked)) <= 4000
    assert sum(path.count("%C3%BC") for path in asked) == 150 * 20
    assert asked[-1] == "attributegroup/S:T/state::null::/state?limit=200"
    assert queries().words() == ["attributegroup/S:T/state?limit=200"]

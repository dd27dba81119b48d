"""PUT of attribute groups: what is updated, returned and refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.sandbox_client import Client
from tests.helpers.sandbox_jobs import AS_MADE, state


def test_update_returns_only_the_rows_that_match(jobs: Client) -> None:
    path = "/attributegroup/Ops:Job/id,old:=state;new:=state,owner"
    body = [
        {"id": 1, "old": "new", "new": "claimed", "owner": "w1"},
        {"id": 2, "old": "done", "new": "claimed", "owner": "w1"},
        {"id": 99, "old": "new", "new": "claimed", "owner": "w1"},
    ]

    answer = jobs.put(path, body)

    assert answer.json == body[:1]
    assert state(jobs)[0] == (1, "claimed", "w1", 5)


def test_update_matches_null_with_null_and_with_an_absent_key(jobs: Client) -> None:
    path = "/attributegroup/Job/id,old:=state;new:=state"

    first = jobs.put(path, [{"id": 3, "old": None, "new": "a"}])
    again = jobs.put(path, [{"id": 3, "new": "b"}])
    owner = jobs.put("/attributegroup/Job/owner;no", [{"no": 1}])

    assert (len(first.json), again.json, len(owner.json)) == (1, [], 3)


def test_update_by_a_key_that_is_not_unique_returns_each_row(jobs: Client) -> None:
    answer = jobs.put("/attributegroup/Job/state;no", [{"state": "new", "no": 9}])

    assert answer.json == [{"state": "new", "no": 9}] * 2


def test_one_update_never_meets_its_own_results(jobs: Client) -> None:
    path = "/attributegroup/Job/old:=state;new:=state"
    body = [{"old": "new", "new": "b"}, {"old": "b", "new": "c"}]

    assert jobs.put(path, body).json == [{"old": "new", "new": "b"}] * 2


def test_absent_targets_become_null_and_absent_arrays_empty(jobs: Client) -> None:
    jobs.put("/attributegroup/Job/id;tags", [{"id": 2, "tags": None}])

    path = "/attributegroup/Job/id;no,tags,doc"
    answer = jobs.put(path, [{"id": 1}, {"id": 2, "no": 4, "doc": None}])

    assert answer.json == [
        {"id": 1, "no": None, "tags": [], "doc": None},
        {"id": 2, "no": 4, "tags": [], "doc": None},
    ]
    # An absent json is NULL; one that is there as null is JSON's null, another thing.
    empty = jobs.rows("/attribute/Job/doc::null::/id@sort(id)")
    assert empty == [{"id": 1}, {"id": 3}]


def test_json_null_never_matches_sql_null_as_a_key(jobs: Client) -> None:
    path = "/attributegroup/Job/id,doc;no"

    assert jobs.put(path, [{"id": 1, "doc": None, "no": 1}]).json == []
    assert jobs.put(path, [{"id": 1, "no": 1}]).json == [
        {"id": 1, "doc": None, "no": 1}
    ]


def test_rows_with_a_null_key_are_not_seen_as_equal(jobs: Client) -> None:
    body = [{"id": 3, "state": None, "no": 1}, {"id": 3, "state": None, "no": 2}]

    answer = jobs.put("/attributegroup/Job/id,state;no", body)

    assert len(answer.json) == 1


def test_group_keys_are_not_normalised(jobs: Client) -> None:
    (row,) = jobs.rows("/attribute/Job/id=1/RID")
    body = [{"RID": row["RID"].lower(), "no": 1}]

    assert jobs.put("/attributegroup/Job/RID;no", body).json == []


def test_every_update_moves_rmt_and_no_other_row(jobs: Client) -> None:
    before = jobs.rows("/attribute/Job/id,RCT,RMT@sort(id)")

    answer = jobs.put("/attributegroup/Job/id;no", [{"id": 1, "no": 5}])

    after = jobs.rows("/attribute/Job/id,RCT,RMT@sort(id)")
    assert after[0]["RMT"] > before[0]["RMT"]
    assert after[0]["RCT"] == before[0]["RCT"]
    assert after[1:] == before[1:]
    time = answer.etag.strip('"').split(";")[2].replace(" ", "T")
    assert time.rstrip("0:+").rstrip("0") == after[0]["RMT"].rstrip("0:+").rstrip("0")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("id;state", [{"id": 1}, {"id": 1}], 400),
        ("id,id;state", [], 400),
        ("id;state,x:=state", [], 400),
        ("id", [], 400),
        ("id;no:=cnt(id)", [], 400),
        ("id;*", [], 400),
        ("id;state@sort(id)?limit=1", [], 200),
        ("id,state;state", [], 409),
        ("RID,x:=state;x:=state", [], 409),
        ("id;nosuch", [], 409),
        ("nosuch;state", [], 409),
        ("id;RID", [], 403),
        ("id;RMT", [], 403),
        ("id;RCB", [], 403),
        ("state;id", [{"state": "new"}], 409),
        ("state;id", [{"state": "new", "id": 7}], 409),
        ("id;no", [{"id": 99, "no": 99999}], 400),
        ("id;no", [{"id": 1, "no": 1}, {"id": 2, "no": "x"}], 400),
        ("id;no", [{"id": 1, "no": True}], 400),
        ("id;no", [{"id": 1, "no": 1.5}], 400),
        ("id;state", [{"id": 1, "state": "a\0b"}], 400),
        ("id;doc", [{"id": 1, "doc": {"a": "\0"}}], 400),
        ("id;f", '[{"id": 1, "f": NaN}]', 400),
        ("id;f", '[{"id": 1, "f": 1e999}]', 400),
        ("id;state", '[{"id": 1, "state": "\\ud800"}]', 400),
        ("id;tags", [{"id": 1, "tags": "x"}], 400),
        ("id;state", {"id": 1}, 400),
        ("id;state", [1], 400),
        ("id;state", b"\xff\xfe", 400),
        ("id;state", "[" * 100_000, 400),
    ],
)
def test_bad_updates_change_nothing(
    jobs: Client, path: str, body: Any, status: int
) -> None:
    answer = jobs.put(f"/attributegroup/Job/{path}", body)

    assert answer.status == status, answer
    assert state(jobs) == AS_MADE


def test_paths_for_writing_are_one_table(jobs: Client) -> None:
    assert jobs.put("/attributegroup/Job/id=1/id;no", []).status == 400
    assert jobs.post("/entity/Job/id=1", []).status == 400
    assert jobs.put("/entity/Job/id=1", []).status == 400
    assert jobs.put("/attributegroup/J:=Job/J:id;J:no", []).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/attribute/Job/id"),
        ("POST", "/attribute/Job/id"),
        ("POST", "/attributegroup/Job/id;no"),
        ("DELETE", "/attributegroup/Job/id;no"),
        ("PUT", "/aggregate/Job/no:=cnt(*)"),
        ("PATCH", "/entity/Job"),
    ],
)
def test_methods_that_an_api_lacks_get_a_405(
    jobs: Client, method: str, path: str
) -> None:
    assert jobs.send(method, path, []).status == 405


def test_options_names_the_methods_and_head_fails_as_there(jobs: Client) -> None:
    options = jobs.send("OPTIONS", "/attributegroup/Job/id")

    assert (options.status, options.text) == (200, "")
    assert options.headers["allow"] == "GET, HEAD, OPTIONS, PUT"
    assert jobs.send("HEAD", "/entity/Job").status == 500
    assert jobs.rows("/entity/Job/id=1")

"""Altering and dropping what has rows, and what others reference."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.sandbox_client import Client, fkey

_JOB = "/schema/Ops/table/Job"


@pytest.fixture
def linked(jobs: Client) -> Client:
    """The jobs, and a step that references one by its number."""
    jobs.table("Step", {"job": "int4"}, fkeys=(fkey("Step", "job", "Job", "id"),))
    assert jobs.post("/entity/Step", [{"job": 1}]).status == 200
    return jobs


@pytest.mark.parametrize(
    ("path", "doc", "status"),
    [
        ("column/no", {"name": "state"}, 409),
        ("column/no", {"name": ""}, 400),
        ("column/no", {"nullok": False}, 409),
        ("column/no", {"default": "x"}, 400),
        ("column/no", {"type": {"typename": "int2[]"}}, 409),
        ("column/no", {"type": {"typename": "nosuch"}}, 409),
        ("column/state", {"type": {"typename": "int4"}}, 400),
        ("column/no", {"annotations": []}, 400),
        ("column/RID", {"nullok": True}, 409),
        ("column/RID", {"type": {"typename": "text"}}, 409),
        ("key/id", {"names": [["Ops", "Job_RID_key"]]}, 409),
        ("foreignkey/job", {}, 409),
        ("nosuch/x", {}, 404),
    ],
)
def test_alterations_that_can_not_be_change_nothing(
    linked: Client, path: str, doc: dict[str, Any], status: int
) -> None:
    before = linked.get("/schema").json

    assert linked.put(f"{_JOB}/{path}", doc).status == status
    assert linked.get("/schema").json == before


@pytest.mark.parametrize(
    ("typename", "column", "value"),
    [
        ("int8", "no", 5),
        ("text", "no", "5"),
        ("float8", "no", 5.0),
        ("text", "ok", "true"),
        ("text", "at", "2026-01-01 00:00:00+00"),
        ("text", "local", "2026-01-01 00:00:00"),
        ("text", "doc", '{"a": [1]}'),
        ("date", "at", "2026-01-01"),
        ("jsonb", "state", "new"),
        ("markdown", "state", "new"),
        ("longtext[]", "tags", ["x", None]),
    ],
)
def test_a_column_changes_its_type_with_its_values(
    jobs: Client, typename: str, column: str, value: Any
) -> None:
    row = {
        "id": 1,
        "ok": True,
        "at": "2026-01-01",
        "local": "2026-01-01",
        "doc": {"a": [1]},
        "tags": ["x", None],
    }
    jobs.put("/attributegroup/Job/id;ok,at,local,doc,tags", [row])

    answer = jobs.put(f"{_JOB}/column/{column}", {"type": {"typename": typename}})

    assert answer.status == 200, answer
    assert answer.json["type"]["typename"] == typename
    assert jobs.rows(f"/attribute/Job/id=1/{column}") == [{column: value}]


def test_values_that_become_equal_can_not_stay_a_key(client: Client) -> None:
    client.table("Pair", {"a": "text"}, keys=(("a",),))
    client.post("/entity/Pair", [{"a": "1"}, {"a": "01"}])

    column = "/schema/Ops/table/Pair/column/a"
    answer = client.put(column, {"type": {"typename": "int4"}})

    assert answer.status == 409
    assert client.get(column).json["type"]["typename"] == "text"


def test_comments_and_annotations_are_altered_and_taken_away(jobs: Client) -> None:
    doc = {"comment": "said", "annotations": {"a": 1}}

    first = jobs.put(f"{_JOB}/column/no", doc).json
    second = jobs.put(f"{_JOB}/column/no", {"comment": None}).json

    assert (first["comment"], first["annotations"]) == ("said", {"a": 1})
    assert (second["comment"], second["annotations"]) == (None, {"a": 1})


def test_a_system_column_takes_what_changes_nothing(jobs: Client) -> None:
    doc = jobs.get(f"{_JOB}/column/RCT").json

    assert jobs.put(f"{_JOB}/column/RCT", {**doc, "comment": "said"}).status == 200
    assert jobs.get(f"{_JOB}/column/RCT/comment").text == "said\n"


def test_a_schema_takes_no_name_that_is_taken(jobs: Client) -> None:
    jobs.post("/schema/Other")

    assert jobs.put("/schema/Ops", {"schema_name": "Other"}).status == 409
    assert jobs.put("/schema/Ops", {"schema_name": "Ops", "comment": "x"}).status == 200


def test_what_is_referenced_can_not_be_dropped(linked: Client) -> None:
    for path in ("", "/key/id", "/column/id"):
        assert linked.delete(f"{_JOB}{path}").status == 409
    assert (
        linked.delete(
            "/schema/Ops/table/Step/foreignkey/job/reference/Ops:Job/id"
        ).status
        == 204
    )
    for path in ("/column/id", ""):
        assert linked.delete(f"{_JOB}{path}").status == 204


def test_a_dropped_column_takes_keys_and_links_along(linked: Client) -> None:
    linked.post("/schema/Ops/table/Step/key", {"unique_columns": ["job"]})

    assert linked.delete("/schema/Ops/table/Step/column/job").status == 204

    table = linked.get("/schema/Ops/table/Step").json
    assert [key["unique_columns"] for key in table["keys"]] == [["RID"]]
    assert table["foreign_keys"] == []
    # No column is left that a client could fill.
    assert linked.post("/entity/Step", [{}]).status == 409


def test_constraints_without_a_name_get_one_of_their_own(client: Client) -> None:
    client.table("A", {"x": "int4", "y": "int4"})
    taken = {"unique_columns": ["x"], "names": [["Ops", "A_y_key"]]}
    client.post("/schema/Ops/table/A/key", taken)

    (made,) = client.post("/schema/Ops/table/A/key", {"unique_columns": ["y"]}).json

    assert made["names"] == [["Ops", "A_y_key1"]]
    again = {"unique_columns": ["x", "y"], "names": [["Ops", "A_y_key"]]}
    assert client.post("/schema/Ops/table/A/key", again).status == 409


@pytest.mark.parametrize(
    ("doc", "status"),
    [
        ({"unique_columns": []}, 400),
        ({"unique_columns": ["id", "id"]}, 400),
        ({"unique_columns": "id"}, 400),
        ({"unique_columns": ["nosuch"]}, 400),
        ({"unique_columns": ["id"]}, 409),
        ({"unique_columns": ["j"]}, 409),
    ],
)
def test_bad_keys_are_refused(jobs: Client, doc: Any, status: int) -> None:
    column = {"name": "j", "type": {"typename": "json"}}
    assert jobs.post(f"{_JOB}/column", column).status == 201

    assert jobs.post(f"{_JOB}/key", doc).status == status


@pytest.mark.parametrize(
    ("doc", "status"),
    [
        (fkey("Job", "no", "Job", "id", on_delete="maybe"), 400),
        ({**fkey("Job", "no", "Job", "id"), "referenced_columns": []}, 400),
        (fkey("Job", "no", "Nosuch", "id"), 409),
        (fkey("Job", "nosuch", "Job", "id"), 409),
    ],
)
def test_bad_links_are_refused(jobs: Client, doc: Any, status: int) -> None:
    assert jobs.post(f"{_JOB}/foreignkey", doc).status == status

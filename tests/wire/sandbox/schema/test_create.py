"""Model documents, and the requests that make, change and drop what they describe."""

from __future__ import annotations

from typing import Any

import pytest

from ermpoll.sandbox.schema import catalogs
from tests.helpers.sandbox_client import Client, fkey


def _doc(name: str = "New", **more: Any) -> dict[str, Any]:
    return {**catalogs.table_doc(name, {"id": "int4"}, keys=(("id",),)), **more}


def test_the_model_has_the_shape_clients_read(jobs: Client) -> None:
    model = jobs.get("/schema").json

    assert {"snaptime", "annotations", "rights", "schemas", "acls"} <= set(model)
    table = model["schemas"]["Ops"]["tables"]["Job"]
    assert table["kind"] == "table"
    rid, tags = table["column_definitions"][0], table["column_definitions"][10]
    assert rid["type"] == {
        "typename": "ermrest_rid",
        "is_domain": True,
        "base_type": {"typename": "text"},
    }
    assert tags["type"] == {
        "typename": "text[]",
        "is_array": True,
        "base_type": {"typename": "text"},
    }
    assert [key["unique_columns"] for key in table["keys"]] == [["RID"], ["id"]]


def test_a_new_catalog_has_the_public_tables(client: Client) -> None:
    tables = client.get("/schema/public").json["tables"]

    assert set(tables) == {"ERMrest_Client", "ERMrest_Group", "ERMrest_RID_Lease"}


def test_parts_of_a_table_are_lists_and_documents(jobs: Client) -> None:
    jobs.table("Step", {"job": "int4"}, fkeys=(fkey("Step", "job", "Job", "id"),))
    base = "/schema/Ops/table"

    assert len(jobs.get(base).json) == 2
    assert jobs.get(f"{base}/Job/column/id").json["name"] == "id"
    assert jobs.get(f"{base}/Job/key/id").json["unique_columns"] == ["id"]
    assert len(jobs.get(f"{base}/Job/key").json) == 2
    ((link,),) = jobs.get(f"{base}/Step/foreignkey").json
    assert link["names"] == [["Ops", "Step_job_fkey"]]
    for path in ("job", "job/reference", "job/reference/Ops:Job/id"):
        assert jobs.get(f"{base}/Step/foreignkey/{path}").json == [link]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "schema/No", None, 404),
        ("GET", "schema/No/table/T", None, 409),
        ("GET", "schema/Ops/table/No", None, 404),
        ("GET", "schema/Ops/table/No/column/x", None, 409),
        ("GET", "schema/Ops/table/Job/column/nosuch", None, 404),
        ("GET", "schema/Ops/table/Job/key/nosuch", None, 409),
        ("GET", "schema/Ops/table/Job/key/state", None, 404),
        ("GET", "schema/Ops/table/Job/nosuch", None, 404),
        ("GET", "schema/Ops/nosuch", None, 404),
        ("POST", "schema/Ops", None, 409),
        ("POST", f"schema/{'x' * 64}", None, 400),
        ("POST", "schema/Ops/table/Job", {}, 405),
        ("POST", "schema/Ops/table", _doc("Job"), 409),
        ("POST", "schema/Ops/table", _doc("x" * 64), 400),
        ("POST", "schema/Ops/table", _doc(kind="view"), 400),
        ("POST", "schema/Ops/table", _doc(keys=[]), 400),
        ("POST", "schema/Ops/table", _doc(column_definitions=[]), 400),
        ("POST", "schema/Ops/table", _doc(comment=5), 400),
        ("POST", "schema/Ops/table", {}, 400),
        ("POST", "schema/Ops/table", [], 400),
        ("POST", "schema/Ops/table", "{", 400),
        ("POST", "schema/Ops/table", None, 400),
        ("POST", "schema/No/table", _doc(), 409),
        ("POST", "schema/Ops/table/Job/column", {"name": "id"}, 400),
        ("POST", "schema/Ops/table/Job/column", {"name": "\ud800"}, 400),
        ("POST", "schema", {"schemas": []}, 400),
        ("POST", "schema", [{}], 400),
        ("GET", "schema/%FF", None, 400),
        ("GET", "schema/Ops/table/Job/column/id/x", None, 404),
        ("GET", "schema/Ops/table/Job/key/id/x", None, 404),
        ("GET", "schema/Ops/table/Job/foreignkey/id/x", None, 404),
        ("GET", "schema/Ops/table/Job/column/comment", None, 404),
        ("GET", "schema/Ops/table/Job/key/id/acl", None, 404),
        ("PUT", "comment", "x", 404),
        ("POST", "schema/Ops/table/Job/annotation", {}, 405),
        ("POST", "nosuch", None, 404),
        ("PUT", "", {}, 405),
        ("PUT", "schema", {}, 405),
        ("DELETE", "schema", None, 405),
        ("DELETE", "schema/Ops", None, 409),
        ("DELETE", "schema/Ops/table/Job/key/RID", None, 409),
        ("DELETE", "schema/Ops/table/Job/column/RMT", None, 409),
        ("DELETE", "schema/Ops/table/Job/column", None, 405),
        ("PUT", "schema/Ops/table/Job/column/RID", {"name": "x"}, 409),
        ("PUT", "schema/Ops/table/Job", {"table_name": "Task"}, 409),
        ("PATCH", "schema/Ops", {}, 405),
    ],
)
def test_bad_model_requests_get_the_services_status(
    jobs: Client, method: str, path: str, body: Any, status: int
) -> None:
    before = jobs.get("/schema").json

    assert jobs.send(method, f"/{path}", body).status == status
    assert jobs.get("/schema").json == before


@pytest.mark.parametrize(
    ("column", "status"),
    [
        ({"name": "x", "type": {"typename": "numeric"}}, 201),
        ({"name": "x", "type": {"typename": "varchar"}}, 409),
        ({"name": "x", "type": {"typename": "text[][]"}}, 409),
        ({"name": "x", "type": "text"}, 400),
        ({"name": "id", "type": {"typename": "text"}}, 409),
        ({"name": "x", "type": {"typename": "int4"}, "default": "y"}, 400),
        ({"name": "x", "type": {"typename": "int4"}, "nullok": False}, 409),
        ({"name": "x", "type": {"typename": "int4"}, "nullok": "no"}, 400),
        ({"name": "x", "type": {"typename": "bigint"}, "default": 4}, 201),
        ({"name": "x", "type": {"typename": "timestamp with time zone"}}, 201),
        ({"name": "x", "type": {"typename": "color_rgb_hex"}}, 201),
        ({"name": "x", "type": {"typename": "int2[]"}}, 201),
    ],
)
def test_columns_are_added_where_the_type_and_rows_allow(
    jobs: Client, column: dict[str, Any], status: int
) -> None:
    answer = jobs.post("/schema/Ops/table/Job/column", column)

    assert answer.status == status
    default = column.get("default")
    if status == 201:
        assert jobs.rows("/attribute/Job/id=1/x") == [{"x": default}]


def test_keys_and_links_are_added_where_the_rows_allow(jobs: Client) -> None:
    base = "/schema/Ops/table/Job"
    names = {"unique_columns": ["state"]}

    assert jobs.post(f"{base}/key", names).status == 409
    jobs.put("/attributegroup/Job/id;state", [{"id": 2, "state": "other"}])
    made = jobs.post(f"{base}/key", names)
    assert (made.status, made.json[0]["names"]) == (201, [["Ops", "Job_state_key"]])
    assert jobs.post(f"{base}/key", names).status == 409
    # Rows reference what is not there, then what is no key, then what is.
    link = fkey("Job", "owner", "Job", "state")
    jobs.put("/attributegroup/Job/id;owner", [{"id": 1, "owner": "nobody"}])
    assert jobs.post(f"{base}/foreignkey", link).status == 409
    no_key = fkey("Job", "owner", "Job", "owner")
    assert jobs.post(f"{base}/foreignkey", no_key).status == 409
    jobs.put("/attributegroup/Job/id;owner", [{"id": 1, "owner": "other"}])
    assert jobs.post(f"{base}/foreignkey", link).status == 201
    assert jobs.delete(f"{base}/key/state").status == 409
    full = "foreignkey/owner/reference/Ops:Job/state"
    assert jobs.delete(f"{base}/{full}").status == 204
    assert jobs.delete(f"{base}/key/state").status == 204


def test_a_renamed_key_keeps_what_references_it(jobs: Client) -> None:
    jobs.table("Step", {"job": "int4"}, fkeys=(fkey("Step", "job", "Job", "id"),))

    renamed = jobs.put("/schema/Ops/table/Job/column/id", {"name": "number"})

    assert (renamed.status, renamed.json["name"]) == (200, "number")
    (link,) = jobs.get("/schema/Ops/table/Step/foreignkey/job").json
    assert link["referenced_columns"][0]["column_name"] == "number"
    assert jobs.get("/schema/Ops/table/Job/key/number").status == 200
    assert jobs.rows("/attribute/Job/number=1/number") == [{"number": 1}]
    jobs.post("/entity/Step", [{"job": 1}])
    assert jobs.delete("/entity/Job/number=1").status == 409


def test_many_things_are_made_at_once_or_not_at_all(client: Client) -> None:
    job = {**_doc("Job"), "schema_name": "Two"}
    step = {**_doc("Step"), "schema_name": "Two"}
    link = {
        "foreign_key_columns": [
            {"schema_name": "Two", "table_name": "Step", "column_name": "id"}
        ],
        "referenced_columns": [
            {"schema_name": "Two", "table_name": "Job", "column_name": "id"}
        ],
    }
    docs: list[Any] = [{"schema_name": "Two"}, link, job, step]

    assert client.post("/schema", [*docs, {"schema_name": "public"}]).status in (
        400,
        409,
    )
    assert client.get("/schema/Two").status == 404
    made = client.post("/schema", [docs[0], job, step, link])
    assert made.status == 201, made
    assert [doc.get("table_name") for doc in made.json] == [None, "Job", "Step"]
    whole = client.post("/schema", {"schemas": {"Three": {"tables": {"T": _doc("T")}}}})
    assert whole.status == 201
    assert list(whole.json["schemas"]["Three"]["tables"]) == ["T"]


def test_annotations_are_made_replaced_and_deleted(jobs: Client) -> None:
    path = "/schema/Ops/table/Job/annotation/tag%3Aexample.org%2C2026%3Ax"

    statuses = [
        jobs.get(path).status,
        jobs.put(path, {"a": 1}).status,
        jobs.put(path, {"a": 2}).status,
        jobs.get(path).json,
        jobs.get("/schema/Ops/table/Job/annotation").json,
        jobs.delete(path).status,
        jobs.delete(path).status,
    ]

    value = {"a": 2}
    whole = {"tag:example.org,2026:x": value}
    assert statuses == [404, 201, 204, value, whole, 204, 404]
    assert jobs.put("/annotation", {"x": None}).status == 204
    assert jobs.get("/").json["annotations"] == {"x": None}


def test_comments_are_plain_text(jobs: Client) -> None:
    path = "/schema/Ops/table/Job/column/id/comment"

    assert jobs.get(path).status == 404
    assert jobs.put(path, 'said, "so"', Content_Type="text/plain").status == 204
    assert jobs.get(path).text == 'said, "so"\n'
    assert jobs.delete(path).status == 204
    assert jobs.get(path).status == 404


def test_acls_are_checked_and_stored(jobs: Client) -> None:
    path = "/schema/Ops/table/Job/acl"

    assert jobs.put(f"{path}/select", ["*"]).json == ["*"]
    assert jobs.put(f"{path}/insert", ["*"]).status == 400
    assert jobs.put(f"{path}/nosuch", []).status == 409
    assert jobs.put(f"{path}/insert", "ann").status == 400
    assert jobs.get(path).json == {"select": ["*"]}
    assert jobs.put(path, {"update": ["ann"]}).json == {"update": ["ann"]}
    assert jobs.delete(f"{path}/update").status == 204
    assert jobs.get(f"{path}/update").json is None
    assert jobs.get(f"{path}/nosuch").status == 404
    assert jobs.put("/acl", {"owner": []}).status == 403


def test_a_table_named_as_a_property_is_a_table(client: Client) -> None:
    client.post("/schema/annotation")
    client.post("/schema/annotation/table", _doc("comment"))

    assert client.get("/schema/annotation").json["schema_name"] == "annotation"
    table = client.get("/schema/annotation/table/comment")
    assert table.json["table_name"] == "comment"
    column = client.get("/schema/annotation/table/comment/column/id")
    assert column.json["name"] == "id"


def test_preconditions_hold_for_the_model_too(jobs: Client) -> None:
    etag = jobs.get("/schema").etag

    assert jobs.get("/schema", If_None_Match=etag).status == 304
    assert jobs.post("/schema/New", If_Match='"x"').status == 412
    assert jobs.post("/schema/New", If_Match=etag).status == 201
    assert jobs.get("/schema", If_None_Match=etag).status == 200


def test_snapshots_keep_rows_columns_and_tables_that_are_gone(jobs: Client) -> None:
    before = jobs.get("/").json["snaptime"]
    rows = jobs.rows("/entity/Job@sort(id)")
    jobs.put("/attributegroup/Job/id;state", [{"id": 1, "state": "late"}])
    jobs.delete("/entity/Job/id=2")
    jobs.post("/entity/Job", [{"id": 8}])
    between = jobs.get("/").json["snaptime"]
    jobs.delete("/schema/Ops/table/Job/column/state")
    jobs.delete("/schema/Ops/table/Job")

    now, jobs.root = jobs.root, f"{jobs.root}@{before}"
    assert jobs.rows("/entity/Job@sort(id)") == rows
    assert jobs.post("/entity/Job", []).status == 403
    assert jobs.post("/schema/New").status == 403
    jobs.root = f"{now}@{between}"
    assert jobs.rows("/attribute/Job/id,state@sort(id)") == [
        {"id": 1, "state": "late"},
        {"id": 3, "state": None},
        {"id": 8, "state": None},
    ]
    jobs.root = f"{now}@ZZZZ-ZZZZ-ZZZZ"
    assert jobs.get("/entity/Job").status == 409
    jobs.root = f"{now}@2"
    assert jobs.get("/entity/Job").status == 409
    jobs.root = f"{now}@!"
    assert jobs.get("/entity/Job").status == 400

"""POST, PUT and DELETE of entities, and what foreign keys add."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.sandbox_client import Answer, Client, fkey
from tests.helpers.sandbox_jobs import AS_MADE, COLUMNS, state


def test_insert_is_all_or_nothing(jobs: Client) -> None:
    answer = jobs.post("/entity/Job", [{"id": 8}, {"id": 1}])

    assert answer.status == 409
    assert state(jobs) == AS_MADE


def test_insert_skips_taken_keys_when_asked(jobs: Client) -> None:
    answer = jobs.post("/entity/Job?onconflict=skip", [{"id": 1}, {"id": 8}])

    assert [row["id"] for row in answer.json] == [8]
    twice = jobs.post("/entity/Job?onconflict=skip", [{"id": 9}, {"id": 9}])
    assert twice.status == 400


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ("defaults=nosuch", 409),
        ("nondefaults=nosuch", 409),
        ("nondefaults=RMT", 403),
        ("onconflict=maybe", 400),
        ("defaults=RID,RCT,RMT,RCB,RMB", 200),
        ("anything=else", 200),
    ],
)
def test_insert_options(jobs: Client, options: str, status: int) -> None:
    assert jobs.post(f"/entity/Job?{options}", [{"id": 8}]).status == status


def test_system_columns_of_the_input_are_ignored(jobs: Client) -> None:
    (row,) = jobs.post("/entity/Job", [{"id": 8, "RID": "1-0000", "RCB": "me"}]).json

    assert row["RID"] != "1-0000"
    assert row["RCB"] != "me"


def test_nondefaults_take_system_columns_of_the_input(jobs: Client) -> None:
    body = [{"id": 8, "RID": "9-0000", "RCB": "me", "RCT": "2020-01-01"}]

    (row,) = jobs.post("/entity/Job?nondefaults=RID,RCB,RCT", body).json

    assert (row["RID"], row["RCB"]) == ("9-0000", "me")
    assert row["RCT"] == "2020-01-01T00:00:00+00:00"


def test_defaults_and_serials_count(client: Client) -> None:
    doc: dict[str, Any] = {"name": "s", "type": {"typename": "serial4"}}
    client.table("Job", {"id": "int4"})
    client.post("/schema/Ops/table/Job/column", doc)

    rows = client.post("/entity/Job?defaults=s", [{"id": 1}, {"id": 2}]).json

    assert [row["s"] for row in rows] == [1, 2]


def test_upsert_overwrites_by_key_and_inserts_the_rest(jobs: Client) -> None:
    body = [{"id": 9, "no": 1}, {"id": 1, "owner": "me", "RID": "1-0000"}]

    updated, inserted = jobs.put("/entity/Job", body).json

    assert "RID" not in updated
    assert (updated["id"], updated["state"], updated["owner"]) == (1, None, "me")
    assert (inserted["id"], inserted["no"]) == (9, 1)
    assert "RMT" in inserted


def test_upsert_needs_a_key_beside_rid(client: Client) -> None:
    client.table("Log", {"text": "text"})

    assert client.put("/entity/Log", [{"text": "x"}]).status == 409
    assert client.post("/entity/Log", [{"text": "x"}]).status == 200


def test_csv_comes_in_and_goes_out(jobs: Client) -> None:
    head = ",".join(COLUMNS)
    text = f'{head}\n8,"a ""b"", c",,,,,,,,t\n9,"",,,,"{{x,y}}",,,,\n'

    answer = jobs.post("/entity/Job", text, Content_Type="text/csv; charset=utf-8")

    assert answer.status == 200, answer
    assert answer.headers["content-type"] == "text/csv"
    rows = jobs.rows("/attribute/Job/id::gt::3/id,state,owner,tags,ok@sort(id)")
    assert rows == [
        {"id": 8, "state": 'a "b", c', "owner": None, "tags": None, "ok": True},
        {"id": 9, "state": "", "owner": None, "tags": ["x", "y"], "ok": None},
    ]


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("id,nosuch\n8,x\n", 409),
        ("id\n8\n", 400),
        ("id,id\n8,8\n", 400),
        ('id,state\n8,"x\n', 400),
        ("", 400),
    ],
)
def test_bad_csv_is_refused(client: Client, text: str, status: int) -> None:
    client.table("Job", {"id": "int4", "state": "text"})

    answer = client.post("/entity/Job", text, Content_Type="text/csv")

    assert answer.status == status


def test_streams_come_in(jobs: Client) -> None:
    kind = "application/x-json-stream"

    answer = jobs.post("/entity/Job", '{"id": 8}\n\n{"id": 9}\n', Content_Type=kind)

    assert answer.headers["content-type"] == kind
    assert len(answer.text.splitlines()) == 2


def test_no_rows_written_give_an_empty_body_but_in_json(jobs: Client) -> None:
    path = "/attributegroup/Job/id;no"

    texts = [
        jobs.put(path, [], Accept=kind).text
        for kind in ("application/json", "text/csv", "application/x-json-stream")
    ]

    assert texts == ["[]\n", "", ""]


def test_delete_takes_what_a_path_finds_or_refuses(jobs: Client) -> None:
    assert jobs.delete("/entity/Job/id::gt::1").status == 204
    assert state(jobs) == AS_MADE[:1]
    assert jobs.delete("/entity/Job/id::gt::1").status == 404


def test_delete_of_attributes_clears_them(jobs: Client) -> None:
    assert jobs.delete("/attribute/Job/id=1/state,no").status == 204
    assert state(jobs)[0] == (1, None, None, None)
    assert jobs.delete("/attribute/Job/id=1/id").status == 409
    assert jobs.delete("/attribute/Job/id=77/no").status == 404
    assert jobs.delete("/attribute/Job/id=1/RMT").status == 403
    assert jobs.delete("/attribute/Job/id=1/nosuch").status == 409


def _linked(jobs: Client, **actions: str) -> None:
    link = fkey("Step", "job", "Job", "id", **actions)
    jobs.table("Step", {"job": "int4", "title": "text"}, fkeys=(link,))
    answer = jobs.post("/entity/Step", [{"job": 1, "title": "s"}, {"title": "t"}])
    assert answer.status == 200


def _steps(jobs: Client) -> list[Any]:
    return [row["job"] for row in jobs.rows("/attribute/Step/job@sort(job)")]


def _delete_first(jobs: Client) -> Answer:
    return jobs.delete("/entity/Job/id=1")


def _renumber_first(jobs: Client) -> Answer:
    return jobs.put("/attributegroup/Job/id;new:=id", [{"id": 1, "new": 7}])


@pytest.mark.parametrize(
    ("action", "act", "status", "left"),
    [
        ({}, _delete_first, 409, [1, None]),
        ({"on_delete": "RESTRICT"}, _delete_first, 409, [1, None]),
        ({"on_delete": "CASCADE"}, _delete_first, 204, [None]),
        ({"on_delete": "SET NULL"}, _delete_first, 204, [None, None]),
        ({}, _renumber_first, 409, [1, None]),
        ({"on_update": "CASCADE"}, _renumber_first, 200, [7, None]),
        ({"on_update": "SET NULL"}, _renumber_first, 200, [None, None]),
    ],
)
def test_foreign_keys_do_what_they_say(
    jobs: Client, action: dict[str, str], act: Any, status: int, left: list[Any]
) -> None:
    _linked(jobs, **action)

    assert act(jobs).status == status
    assert _steps(jobs) == left


def test_rows_that_point_nowhere_are_refused(jobs: Client) -> None:
    _linked(jobs)

    assert jobs.post("/entity/Step", [{"job": 99}]).status == 409
    answer = jobs.put("/attributegroup/Step/title;job", [{"title": "s", "job": 99}])
    assert answer.status == 409
    assert _steps(jobs) == [1, None]


@pytest.mark.parametrize(
    ("nullok", "default", "status"), [(True, "x", 204), (False, None, 409)]
)
def test_set_default_needs_a_default_that_may_stand(
    jobs: Client, nullok: bool, default: str | None, status: int
) -> None:
    jobs.table("Kind", {"name": "text"}, keys=(("name",),))
    jobs.post("/entity/Kind", [{"name": "x"}, {"name": "y"}])
    column = {"name": "kind", "type": {"typename": "text"}, "default": default}
    jobs.post("/schema/Ops/table/Job/column", column)
    jobs.put("/attributegroup/Job/id;kind", [{"id": n, "kind": "y"} for n in (1, 2, 3)])
    jobs.put("/schema/Ops/table/Job/column/kind", {"nullok": nullok})
    link = fkey("Job", "kind", "Kind", "name", on_delete="SET DEFAULT")
    assert jobs.post("/schema/Ops/table/Job/foreignkey", link).status == 201

    assert jobs.delete("/entity/Kind/name=y").status == status
    kinds = {row["kind"] for row in jobs.rows("/attribute/Job/kind")}
    assert kinds == {default or "y"}


def test_a_default_that_would_be_null_is_refused(client: Client) -> None:
    client.table("Job", {"id": "int4"}, required=("id",))

    assert client.post("/entity/Job?defaults=id", [{}]).status == 409

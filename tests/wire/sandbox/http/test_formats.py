"""JSON, streams and CSV going out, errors, and what the service tells of itself."""

from __future__ import annotations

import json

import pytest

from tests.helpers.sandbox_client import Client

JOBS = [
    {"id": 1, "state": "new", "no": 5, "ok": True, "doc": {"a": 1}, "tags": ["x", "y"]},
    {"id": 2, "state": "new", "no": None, "ok": False, "tags": []},
    {"id": 3, "state": "", "no": -1, "doc": [1, 2]},
    {"id": 4, "state": None, "at": "2026-02-28T12:00:00+02:00", "tags": ["y", None]},
    {"id": 5, "state": "né/w, x", "no": 7},
]
COLUMNS = {
    "id": "int4",
    "state": "text",
    "no": "int8",
    "ok": "boolean",
    "doc": "jsonb",
    "tags": "text[]",
    "at": "timestamptz",
    "f": "float8",
}


@pytest.fixture
def jobs(client: Client) -> Client:
    client.table("Job", COLUMNS, keys=(("id",),), required=("id",))
    assert client.post("/entity/Ops:Job", JOBS).status == 200
    return client


def test_csv_is_postgresqls(jobs: Client) -> None:
    jobs.put("/attributegroup/Job/id;f", [{"id": 1, "f": 2}, {"id": 2, "f": 0.5}])
    path = "/attribute/Job/id,state,ok,tags,doc,at,f@sort(id)"

    plain = jobs.get(path, Accept="text/csv")
    arrays = jobs.get(f"{path}?accept=text%2Fcsv&arrays=json&limit=1")

    assert plain.text.splitlines() == [
        "id,state,ok,tags,doc,at,f",
        '1,new,t,"{x,y}","{""a"": 1}",,2',
        "2,new,f,{},,,0.5",
        '3,"",,{},"[1, 2]",,',
        '4,,,"{y,NULL}",,2026-02-28 10:00:00+00,',
        '5,"né/w, x",,{},,,',
    ]
    assert arrays.text.splitlines()[1] == '1,new,t,"[""x"",""y""]","{""a"": 1}",,2'


def test_streams_have_one_object_a_line_and_nothing_for_no_rows(jobs: Client) -> None:
    kind = "application/x-json-stream"

    some = jobs.get("/attribute/Job/id@sort(id)?limit=2", Accept=kind)
    none = jobs.get("/attribute/Job/id?limit=0", Accept=kind)
    head = jobs.get("/attribute/Job/id?limit=0", Accept="text/csv")

    assert some.text == '{"id": 1}\n{"id": 2}\n'
    assert (none.text, head.text) == ("", "id\n")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"),
        ("text/csv, application/json;q=0.5", "application/json"),
        ("text/csv;q=0.2, application/json;q=0.5", "text/csv"),
        ("image/png", "application/json"),
        ("text/csv;q=x", "text/csv"),
    ],
)
def test_the_least_preferred_type_wins(jobs: Client, accept: str, kind: str) -> None:
    answer = jobs.get("/attribute/Job/id", Accept=accept)

    assert answer.headers["content-type"].split(";")[0] == kind


def test_downloads_carry_a_file_name(jobs: Client) -> None:
    answer = jobs.get("/entity/Job?accept=csv&download=my%20jobs")

    expected = "attachment; filename*=UTF-8''my%20jobs.csv"
    assert answer.headers["content-disposition"] == expected


def test_errors_are_html_for_browsers(jobs: Client) -> None:
    answer = jobs.get("/entity/%3Cb%3E", Accept="text/html,*/*;q=0.1")

    assert answer.status == 409
    assert answer.headers["content-type"] == "text/html"
    assert "<b>" not in answer.text


def test_the_service_tells_its_features(jobs: Client) -> None:
    jobs.root = ""

    advertisement = jobs.get("/ermrest/")
    bare = jobs.get("/ermrest")

    assert advertisement.json["version"] == "0.5.0"
    assert advertisement.json["features"]["quantified_value_lists"] is True
    assert (bare.status, bare.headers["location"]) == (308, "/ermrest/")
    assert jobs.get("/ermrest/catalog").status == 405
    assert jobs.get("/nowhere").status == 404


def test_large_numbers_keep_every_digit(jobs: Client) -> None:
    body = '[{"id": 9, "no": 9007199254740993, "f": 1e300}]'

    written = jobs.post("/entity/Job", body)

    assert '"no": 9007199254740993' in written.text
    assert '"f": 1e+300' in written.text
    assert json.loads(written.text)[0]["f"] == 1e300

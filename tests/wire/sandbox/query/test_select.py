"""What GET answers: paths, filters, projections, order, pages, representations."""

from __future__ import annotations

import pytest

from tests.helpers.sandbox_client import Client, fkey

JOBS = [
    {"id": 1, "state": "new", "no": 5, "ok": True, "doc": {"a": 1}, "tags": ["x", "y"]},
    {"id": 2, "state": "new", "no": None, "ok": False, "tags": []},
    {"id": 3, "state": "", "no": -1, "day": "2026-02-28", "doc": [1, 2]},
    {"id": 4, "state": None, "at": "2026-02-28T12:00:00+02:00", "tags": ["y", None]},
    {"id": 5, "state": "né/w, x", "no": 7, "u": "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"},
]
COLUMNS = {
    "id": "int4",
    "state": "text",
    "no": "int8",
    "ok": "boolean",
    "doc": "jsonb",
    "tags": "text[]",
    "day": "date",
    "at": "timestamptz",
    "u": "uuid",
    "f": "float8",
}


@pytest.fixture
def jobs(client: Client) -> Client:
    client.table("Job", COLUMNS, keys=(("id",),), required=("id",))
    assert client.post("/entity/Ops:Job", JOBS).status == 200
    return client


@pytest.fixture
def linked(jobs: Client) -> Client:
    """Jobs, steps of them, and tools that two foreign keys of a step name."""
    jobs.table("Tool", {"name": "text"}, keys=(("name",),))
    jobs.table(
        "Step",
        {"job": "int4", "title": "text", "first": "text", "second": "text"},
        fkeys=(
            fkey("Step", "job", "Job", "id"),
            fkey("Step", "first", "Tool", "name"),
            fkey("Step", "second", "Tool", "name"),
        ),
    )
    jobs.post("/entity/Ops:Tool", [{"name": "saw"}, {"name": "file"}])
    steps = [
        {"job": 1, "title": "s1", "first": "saw", "second": "file"},
        {"job": 1, "title": "s2", "first": "saw"},
        {"job": 2, "title": "s3", "second": "file"},
    ]
    assert jobs.post("/entity/Ops:Step", steps).status == 200
    return jobs


@pytest.mark.parametrize(
    ("predicate", "ids"),
    [
        ("state=new", [1, 2]),
        ("state=", [3]),
        ("state=any()", [3]),
        ("state::null::", [4]),
        ("!state=new", [3, 5]),
        ("!state::null::", [1, 2, 3, 5]),
        ("state=n%C3%A9%2Fw%2C%20x", [5]),
        ("state=any(new,n%C3%A9%2Fw%2C%20x)", [1, 2, 5]),
        ("state=all(new,new)", [1, 2]),
        ("state=all(new,old)", []),
        ("no::gt::0", [1, 5]),
        ("no::gt::any(6,-2)", [1, 3, 5]),
        ("no::gt::all(0,5)", [5]),
        ("no=-1", [3]),
        ("no::leq::5&no::geq::5", [1]),
        ("no=5;no=7&state=new", [1]),
        ("(no=5;no=7)&!state=new", [5]),
        ("!(no=5;no::null::)", [3, 5]),
        ("ok=t", [1]),
        ("ok=false", [2]),
        ("doc=%7B%22a%22%3A1%7D", [1]),
        ("doc=%5B1%2C2%5D", [3]),
        ("tags=x", [1]),
        ("tags=any(x,y)", [1, 4]),
        ("tags=all(x,y)", [1]),
        ("!tags=x", [2, 3, 4, 5]),
        ("day=2026-02-28", [3]),
        ("day::lt::2026-03-01", [3]),
        ("at=2026-02-28T10%3A00%3A00%2B00%3A00", [4]),
        ("u=a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", [5]),
        ("state::regexp::%5En", [1, 2, 5]),
        ("state::ciregexp::%5ENEW%24", [1, 2]),
        ("ok::regexp::%5Etrue%24", [1]),
        ("*::ciregexp::N%C3%89", [5]),
        ("state::regexp::any(%5En%C3%A9,%5E%24)", [3, 5]),
    ],
)
def test_filters_keep_the_rules(jobs: Client, predicate: str, ids: list[int]) -> None:
    rows = jobs.rows(f"/attribute/Job/{predicate}/id@sort(id)")

    assert [row["id"] for row in rows] == ids


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("entity/Job/no=1.0", 400),
        ("entity/Job/no=x", 400),
        ("entity/Job/f=x", 400),
        ("entity/Job/doc=x", 400),
        ("entity/Job/doc=%5B1,2%5D", 400),
        ("entity/Job/ok=maybe", 409),
        ("entity/Job/day=2026-02-30", 409),
        ("entity/Job/at=soon", 409),
        ("entity/Job/u=x", 409),
        ("entity/Job/state::regexp::%5B", 409),
        ("entity/Job/state=a+b", 400),
        ("entity/Job/state=a(b)", 400),
        ("entity/Job/state=none(b)", 400),
        ("entity/Job/state=%FF", 400),
        ("entity/Job/state=%00", 400),
        ("entity/Job/state::GT::1", 400),
        ("entity/Job/state::ts::1", 400),
        ("entity/Job/state::null::x", 400),
        ("entity/Job/!!state=x", 400),
        ("entity/Job/nosuch=1", 409),
        ("entity/Job/Job:id=1", 409),
        ("entity/nosuch", 409),
        ("entity/nosuch:Job", 409),
        ("entity/Ops:Job/", 400),
        ("entity/", 400),
        ("entity", 400),
        ("attribute/Job", 400),
        ("attribute/Job/id,id", 400),
        ("attribute/Job/id,x:=id,x:=no", 400),
        ("attribute/Job/x:=*", 400),
        ("attribute/Job/cnt(id)", 400),
        ("attributegroup/Job/no:=cnt(id)", 400),
        ("aggregate/Job/id", 400),
        ("aggregate/Job/x:=id", 400),
        ("aggregate/Job/x:=sum(*)", 400),
        ("aggregate/Job/x:=min(ok)", 409),
        ("aggregate/Job/x:=sum(state)", 409),
        ("aggregate/Job/x:=avg(doc)", 409),
        ("aggregate/Job/x:=cnt(*)@sort(x)", 400),
        ("entity/Job@sort(nosuch)", 409),
        ("attribute/Job/id@sort(no)", 400),
        ("attributegroup/Job/id@sort(no)", 400),
        ("entity/Job@sort(id)@sort(id)", 400),
        ("entity/Job?limit=-1", 409),
        ("entity/Job?limit=1,2", 400),
        ("entity/Job?limit=", 400),
        ("entity/A:=Job/A:=(id)=(Ops:Job:id)", 400),
        ("entity/Job/$A", 400),
        ("entity/Job/(id)=(job)", 400),
        ("entity/Job/(id,no)=(Ops:Job:id)", 400),
        ("entity/Job/(id,no)=(Ops:Job:id,public:ERMrest_Client:ID)", 409),
        ("entity/A:=Job/B:=(id)=(Ops:Job:id)/(A:id,B:no)=(Ops:Job:id,no)", 409),
        ("entity/Job/*=x", 409),
        ("attribute/Job/bin(no;0;1;2)", 409),
        ("attribute/Job/bin(no;3;1;1)", 409),
        ("attribute/Job/bin(no;3)", 400),
        ("attribute/Job/bin(state;3;1;2)", 409),
        ("attribute/Job/other(no;3;1;2)", 400),
        ("entity/Job/Job", 409),
        ("entity_rid/ZZZZ-ZZZZ", 404),
        ("nosuch/Job", 404),
    ],
)
def test_bad_addresses_get_the_services_status(
    jobs: Client, path: str, status: int
) -> None:
    answer = jobs.get(f"/{path}")

    assert answer.status == status
    assert answer.headers["content-type"].startswith("text/plain")
    assert "etag" not in answer.headers


def test_a_bare_name_in_two_schemas_is_ambiguous(jobs: Client) -> None:
    jobs.post("/schema/Other")
    doc = jobs.get("/schema/Ops/table/Job").json
    doc["schema_name"], doc["keys"] = "Other", [{"unique_columns": ["RID"]}]
    assert jobs.post("/schema/Other/table", doc).status == 201

    assert jobs.get("/entity/Job").status == 409
    assert jobs.get("/entity/Other:Job").status == 200


@pytest.mark.parametrize(
    ("path", "titles"),
    [
        ("Job/Step", ["s1", "s2", "s3"]),
        ("Job/id=1/Step", ["s1", "s2"]),
        ("Job/(id)/title=s3", ["s3"]),
        ("Job/(Step:job)", ["s1", "s2", "s3"]),
        ("Job/(Ops:Step:job)", ["s1", "s2", "s3"]),
        ("Job/(id)=(Ops:Step:job)", ["s1", "s2", "s3"]),
        ("J:=Job/S:=Step/J:no=5", ["s1", "s2"]),
        ("J:=Job/S:=Step/$J/no=5/$S", ["s1", "s2"]),
        ("Tool/Step", ["s1", "s2", "s3"]),
        ("Tool/name=file/Step", ["s1", "s3"]),
        ("Tool/(Step:first)", ["s1", "s2"]),
        ("S:=Step/(first)/$S", ["s1", "s2"]),
        ("S:=Step/T:=(first)/U:=(S:second)/$S", ["s1"]),
        ("S:=Step/T:=left(first)=(Ops:Tool:name)/T:name::null::/$S", ["s3"]),
    ],
)
def test_links_join_as_they_say(linked: Client, path: str, titles: list[str]) -> None:
    rows = linked.rows(f"/entity/{path}@sort(title)")

    assert [row["title"] for row in rows] == titles


@pytest.mark.parametrize(
    "path",
    [
        "Tool/(name)",
        "Step/(title)",
        "Job/(nosuch)",
        "Job/(Step:title)",
        "Job/(X:id)",
        "J:=Job/S:=Step/(J:id,S:job)",
        "Job/(id)=(Ops:Step:nosuch)",
        "Job/Ops:Job",
    ],
)
def test_links_that_are_none_or_several_get_a_409(linked: Client, path: str) -> None:
    assert linked.get(f"/entity/{path}").status == 409


def test_entities_are_distinct_and_groups_see_every_combination(
    linked: Client,
) -> None:
    assert len(linked.rows("/entity/J:=Job/Step/$J")) == 2
    assert linked.rows("/aggregate/J:=Job/Step/no:=cnt(J:id),d:=cnt_d(J:id)") == [
        {"no": 3, "d": 2}
    ]


def test_attributes_of_other_instances_are_of_a_joined_row(linked: Client) -> None:
    rows = linked.rows("/attribute/J:=Job/S:=Step/J:state,title,j:=J:id@sort(title)")

    assert rows == [
        {"state": "new", "title": "s1", "j": 1},
        {"state": "new", "title": "s2", "j": 1},
        {"state": "new", "title": "s3", "j": 2},
    ]


def test_star_of_an_alias_names_its_columns_by_it(linked: Client) -> None:
    (row,) = linked.rows("/attribute/T:=Tool/name=saw/T:*,name")

    assert list(row) == [
        *("T:RID", "T:RCT", "T:RMT", "T:RCB", "T:RMB", "T:name"),
        "name",
    ]


def test_arrays_collect_values_and_whole_rows(linked: Client) -> None:
    (row,) = linked.rows("/aggregate/Tool/a:=array(name),d:=array_d(name),r:=array(*)")

    assert row["a"] == row["d"] == ["saw", "file"]
    assert [item["name"] for item in row["r"]] == ["saw", "file"]
    assert linked.rows("/aggregate/Tool/name=no/a:=array(name),no:=cnt(*)") == [
        {"a": None, "no": 0}
    ]


def test_bins_divide_fractions_and_times(jobs: Client) -> None:
    jobs.put("/attributegroup/Job/id;f", [{"id": 1, "f": 0.6}])
    times = "2026-02-28T00%3A00%3A00Z;2026-03-02T00%3A00%3A00Z"

    (half,) = jobs.rows("/attribute/Job/id=1/b:=bin(f;2;0;1)")
    (day,) = jobs.rows(f"/attribute/Job/id=4/b:=bin(at;2;{times})")

    assert half["b"] == [2, 0.5, 1.0]
    first, second = "2026-02-28T00:00:00+00:00", "2026-03-01T00:00:00+00:00"
    assert day["b"] == [1, first, second]


def test_bins_number_equal_parts_of_a_range(jobs: Client) -> None:
    rows = jobs.rows("/attributegroup/Job/b:=bin(no;2;0;6);c:=cnt(*)@sort(b)")

    assert rows == [
        {"b": [None, None, None], "c": 2},
        {"b": [0, None, 0], "c": 1},
        {"b": [2, 3, 6], "c": 1},
        {"b": [3, 6, None], "c": 1},
    ]


@pytest.mark.parametrize(
    ("tail", "ids"),
    [
        ("@sort(no)", [3, 1, 5, 2, 4]),
        ("@sort(no::desc::,id::desc::)", [4, 2, 5, 1, 3]),
        ("@sort(state,id)@after(new,1)", [2, 5, 4]),
        ("@sort(no,id)@after(7,5)", [2, 4]),
        ("@sort(no,id)@after(::null::,2)", [4]),
        ("@sort(no,id)@before(::null::,4)?limit=2", [5, 2]),
        ("@sort(id)@before(4)?limit=2", [2, 3]),
        ("@sort(id)@after(1)@before(4)", [2, 3]),
        ("@sort(id)@before(4)@after(1)", [2, 3]),
        ("@sort(id)?limit=2", [1, 2]),
        ("@sort(id)?limit=none&unknown=x;other", [1, 2, 3, 4, 5]),
    ],
)
def test_order_and_pages(jobs: Client, tail: str, ids: list[int]) -> None:
    assert [row["id"] for row in jobs.rows(f"/entity/Job{tail}")] == ids


def test_rids_are_found_in_any_spelling(jobs: Client) -> None:
    rid = jobs.rows("/attribute/Job/id=1/RID")[0]["RID"]
    spelled = rid.lower().replace("1", "l").replace("0", "o")

    for text in (spelled, f"any({spelled},ZZ)", rid[:1] + "-" + rid[1:]):
        assert len(jobs.rows(f"/entity/Job/RID={text}")) == 1, text
    assert jobs.get(f"/entity_rid/{spelled}").json == {
        "RID": rid,
        "schema_name": "Ops",
        "table_name": "Job",
    }


def test_a_deleted_rid_is_told_with_when(jobs: Client) -> None:
    rid = jobs.rows("/attribute/Job/id=1/RID")[0]["RID"]
    jobs.delete("/entity/Job/id=1")

    answer = jobs.get(f"/entity_rid/{rid}")

    assert answer.status == 200
    assert set(answer.json) == {
        *("RID", "schema_name", "table_name"),
        *("deleted_at", "last_visible_at", "last_visible_snaptime"),
    }


def test_arrays_sort_element_by_element_and_page_from_one(client: Client) -> None:
    client.table("Lot", {"id": "int4", "tags": "int4[]"}, keys=(("id",),))
    tags = [[2], [10], [], [2, None], [2, 1], None]
    rows = [{"id": at, "tags": item} for at, item in enumerate(tags)]
    assert client.post("/entity/Lot", rows).status == 200
    path = "/attribute/Lot/id,tags@sort(tags,id)"

    whole = [row["tags"] for row in client.rows(path)]

    assert whole == [[], [2], [2, 1], [2, None], [10], None]
    after = client.rows(f"{path}@after(%7B2%2C1%7D,4)")
    assert [row["tags"] for row in after] == [[2, None], [10], None]
    assert client.get(f"{path}@after(x,4)").status == 409

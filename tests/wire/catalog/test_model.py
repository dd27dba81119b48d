from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import ermpoll
from ermpoll.catalog.model import Reference, read_table, table_of
from ermpoll.errors import UsageError
from ermpoll.sandbox import Box
from tests.helpers.sandbox_client import Client, closing, fkey
from tests.helpers.tables import SYSTEM


@pytest.fixture(scope="module")
def catalog(shared_box: Box) -> Iterator[ermpoll.Catalog]:
    """Ops:Job with a vocabulary, a table of another schema with the same name."""
    shared_box.faults()
    url = shared_box.new_catalog()
    with closing(Client(url)) as client:
        client.table("Word", {"name": "text"}, keys=(("name",),))
        client.table(
            "Job",
            {"state": "text", "size": "int8", "tags": "text[]", "note": "markdown"},
            required=("size",),
            fkeys=(fkey("Job", "state", "Word", "name"),),
        )
        client.table("odd: name/1", {"a b": "jsonb"})
        client.post("/schema/Void")
        client.post("/schema/Old")
        client.post("/schema/Old/table", document("Word"))
    catalog = ermpoll.connect(url, {})
    yield catalog
    catalog.close()


def document(name: str) -> dict[str, Any]:
    columns = [
        {"name": column, "type": {"typename": kind}, "nullok": column in ("RCB", "RMB")}
        for column, kind in SYSTEM.items()
    ]
    keys = [{"unique_columns": ["RID"]}]
    return {"table_name": name, "column_definitions": columns, "keys": keys}


def test_columns_have_their_types_down_to_the_base(catalog):
    table = read_table(catalog, "Ops:Job")

    bases = {name: column.base for name, column in table.columns.items()}
    assert bases == {
        "RID": "text",
        "RCT": "timestamptz",
        "RMT": "timestamptz",
        "RCB": "text",
        "RMB": "text",
        "state": "text",
        "size": "int8",
        "tags": "text",
        "note": "text",
    }
    assert table.columns["tags"].is_array
    assert table.columns["tags"].typename == "text[]"
    assert table.columns["note"].typename == "markdown"
    assert not table.columns["size"].nullok


def test_keys_and_references_are_known(catalog):
    table = read_table(catalog, "Ops:Job")

    assert table.keys == (("RID",),)
    assert table.references == (
        Reference(column="state", schema="Ops", table="Word", referenced="name"),
    )
    assert ("name",) in read_table(catalog, "Ops:Word").keys


def test_a_bare_name_is_found_where_there_is_one(catalog):
    assert read_table(catalog, "Job").label == "Ops:Job"


def test_a_bare_name_of_two_tables_is_refused_with_both(catalog):
    with pytest.raises(
        UsageError, match=r"found Old:Word, Ops:Word; name one|found Ops"
    ):
        read_table(catalog, "Word")


@pytest.mark.parametrize("label", ["Ops:odd%3A name/1", "odd%3A name/1"])
def test_odd_names_are_quoted(catalog, label):
    table = read_table(catalog, label)

    assert table.path == "Ops:odd%3A%20name%2F1"
    assert table.columns["a b"].is_json


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (
            "Ops:Jobs",
            "expected a table of schema 'Ops', found 'Jobs'; did you mean 'Job",
        ),
        (
            "Opps:Job",
            "expected a schema of the catalog, found 'Opps'; did you mean 'Ops'",
        ),
        (
            "Jobb",
            "expected a table of the catalog, found 'Jobb'; did you mean 'Ops:Job",
        ),
        ("zzz:zzz", "expected a schema of the catalog, found 'zzz'; did you mean"),
    ],
)
def test_a_name_that_is_not_there_is_refused_with_the_closest(catalog, label, message):
    with pytest.raises(UsageError, match=message):
        read_table(catalog, label)


def test_in_a_schema_without_tables_there_is_none(catalog):
    with pytest.raises(UsageError, match="found 'Job'; there is none"):
        read_table(catalog, "Void:Job")


def test_a_column_that_is_not_there_is_refused_with_the_closest(catalog):
    table = read_table(catalog, "Ops:Job")

    assert table.column("state", "state").name == "state"
    with pytest.raises(
        UsageError, match="owner: expected a column of Ops:Job, found 'st"
    ):
        table.column("stat", "owner")
    with pytest.raises(UsageError, match="did you mean 'state'"):
        table.column("stat", "owner")


def test_rights_are_the_login_s():
    with ermpoll.sandbox.start(token="owner") as box:
        owner = ermpoll.connect(box.url, {"bearer-token": "owner"})
        nobody = ermpoll.connect(box.url, {})

        assert read_table(owner, "Imaging:Image").may_update is True
        assert read_table(nobody, "Imaging:Image").may_update is False


def test_domains_and_arrays_are_read_as_a_real_service_writes_them():
    base = {"typename": "text"}
    domain = {"typename": "markdown", "is_domain": True, "base_type": base}
    array = {"typename": "markdown[]", "is_array": True, "base_type": domain}
    columns = [
        {"name": "a", "type": array, "rights": {"update": None}},
        {"name": "b", "type": {"typename": "integer"}, "nullok": False},
    ]

    table = table_of(
        {
            "schema_name": "S",
            "table_name": "T",
            "column_definitions": columns,
            "keys": [],
            "foreign_keys": [],
        }
    )

    a, b = table.columns.values()
    assert (a.base, a.is_array, a.may_update) == ("text", True, None)
    assert (b.base, b.is_array, b.nullok) == ("int4", False, False)


@pytest.mark.parametrize(
    ("typename", "dtype"),
    [
        ("int4", "Int64"),
        ("serial8", "Int64"),
        ("numeric", "Float64"),
        ("boolean", "boolean"),
        ("timestamptz", "datetime64[us, UTC]"),
        ("ermrest_rmt", "datetime64[us, UTC]"),
        ("timestamp", "datetime64[us]"),
        ("date", "string"),
        ("markdown", "string"),
        ("made_up_here", "string"),
        ("jsonb", "object"),
        ("text[]", "object"),
    ],
)
def test_each_type_has_a_pandas_type(typename, dtype):
    column = {"name": "x", "type": {"typename": typename}, "nullok": True}
    table = table_of(
        {
            "schema_name": "S",
            "table_name": "T",
            "column_definitions": [column],
            "keys": [],
            "foreign_keys": [],
        }
    )

    assert table.columns["x"].dtype == dtype

"""From model addresses to what they name, without a catalog behind them."""

from __future__ import annotations

import pytest

from ermpoll.sandbox.errors import HttpError
from ermpoll.sandbox.model.acls import Rights
from ermpoll.sandbox.model.clients import Client
from ermpoll.sandbox.model.model import ColumnDef, Key, Model, Schema, TableDef
from ermpoll.sandbox.schema.address import Place, locate

ANN, BOB = Client("ann"), Client("bob")


def _column(name: str) -> ColumnDef:
    return ColumnDef(rid=name, name=name, typename="text", slot=f"c{len(name)}")


def _table(name: str) -> TableDef:
    return TableDef(
        rid=name,
        schema="S/1",
        name=name,
        slot="t1",
        columns={"RID": _column("RID"), "comment": _column("comment")},
        keys=[Key(rid="K", name="k", columns=["RID"])],
    )


def _model() -> Model:
    tables = {name: _table(name) for name in ("T", "comment")}
    tables["comment"].acls["enumerate"] = []
    schema = Schema(rid="S", name="S/1", tables=tables)
    acls = {"owner": ["ann"], "enumerate": ["*"], "select": ["*"]}
    return Model(schemas={"S/1": schema}, acls=acls)


def _at(path: str, client: Client = ANN) -> Place:
    return locate(Rights(_model(), client), path)


@pytest.mark.parametrize(
    ("path", "kind", "count"),
    [
        ("", "catalog", 1),
        ("schema/S%2F1", "schema", 1),
        ("schema/S%2F1/", "schema", 1),
        ("schema/none", "schema", 0),
        ("schema/S%2F1/table", "tables", 2),
        ("schema/S%2F1/table/T", "table", 1),
        ("schema/S%2F1/table/none", "table", 0),
        ("schema/S%2F1/table/T/column/RID", "column", 1),
        ("schema/S%2F1/table/T/column/none", "column", 0),
        ("schema/S%2F1/table/T/key", "keys", 1),
        ("schema/S%2F1/table/T/key/RID", "key", 1),
        ("schema/S%2F1/table/T/key/RID,comment", "key", 0),
        ("schema/S%2F1/table/T/foreignkey", "fkeys", 0),
    ],
)
def test_an_address_names_an_element(path: str, kind: str, count: int) -> None:
    place = _at(path)

    assert (place.kind, len(place.elements)) == (kind, count)


@pytest.mark.parametrize(
    ("path", "kind", "prop", "key"),
    [
        ("acl", "catalog", "acl", None),
        ("annotation/tag%3Ax", "catalog", "annotation", "tag:x"),
        ("schema/S%2F1/comment", "schema", "comment", None),
        ("schema/S%2F1/table/T/comment", "table", "comment", None),
        ("schema/S%2F1/table/T/acl_binding/b", "table", "acl_binding", "b"),
        ("schema/S%2F1/table/T/key/RID/annotation", "key", "annotation", None),
        # What is called like a property is an element where one can stand.
        ("schema/S%2F1/table/comment", "table", None, None),
        ("schema/S%2F1/table/T/column/comment", "column", None, None),
        ("schema/S%2F1/table/comment/comment", "table", "comment", None),
    ],
)
def test_properties_stand_behind_their_element(
    path: str, kind: str, prop: str | None, key: str | None
) -> None:
    place = _at(path)

    assert (place.kind, place.prop, place.key) == (kind, prop, key)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("schemas", 404),
        ("schema/S%2F1/tables", 404),
        ("comment", 404),
        ("schema/S%2F1/table/T/key/RID/acl", 404),
        ("schema/none/table", 409),
        ("schema/none/table/T", 409),
        ("schema/S%2F1/table/none/column", 409),
        ("schema/S%2F1/table/T/key/none", 409),
        ("schema/%FF", 400),
    ],
)
def test_an_address_of_nothing_is_refused(path: str, status: int) -> None:
    with pytest.raises(HttpError) as caught:
        _at(path)

    assert caught.value.status == status


def test_what_a_client_may_not_enumerate_is_not_there() -> None:
    assert _at("schema/S%2F1/table/comment", BOB).elements == ()
    assert [item.name for item in _at("schema/S%2F1/table", BOB).elements] == ["T"]
    with pytest.raises(HttpError) as caught:
        _at("schema/S%2F1/table/comment/column", BOB)
    assert caught.value.status == 409

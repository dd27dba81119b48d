"""Decisions on rights, without a catalog behind them."""

from __future__ import annotations

from typing import Any

import pytest

from ermpoll.sandbox.errors import HttpError
from ermpoll.sandbox.model.acls import Rights
from ermpoll.sandbox.model.clients import ANONYMOUS, Client
from ermpoll.sandbox.model.model import (
    SYSTEM_COLUMNS,
    ColumnDef,
    ForeignKey,
    Key,
    Model,
    Schema,
    TableDef,
)

ANN, BOB = Client("ann"), Client("bob", groups=frozenset(["students"]))


def _column(name: str, kind: str = "text") -> ColumnDef:
    return ColumnDef(rid=name, name=name, typename=kind, slot=f"c_{name}")


def _model(**acls: Any) -> Model:
    columns = {name: _column(name, kind) for name, kind in SYSTEM_COLUMNS.items()}
    columns["note"] = _column("note")
    table = TableDef(
        rid="T",
        schema="S",
        name="T",
        slot="t1",
        columns=columns,
        keys=[Key(rid="K", name="k", columns=["RID"])],
        fkeys=[
            ForeignKey(
                rid="F",
                name="f",
                columns=["note"],
                ref_table=("S", "T"),
                ref_columns=["RID"],
            )
        ],
    )
    schema = Schema(rid="S", name="S", tables={"T": table})
    return Model(schemas={"S": schema}, acls={"owner": ["ann"], **acls})


def _table(model: Model) -> TableDef:
    return model.schemas["S"].tables["T"]


def test_the_catalogs_owner_may_do_all_but_write_what_the_server_fills() -> None:
    model = _model()
    rights = Rights(model, ANN)

    assert rights.summary(_table(model)) == dict.fromkeys(
        ("owner", "insert", "update", "delete", "select"), True
    )
    rmt = _table(model).columns["RMT"]
    assert rights.summary(rmt, _table(model)) == {
        "insert": False,
        "update": False,
        "select": True,
        "delete": True,
    }


@pytest.mark.parametrize(
    ("acl", "given"),
    [
        ("select", {"select"}),
        ("update", {"select", "update"}),
        ("delete", {"select", "delete"}),
        ("insert", {"insert"}),
        ("write", {"select", "insert", "update", "delete"}),
        ("owner", {"select", "insert", "update", "delete", "owner"}),
        ("enumerate", set()),
    ],
)
def test_each_right_gives_those_that_it_implies(acl: str, given: set[str]) -> None:
    model = _model(enumerate=["*"])
    _table(model).acls[acl] = ["students"]

    told = Rights(model, BOB).summary(_table(model))

    assert {right for right, decision in told.items() if decision} == given


def test_a_list_of_ones_own_hides_the_one_above() -> None:
    model = _model(select=["*"])
    table = _table(model)

    assert Rights(model, BOB).table(table, "select") is True
    table.acls["select"] = []
    assert Rights(model, BOB).table(table, "select") is False
    table.columns["note"].acls["select"] = ["bob"]
    # A column gives nothing that its table denies.
    note = table.columns["note"]
    assert Rights(model, BOB).column(table, note, "select") is False


def test_nobody_without_login_changes_anything() -> None:
    model = _model(enumerate=["*"], select=["*"])
    _table(model).acls["write"] = ["*"]
    rights = Rights(model, ANONYMOUS)

    assert rights.table(_table(model), "select") is True
    assert rights.table(_table(model), "update") is False
    with pytest.raises(HttpError) as raised:
        rights.demand_element(_table(model), None, "update")
    assert raised.value.status == 401


def test_a_binding_leaves_the_decision_to_the_rows_of_those_in_its_scope() -> None:
    model = _model(enumerate=["*"])
    table = _table(model)
    table.acl_bindings["mine"] = {
        "types": ["update"],
        "projection": "note",
        "projection_type": "acl",
        "scope_acl": ["students"],
    }

    assert Rights(model, BOB).table(table, "update") is None
    assert Rights(model, BOB).table(table, "select") is None
    assert Rights(model, BOB).table(table, "delete") is False
    assert Rights(model, Client("eve")).table(table, "update") is False
    note = table.columns["note"]
    assert Rights(model, BOB).column(table, note, "update") is None
    note.acl_bindings["mine"] = False
    assert Rights(model, BOB).column(table, note, "update") is False


def test_what_may_not_be_enumerated_is_not_there() -> None:
    model = _model(enumerate=["*"])
    table = _table(model)
    table.columns["note"].acls["enumerate"] = []
    rights = Rights(model, BOB)

    assert [column.name for column in rights.seen_columns(table)] == [*SYSTEM_COLUMNS]
    with pytest.raises(HttpError) as raised:
        rights.seen_column(table, "note")
    assert raised.value.status == 409
    assert not rights.fkey(table, table.fkeys[0], "enumerate")
    table.acls["enumerate"] = []
    with pytest.raises(HttpError) as raised:
        Rights(model, BOB).seen_table(model.schemas["S"], "T", last=True)
    assert raised.value.status == 404


def test_a_snapshot_tells_only_what_may_be_read() -> None:
    model = _model()

    told = Rights(model, ANN, snapshot=True).summary(_table(model))

    assert told == {
        "owner": False,
        "insert": False,
        "update": False,
        "delete": False,
        "select": True,
    }

"""What a catalog shows of its past."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.helpers.sandbox_client import Client

CAPTURE = "tag:isrd.isi.edu,2020:history-capture"


def _now(client: Client) -> str:
    return str(client.get("/").json["snaptime"])


def _at(client: Client, snapshot: str, path: str) -> list[dict[str, Any]]:
    root, client.root = client.root, f"{client.root}@{snapshot}"
    try:
        return client.rows(path)
    finally:
        client.root = root


@pytest.fixture
def lots(client: Client) -> Client:
    """A client on a catalog with a table of two rows."""
    client.table("Lot", {"id": "int4", "state": "text"}, keys=(("id",),))
    client.post("/entity/Ops:Lot", [{"id": 1, "state": "a"}, {"id": 2, "state": "a"}])
    return client


def test_a_column_with_a_default_makes_one_new_version_of_each_row(
    lots: Client,
) -> None:
    before = lots.rows("/attribute/Ops:Lot/id,RMT@sort(id)")
    then = _now(lots)

    column = {"name": "x", "type": {"typename": "int4"}, "default": 7, "nullok": False}
    assert lots.post("/schema/Ops/table/Lot/column", column).status == 201

    after = lots.rows("/attribute/Ops:Lot/id,RMT,x@sort(id)")
    assert [row["x"] for row in after] == [7, 7]
    assert all(new["RMT"] > old["RMT"] for new, old in zip(after, before, strict=True))
    assert _at(lots, then, "/attribute/Ops:Lot/id,RMT@sort(id)") == before


def test_a_column_that_changes_its_type_shows_the_past_as_it_was(lots: Client) -> None:
    lots.put("/attributegroup/Ops:Lot/id;state", [{"id": 1, "state": "12"}])
    lots.put("/attributegroup/Ops:Lot/id;state", [{"id": 2, "state": "34"}])
    rows = lots.rows("/attribute/Ops:Lot/id,state,RMT@sort(id)")
    then = _now(lots)

    column = "/schema/Ops/table/Lot/column/state"
    assert lots.put(column, {"type": {"typename": "int4"}}).status == 200
    lots.put("/attributegroup/Ops:Lot/id;state", [{"id": 2, "state": 5}])

    now = lots.rows("/attribute/Ops:Lot/id,state,RMT@sort(id)")
    assert [row["state"] for row in now] == [12, 5]
    # A change of type is none of the rows.
    assert now[0]["RMT"] == rows[0]["RMT"]
    assert _at(lots, then, "/attribute/Ops:Lot/id,state,RMT@sort(id)") == rows


def test_a_dropped_column_is_seen_in_rows_that_changed_since(lots: Client) -> None:
    then = _now(lots)
    lots.delete("/schema/Ops/table/Lot/column/state")
    lots.put("/attributegroup/Ops:Lot/id;id2:=id", [{"id": 1, "id2": 9}])

    rows = _at(lots, then, "/attribute/Ops:Lot/id,state@sort(id)")

    assert rows == [{"id": 1, "state": "a"}, {"id": 2, "state": "a"}]


def test_a_rid_tells_where_its_row_was_and_when_it_went(lots: Client) -> None:
    one, two = (row["RID"] for row in lots.rows("/entity/Ops:Lot@sort(id)"))
    then = _now(lots)
    lots.delete("/entity/Ops:Lot/id=1")
    gone = lots.get(f"/entity_rid/{one}").json
    lots.delete("/schema/Ops/table/Lot")
    dropped = lots.get(f"/entity_rid/{two}").json

    assert gone["last_visible_snaptime"] == then
    assert gone["deleted_at"] > gone["last_visible_at"]
    assert (dropped["table_name"], "deleted_at" in dropped) == ("Lot", True)
    lots.root += f"@{then}"
    assert lots.get(f"/entity_rid/{one}").json == {
        "RID": one,
        "schema_name": "Ops",
        "table_name": "Lot",
    }


def test_a_table_without_history_is_not_there_in_snapshots(lots: Client) -> None:
    path = f"/schema/Ops/table/Lot/annotation/{quote(CAPTURE, safe='')}"
    then = _now(lots)
    assert lots.put(path, False).status == 201
    off = _now(lots)

    assert len(_at(lots, then, "/entity/Ops:Lot")) == 2
    lots.root += f"@{off}"
    assert lots.get("/entity/Ops:Lot").status == 409
    assert lots.get("/schema/Ops/table/Lot").status == 404


def test_cut_history_is_gone_for_good_and_the_present_stays(lots: Client) -> None:
    first = _now(lots)
    lots.put("/attributegroup/Ops:Lot/id;state", [{"id": 1, "state": "b"}])
    cut = _now(lots)
    lots.put("/attributegroup/Ops:Lot/id;state", [{"id": 1, "state": "c"}])

    assert lots.delete("/history/,").status == 400
    assert lots.delete(f"/history/,{cut}").status == 204

    assert lots.get("/history/,").json["snaprange"][0] == cut
    assert [row["state"] for row in _at(lots, cut, "/entity/Ops:Lot@sort(id)")] == [
        "b",
        "a",
    ]
    assert lots.rows("/entity/Ops:Lot/id=1")[0]["state"] == "c"
    lots.root += f"@{first}"
    assert lots.get("/entity/Ops:Lot").status == 409


def test_acls_of_the_past_can_be_amended_for_a_period(lots: Client) -> None:
    rid = lots.get("/schema/Ops/table/Lot").json["RID"]
    first = _now(lots)
    lots.put("/attributegroup/Ops:Lot/id;state", [{"id": 1, "state": "b"}])
    second = _now(lots)
    lots.put("/attributegroup/Ops:Lot/id;state", [{"id": 1, "state": "c"}])
    third = _now(lots)
    path = f"/history/{first},{third}/acl/{rid}"

    assert lots.get(path).json["amendver"] is None
    assert lots.put(path, {"select": ["bob"]}).status == 204
    assert lots.put(path, {"nosuch": []}).status == 409
    assert lots.put(f"/history/{first},/acl/{rid}", {}).status == 400
    assert lots.put(f"/history/{first},{third}/acl/0-NONE", {}).status == 404

    assert lots.get(path).json["amendver"] is not None
    live, acls = lots.root, "/schema/Ops/table/Lot/acl"
    shown = {}
    for snapshot in (first, second, third):
        lots.root = f"{live}@{snapshot}"
        shown[snapshot] = lots.get(acls).json
    lots.root = live
    assert shown == {first: {"select": ["bob"]}, second: {"select": ["bob"]}, third: {}}
    assert lots.get(acls).json == {}


def test_values_of_the_past_can_be_redacted(lots: Client) -> None:
    columns = lots.get("/schema/Ops/table/Lot/column").json
    rids = {column["name"]: column["RID"] for column in columns}
    first = _now(lots)
    both = [{"id": 1, "state": "b"}, {"id": 2, "state": "b"}]
    lots.put("/attributegroup/Ops:Lot/id;state", both)
    last = _now(lots)
    path = f"/history/{first},{last}/attribute"

    assert lots.delete(f"{path}/{rids['RID']}").status == 409
    assert lots.delete(f"{path}/{rids['state']}/{rids['id']}=1").status == 204

    rows = _at(lots, first, "/attribute/Ops:Lot/id,state@sort(id)")
    assert rows == [{"id": 1, "state": None}, {"id": 2, "state": "a"}]
    assert {row["state"] for row in lots.rows("/entity/Ops:Lot")} == {"b"}

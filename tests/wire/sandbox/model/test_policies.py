"""Rights over the wire: users, leases, and random policies against a referee."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import ermpoll
from ermpoll.errors import UsageError
from ermpoll.sandbox import Box
from ermpoll.sandbox import box as boxes
from ermpoll.sandbox.app import Options
from ermpoll.sandbox.model.clients import User
from ermpoll.sandbox.process import SandboxThread
from tests.helpers.sandbox_client import Client, closing
from tests.helpers.sandbox_processes import refused, serving

Who = Callable[[str], Client]
BOB = "https://sandbox.example.org/id/bob"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Box]:
    """A sandbox with an owner, a student and somebody else."""
    users = (User.parse("bob:bob-token:students"), User.parse("eve"))
    thread = SandboxThread(Options(token="own", users=users))
    with boxes.of_thread(thread, token="own") as box:
        yield box


@pytest.fixture
def who(guarded: Box) -> Iterator[Who]:
    """Clients on a new catalog, by token."""
    url = guarded.new_catalog()
    with ExitStack() as stack:
        yield lambda token: stack.enter_context(
            closing(Client(url, {"Authorization": f"Bearer {token}"}))
        )


def test_a_user_has_a_name_an_id_and_its_groups(who: Who) -> None:
    bob = who("bob-token")
    bob.root = ""

    doc = bob.get("/authn/session").json

    assert doc["client"] == {"id": BOB, "display_name": "bob"}
    assert [item["id"] for item in doc["attributes"]] == [BOB, "students"]


def test_clients_and_groups_are_noted_for_the_owner_alone(who: Who) -> None:
    owner, bob = who("own"), who("bob-token")
    owner.put("/acl/enumerate", ["*"])
    bob.get("/")

    clients = owner.rows("/entity/public:ERMrest_Client")
    groups = owner.rows("/attribute/public:ERMrest_Group/ID,Display_Name")
    assert {row["ID"]: row["Client_Object"]["id"] for row in clients}[BOB] == BOB
    assert groups == [{"ID": "students", "Display_Name": "students"}]
    assert bob.get("/entity/public:ERMrest_Client").status == 409
    assert bob.get("/schema/public/table/ERMrest_Client").status == 404


def test_a_right_of_a_group_is_its_members(who: Who) -> None:
    owner = who("own")
    owner.table("Job", {"state": "text"})
    owner.put("/acl/enumerate", ["*"])
    owner.put("/schema/Ops/table/Job/acl/select", ["students"])

    assert who("bob-token").get("/entity/Ops:Job").status == 200
    assert who("eve").get("/entity/Ops:Job").status == 403
    assert who("nobody").get("/entity/Ops:Job").status == 401


def test_a_lease_lets_its_client_choose_a_rid_once(who: Who) -> None:
    owner, bob, eve = who("own"), who("bob-token"), who("eve")
    owner.table("Job", {"state": "text"})
    owner.put("/acl/enumerate", ["*"])
    owner.put("/acl/insert", [BOB, "https://sandbox.example.org/id/eve"])
    (lease,) = bob.post("/entity/public:ERMrest_RID_Lease", [{"ID": "one"}]).json
    row = [{"RID": lease["RID"], "state": "new"}]
    path = "/entity/Ops:Job?nondefaults=RID"

    assert eve.post(path, row).status == 403
    assert eve.rows("/entity/public:ERMrest_RID_Lease") == []
    assert bob.post(path, row).json[0]["RID"] == lease["RID"]
    assert owner.rows("/entity/public:ERMrest_RID_Lease") == []
    assert bob.post(path, [{"RID": "2-TEST", "state": "new"}]).status == 403
    assert owner.post(path, [{"RID": "1-00AA", "state": "new"}]).status == 200


def test_who_may_create_owns_what_is_made(who: Who) -> None:
    owner, bob = who("own"), who("bob-token")
    owner.put("/acl/enumerate", ["*"])
    assert bob.post("/schema/Mine").status == 403
    owner.put("/acl/create", ["students"])

    bob.table("Job", {"state": "text"})

    shown = bob.get("/schema/Ops/table/Job").json
    assert bob.get("/schema/Ops/acl/owner").json == [BOB]
    assert all(shown["rights"].values())
    assert bob.put("/schema/Ops/table/Job/acl/owner", ["students"]).status == 200
    # Nobody can give away the last hold on an element.
    assert bob.put("/schema/Ops/table/Job/acl/owner", []).status == 200
    assert bob.put("/schema/Ops/acl/owner", []).status == 403


# ---- random policies

_IMPLIED = {
    "select": {"owner", "write", "update", "delete"},
    "update": {"owner", "write"},
    "delete": {"owner", "write"},
}


def _referee(acls: Any, binding: Any, right: str, row: dict[str, Any]) -> bool:
    """Say what a row's policy lets bob do; the ten lines that the code is held to."""
    enough = {right, *_IMPLIED[right]}
    if any(acls.get(name) for name in enough):
        return True
    if binding is not None and enough & set(binding["types"]):
        return bool(row["keeper"] == BOB)
    return False


@pytest.mark.parametrize("seed", range(12))
def test_random_policies_do_what_the_referee_says(who: Who, seed: int) -> None:
    choice = random.Random(seed)
    owner, bob = who("own"), who("bob-token")
    owner.table("Job", {"id": "int4", "state": "text", "keeper": "text"})
    owner.put("/acl/enumerate", ["*"])
    rows = [{"id": n, "keeper": choice.choice((BOB, "eve", None))} for n in range(8)]
    owner.post("/entity/Ops:Job", rows)
    rights = [*_IMPLIED]
    acls = {name: [BOB] for name in choice.sample(rights, choice.randrange(2))}
    types = choice.sample([*rights, "owner"], choice.randrange(3))
    binding = {"types": types, "projection": "keeper"} if types else None
    owner.put("/schema/Ops/table/Job/acl", acls)
    if binding is not None:
        owner.put("/schema/Ops/table/Job/acl_binding/keeper", binding)

    def may(right: str, row: dict[str, Any]) -> bool:
        return _referee(acls, binding, right, row)

    seen = bob.get("/attribute/Ops:Job/id@sort(id)")
    # where no right is given at all, the table refuses to be read or written
    is_closed = binding is None and not acls
    assert (seen.status == 403) == is_closed
    rows = [] if is_closed else rows
    visible = [row["id"] for row in rows if may("select", row)]
    assert [row["id"] for row in (seen.json if rows else [])] == visible
    change = [{"id": row["id"], "state": "new"} for row in rows]
    for row, said in zip(rows, change, strict=True):
        answer = bob.put("/attributegroup/Ops:Job/id;state", [said])
        assert (answer.status == 200) == may("update", row), (row, answer)
    whole = bob.put("/attributegroup/Ops:Job/id;state", change)
    may_all = bool(rows) and all(may("update", row) for row in rows)
    assert (whole.status == 200) == may_all
    for row in rows:
        answer = bob.delete(f"/entity/Ops:Job/id={row['id']}")
        assert (answer.status == 204) == may("delete", row), (row, answer)


# ---- how users come to be


def test_the_kit_connects_as_a_user() -> None:
    with ermpoll.sandbox.start(users={"bob": ["students"], "eve": []}) as box:
        assert box.users["bob"] == BOB
        owner, bob = box.catalog(), box.catalog(user="bob")
        assert bob.get("entity/Imaging:Dataset").rows
        owner.put("entity/Imaging:Dataset", [])
        with pytest.raises(ermpoll.errors.CatalogError):
            bob.put("attributegroup/Imaging:Image/RID;Priority", [{"RID": "2"}])
        with pytest.raises(UsageError, match="bob, eve"):
            box.catalog(user="ann")


def test_a_process_takes_users() -> None:
    with (
        serving(token="own", users=["bob::students"]) as (_, line),
        closing(Client(line["url"], {"Authorization": "Bearer bob"})) as client,
    ):
        client.root = ""
        assert client.get("/authn/session").json["client"]["id"] == BOB


def test_a_group_may_be_called_by_an_address() -> None:
    user = User.parse("bob::https://auth.example.org/id/1,students")

    assert user.token == "bob"
    assert user.groups == {"https://auth.example.org/id/1", "students"}


@pytest.mark.parametrize("text", ["", "a b", "/etc"])
def test_what_is_no_user_is_a_message(text: str) -> None:
    code, message = refused(token="own", users=[text])

    assert code == 2
    assert "NAME[:TOKEN][:GROUP,...]" in message


def test_users_need_a_token_for_the_owner() -> None:
    code, message = refused(users=["bob"])

    assert code == 2
    assert "--token" in message

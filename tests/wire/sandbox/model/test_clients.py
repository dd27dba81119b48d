"""Logins, sessions, and what owners, others and nobody may do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import ermpoll
from ermpoll.sandbox import Box
from tests.helpers.sandbox_client import Client, closing

TOKEN = "s3cret-of-ada"
OTHER = "s3cret-of-bo"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Box]:
    with ermpoll.sandbox.start(token=TOKEN, tokens={OTHER: "bo"}) as box:
        yield box


@pytest.fixture
def anonymous(guarded: Box) -> Iterator[Client]:
    with closing(Client(guarded.url)) as client:
        yield client


@pytest.mark.parametrize(
    "login",
    [
        {"Authorization": f"Bearer {TOKEN}"},
        {"Authorization": f"bearer {TOKEN}"},
        {"Cookie": f"webauthn={TOKEN}"},
        {"Cookie": f"a=b; webauthn={TOKEN}|more; c=d"},
    ],
)
def test_a_bearer_token_or_a_cookie_is_a_login(
    anonymous: Client, login: dict[str, str]
) -> None:
    anonymous.root = ""

    answer = anonymous.send("GET", "/authn/session", headers=login)

    assert answer.status == 200
    assert answer.json["client"]["display_name"] == "Ada Lovelace"
    assert answer.json["seconds_remaining"] == 1800
    assert answer.json["attributes"][0]["id"] == answer.json["client"]["id"]


@pytest.mark.parametrize(
    "login",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Cookie": "webauthn=wrong"},
        {"Cookie": '=;;="'},
    ],
)
def test_an_unknown_login_is_anonymous_and_no_error(
    anonymous: Client, login: dict[str, str]
) -> None:
    read = anonymous.send("GET", "/entity/Imaging:Image?limit=1", headers=login)
    write = anonymous.send("PUT", "/attributegroup/Imaging:Image/RID;Bytes", [], login)
    anonymous.root = ""

    assert (read.status, write.status) == (200, 401)
    assert anonymous.send("GET", "/authn/session", headers=login).status == 404


def test_another_client_may_read_and_is_forbidden_to_write(anonymous: Client) -> None:
    login = {"Authorization": f"Bearer {OTHER}"}

    read = anonymous.send("GET", "/entity/Imaging:Image?limit=1", headers=login)
    write = anonymous.send("DELETE", "/entity/Imaging:Image", headers=login)
    model = anonymous.send("POST", "/schema/New", headers=login)

    assert (read.status, write.status, model.status) == (200, 403, 403)


def test_each_login_has_etags_of_its_own(anonymous: Client) -> None:
    path = "/aggregate/Imaging:Image/no:=cnt(*)"

    etags = {
        anonymous.send("GET", path, headers={"Authorization": f"Bearer {token}"}).etag
        for token in (TOKEN, OTHER, "wrong")
    }

    assert len({etag.split(";")[0] for etag in etags}) == 3


def test_a_new_client_moves_the_etag_once() -> None:
    box = ermpoll.sandbox.start(token=TOKEN, tokens={OTHER: "bo"})
    with box, closing(Client(box.url)) as client:
        first = client.get("/entity/Imaging:Dataset").etag
        client.get("/entity/Imaging:Dataset", Authorization=f"Bearer {OTHER}")
        second = client.get("/entity/Imaging:Dataset").etag
        client.get("/entity/Imaging:Dataset", Authorization=f"Bearer {OTHER}")
        third = client.get("/entity/Imaging:Dataset").etag

    assert first != second == third


def test_a_form_logs_in_and_sets_the_cookie(anonymous: Client) -> None:
    anonymous.root = ""
    kind = "application/x-www-form-urlencoded"

    wrong = anonymous.post("/authn/session", "password=wrong", Content_Type=kind)
    right = anonymous.post(
        "/authn/session", f"username=ada&password={TOKEN}", Content_Type=kind
    )

    assert wrong.status == 401
    assert right.status == 201
    cookie = right.headers["set-cookie"].split(";")[0]
    assert anonymous.get("/authn/session", Cookie=cookie).status == 200
    assert anonymous.put("/authn/session", None, Cookie=cookie).status == 200
    again = anonymous.send("POST", "/authn/session", None, {"Cookie": cookie})
    assert again.status == 409
    logout = anonymous.delete("/authn/session", Cookie=cookie)
    assert logout.json == {"logout_url": "/"}


def test_a_new_catalog_is_its_owners_alone(anonymous: Client, guarded: Box) -> None:
    anonymous.root = "/ermrest/catalog"
    login = {"Authorization": f"Bearer {TOKEN}"}

    refused = anonymous.send("POST", "", {})
    made = anonymous.send("POST", "/", {"name": "mine"}, login)

    assert refused.status == 401
    assert made.status == 201
    number = made.json["id"]
    assert made.headers["location"] == f"/ermrest/catalog/{number}"
    other = {"Authorization": f"Bearer {OTHER}"}
    statuses = [
        anonymous.send("GET", f"/{number}{path}", headers=who).status
        for path in ("", "/schema", "/entity/public:ERMrest_Client")
        for who in ({}, other, login)
    ]
    assert statuses == [401, 403, 200] * 3
    shown = anonymous.send("GET", f"/{number}/", headers=login).json
    assert (shown["name"], shown["rights"]["owner"]) == ("mine", True)
    assert anonymous.send("DELETE", f"/{number}", headers=other).status == 403
    assert anonymous.send("DELETE", f"/{number}", headers=login).status == 204
    assert anonymous.send("GET", f"/{number}", headers=login).status == 404


@pytest.mark.parametrize(
    ("doc", "status"),
    [
        ({"id": "1"}, 409),
        ({"owner": ["somebody else"]}, 409),
        ({"id": "a/b"}, 400),
        ({"id": 5}, 400),
        ([], 400),
        ("{", 400),
    ],
)
def test_bad_catalogs_are_refused(anonymous: Client, doc: object, status: int) -> None:
    anonymous.root = "/ermrest/catalog"
    login = {"Authorization": f"Bearer {TOKEN}"}

    assert anonymous.send("POST", "", doc, login).status == status


def test_acls_are_the_owners_to_see(anonymous: Client) -> None:
    login = {"Authorization": f"Bearer {TOKEN}"}

    assert anonymous.get("/acl").status == 401
    assert anonymous.get("/acl/select", **login).json == ["*"]
    assert "acls" not in anonymous.get("/schema").json
    assert "acls" in anonymous.get("/schema", **login).json


def test_a_catalogs_id_is_plain_text_for_who_asks(own_box: Box) -> None:
    with closing(Client(own_box.url)) as client:
        client.root = "/ermrest/catalog"
        made = client.post("", {"id": "mine"}, Accept="text/plain")
        again = client.delete("/mine"), client.post("", {"id": "mine"})
        vacuum = client.post("/1?vacuum")

    assert (made.status, made.text) == (201, "mine\n")
    assert [answer.status for answer in again] == [204, 409]
    assert vacuum.status == 204


def test_every_form_logs_in_where_nobody_needs_to(own_box: Box) -> None:
    with closing(Client(own_box.url)) as client:
        client.root = ""
        answer = client.post("/authn/session", "username=x&password=y")
        patch = client.send("PATCH", "/authn/session")

    assert answer.json["client"]["display_name"] == "Ada Lovelace"
    assert patch.status == 405


def test_a_catalog_without_a_table_of_clients_serves_them_all_the_same(
    own_box: Box,
) -> None:
    with closing(Client(own_box.new_catalog())) as client:
        dropped = client.delete("/schema/public/table/ERMrest_Client")
        again = client.get("/schema")

    assert (dropped.status, again.status) == (204, 200)


def test_an_expired_login_runs_as_anonymous(own_box: Box) -> None:
    with closing(Client(own_box.url)) as client:
        mine = client.get("/entity/Imaging:Dataset").etag
        own_box.faults(logged_out=True)
        gone = client.get("/entity/Imaging:Dataset", If_None_Match=mine)
        write = client.put("/attributegroup/Imaging:Image/RID;Bytes", [])

    # The rows are public, so it is a 200; only the first part of the ETag tells.
    assert gone.status == 200
    assert gone.etag.split(";")[0] != mine.split(";")[0]
    assert write.status == 401

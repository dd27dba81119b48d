from __future__ import annotations

from types import SimpleNamespace

import pytest
from deriva.core import DerivaServer, ErmrestCatalog

import ermpoll
from ermpoll.catalog.addresses import catalog_url, of_deriva
from ermpoll.errors import UsageError

CATALOG = "https://data.example.org/ermrest/catalog/1"


@pytest.mark.parametrize(
    "text",
    [
        CATALOG,
        f"{CATALOG}/",
        f"{CATALOG}/entity/S:T/RID=1",
        f"{CATALOG}?x=1",
        "https://data.example.org/chaise/recordset/#1/S:T",
        "https://data.example.org/chaise/recordset/#1/S:T/*::facets::N4Ig@sort(RID)",
        "https://data.example.org/chaise/record/?pcid=x#1/S:T/RID=1-2",
        "https://data.example.org/~ada/chaise/record/#1/S:T/RID=1-2",
    ],
)
def test_addresses_of_a_catalog_and_of_its_pages_name_the_catalog(text):
    assert catalog_url(text) == CATALOG


def test_a_snapshot_and_a_port_stay_in_the_address():
    text = "http://localhost:8080/ermrest/catalog/1@2ZZ-AAAA"

    assert catalog_url(f"{text}/entity/S:T") == text


@pytest.mark.parametrize(
    "text",
    [
        "1",
        "data.example.org/ermrest/catalog/1",
        "https://data.example.org",
        "https://data.example.org/ermrest/catalog/",
        "https://data.example.org/chaise/recordset/",
        "ftp://data.example.org/ermrest/catalog/1",
        "https:///ermrest/catalog/1",
        "https://a b/ermrest/catalog/1",
        "javascript:alert(1)//https://x/ermrest/catalog/1",
        r"http://evil.example.com\.localhost/ermrest/catalog/1",
        r"http://evil.example.com\@localhost/ermrest/catalog/1",
    ],
)
def test_other_texts_are_refused(text):
    with pytest.raises(UsageError, match="expected an address like https://host"):
        catalog_url(text)


@pytest.mark.parametrize("port", ["99999", "abc", "-1", "0"])
def test_a_port_that_is_none_is_refused(port):
    with pytest.raises(UsageError, match="port from 1 to 65535"):
        catalog_url(f"https://data.example.org:{port}/ermrest/catalog/1")


def test_a_login_in_an_address_is_refused_and_not_repeated():
    for place in (
        "https://ada:s3cret@host/ermrest/catalog/1",
        "https://ada:s3cret@h/x",
    ):
        with pytest.raises(UsageError) as refused:
            catalog_url(place)

        assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("text", [None, ""])
def test_no_address_says_where_to_give_one(text, monkeypatch):
    monkeypatch.delenv("ERMPOLL_CATALOG", raising=False)

    with pytest.raises(UsageError, match="ERMPOLL_CATALOG"):
        ermpoll.connect(text)


def test_without_an_address_the_environment_s_is_taken(monkeypatch):
    monkeypatch.setenv("ERMPOLL_CATALOG", f"{CATALOG}/entity/S:T")

    assert ermpoll.connect(credentials={}).url == CATALOG


@pytest.mark.parametrize(
    ("login", "expected"),
    [
        ({}, {}),
        ({"bearer-token": "t0k"}, {"bearer-token": "t0k"}),
        ({"cookie": "webauthn=t0k"}, {"cookie": "webauthn=t0k"}),
    ],
)
@pytest.mark.parametrize("host", ["data.example.org", "localhost:8080"])
def test_a_deriva_py_catalog_gives_its_address_and_its_login(host, login, expected):
    theirs = ErmrestCatalog("https", host, "1", login)

    found = of_deriva(theirs, None)

    assert found == (f"https://{host}/ermrest/catalog/1", expected)


def test_credentials_given_come_before_those_of_a_deriva_py_object():
    theirs = ErmrestCatalog("https", "data.example.org", "1", {"bearer-token": "old"})

    assert of_deriva(theirs, {"bearer-token": "new"})[1] == {"bearer-token": "new"}


def test_a_deriva_py_object_that_is_no_catalog_is_refused():
    with pytest.raises(UsageError, match="expected an address like"):
        ermpoll.connect(DerivaServer("https", "data.example.org"))


@pytest.mark.parametrize("thing", [7, SimpleNamespace(url="x"), ["https://x"]])
def test_other_objects_are_refused_by_their_kind(thing):
    with pytest.raises(UsageError, match=f"found {type(thing).__name__}"):
        ermpoll.connect(thing)

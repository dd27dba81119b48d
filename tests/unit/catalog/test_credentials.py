from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from deriva.core import DerivaServer, ErmrestCatalog

import ermpoll
from ermpoll.catalog.credentials import (
    Login,
    Session,
    catalog_url,
    find_credentials,
    is_loopback,
    is_safe,
    of_deriva,
    origin,
    session_of,
)
from ermpoll.errors import UsageError

HOST = "data.example.org"
URL = f"https://{HOST}/ermrest/catalog/1"
SECRET = "s3cret-token-4711"
ROOT = Path(__file__).parents[3]


def found_in_a_new_process(home: Path, *, deriva: bool = True, **environ: str) -> Any:
    """What is found with this home, which deriva-py reads at its import."""
    hide = "" if deriva else "sys.modules['deriva'] = sys.modules['deriva.core'] = None"
    code = (
        f"import json, os, sys\n{hide}\n"
        "from ermpoll.catalog.credentials import find_credentials\n"
        f"print(json.dumps(find_credentials({URL!r})))"
    )
    env = {"PATH": os.environ["PATH"], "HOME": str(home), **environ}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def store(home: Path, text: str) -> None:
    (home / ".deriva").mkdir()
    (home / ".deriva" / "credential.json").write_text(text)


# where a login comes from


def test_the_environment_s_token_comes_first(tmp_path):
    store(tmp_path, json.dumps({HOST: {"cookie": "webauthn=file"}}))

    found = found_in_a_new_process(tmp_path, ERMPOLL_HOST=HOST, ERMPOLL_TOKEN="env")

    assert found == {"bearer-token": "env"}


@pytest.mark.parametrize(
    "host", ["", "other.example.org", "example.org", f"{HOST}.org"]
)
def test_the_environment_s_token_is_for_its_host_alone(host):
    environ = {"ERMPOLL_TOKEN": SECRET, "ERMPOLL_HOST": host}

    assert find_credentials(URL, environ) != {"bearer-token": SECRET}


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "localhost:8080"])
def test_the_environment_s_host_may_have_its_port(host):
    environ = {"ERMPOLL_TOKEN": "t", "ERMPOLL_HOST": host}

    found = find_credentials("http://localhost:8080/ermrest/catalog/1", environ)

    assert found == {"bearer-token": "t"}


@pytest.mark.parametrize("deriva", [True, False])
def test_what_deriva_auth_stored_comes_next_with_and_without_deriva_py(
    tmp_path, deriva
):
    store(tmp_path, json.dumps({HOST: {"cookie": "webauthn=file"}}))

    found = found_in_a_new_process(tmp_path, deriva=deriva)

    assert found == {"cookie": "webauthn=file"}


def test_deriva_py_is_asked_since_it_knows_globus_too(monkeypatch):
    monkeypatch.setattr(
        "deriva.core.get_credential", lambda host: {"bearer-token": f"of {host}"}
    )

    assert find_credentials(URL, {}) == {"bearer-token": f"of {HOST}"}


@pytest.mark.parametrize("deriva", [True, False])
def test_where_nothing_is_stored_nothing_is_found(tmp_path, deriva):
    assert not found_in_a_new_process(tmp_path, deriva=deriva)


@pytest.mark.parametrize("deriva", [True, False])
@pytest.mark.parametrize("text", ["", "{", f'["{SECRET}"]', f'{{"a": "{SECRET}'])
def test_a_file_that_can_t_be_read_is_told_without_its_contents(tmp_path, text, deriva):
    store(tmp_path, text)

    with pytest.raises(AssertionError) as told:
        found_in_a_new_process(tmp_path, deriva=deriva)

    last = str(told.value).partition("\nassert")[0].strip().splitlines()[-1]
    assert "UsageError: expected stored logins in" in last
    assert SECRET not in last


def test_for_plain_http_to_another_host_no_login_is_looked_for(monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr("deriva.core.get_credential", asked.append)

    assert find_credentials(f"http://{HOST}/ermrest/catalog/1", {}) is None
    assert asked == []


# a login


@pytest.mark.parametrize(
    ("credentials", "header"),
    [
        ({"bearer-token": SECRET}, {"Authorization": f"Bearer {SECRET}"}),
        ({"cookie": f"webauthn={SECRET}"}, {"Cookie": f"webauthn={SECRET}"}),
        ({"bearer-token": "a", "cookie": "b"}, {"Authorization": "Bearer a"}),
        ({}, {}),
        (None, {}),
    ],
)
def test_a_login_is_one_header(credentials, header):
    assert Login(credentials, URL).headers(URL) == header


@pytest.mark.parametrize(
    "other",
    [
        f"https://other.example.org/{HOST}",
        f"http://{HOST}/",
        f"https://{HOST}:8443/",
        f"https://{HOST}.example.com/",
        f"https://{HOST}@example.com/",
        "",
    ],
)
def test_a_login_is_for_its_own_origin_alone(other):
    assert Login({"bearer-token": SECRET}, URL).headers(other) == {}


def test_the_same_origin_has_many_spellings():
    login = Login({"bearer-token": SECRET}, URL)

    for same in (f"https://{HOST.upper()}/authn/session", f"https://{HOST}:443/x"):
        assert login.headers(same)


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        (URL, True),
        (f"http://{HOST}/", False),
        ("http://localhost:8080/", True),
        ("http://127.0.0.1/", True),
        ("http://127.8.9.1/", True),
        ("http://[::1]:80/", True),
        ("http://box.localhost/", True),
        ("http://localhost.example.org/", False),
        ("http://127.0.0.1.example.org/", False),
        ("http://notlocalhost/", False),
        ("http://0.0.0.0/", False),
        ("http://192.168.0.1/", False),
    ],
)
def test_plain_http_is_for_this_machine_alone(url, safe):
    assert is_safe(url) is safe
    if not safe:
        with pytest.raises(UsageError, match="expected https for a login"):
            Login({"bearer-token": SECRET}, url)
        assert Login({}, url).kind == "anonymous"


@pytest.mark.parametrize(
    "credentials", [{"username": "ada", "password": SECRET}, {"token": SECRET}]
)
def test_other_credentials_are_refused_by_their_keys(credentials):
    with pytest.raises(UsageError) as refused:
        Login(credentials, URL)

    assert str(sorted(credentials)) in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "secret", [f"{SECRET}\r\nX-Evil: 1", f"{SECRET}é", f"\0{SECRET}"]
)
def test_a_login_that_is_no_header_is_refused_unseen(secret):
    with pytest.raises(UsageError) as refused:
        Login({"bearer-token": secret}, URL)

    assert SECRET not in str(refused.value)


def test_a_login_does_not_show_itself():
    login = Login({"bearer-token": SECRET}, URL)

    assert SECRET not in f"{login} {login!r} {login.kind} {vars(type(login))}"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(login)


@pytest.mark.parametrize(
    ("credentials", "text"),
    [
        ({"bearer-token": SECRET}, f"you sent Authorization: Bearer {SECRET}."),
        ({"cookie": f"webauthn={SECRET}"}, f"you sent {SECRET}."),
        ({"cookie": f"a=1; webauthn={SECRET}"}, f"you sent webauthn={SECRET}; path=/"),
    ],
)
def test_a_secret_is_scrubbed_from_text(credentials, text):
    scrubbed = Login(credentials, URL).scrub(text)

    assert SECRET not in scrubbed
    assert "you sent" in scrubbed
    assert "[secret]" in scrubbed


def test_without_a_login_text_stays_as_it_is():
    assert Login({}, URL).scrub("as it is") == "as it is"


def test_an_origin_is_scheme_host_and_port():
    assert origin("https://Data.Example.org/x?y#z") == "https://data.example.org:443"
    assert origin("http://u:p@[::1]:80/x") == "http://::1:80"
    assert is_loopback("::1")


@pytest.mark.parametrize("said", [[], None, "<html>", {}, {"client": []}])
def test_a_server_that_says_nothing_of_a_login_has_somebody_there(said):
    assert session_of(said) == Session(name="somebody", id="", left_s=None)


def test_a_login_is_known_by_its_name_and_the_time_it_has_left():
    said = {"client": {"id": "id1", "display_name": "Ann"}, "seconds_remaining": 9.5}

    assert session_of(said) == Session(name="Ann", id="id1", left_s=9.5)


# -- addresses

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

from __future__ import annotations

import html
import json
import os
import pickle
import re
import subprocess
import sys
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, quote_plus

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
from ermpoll.notices import open_notices

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


ODD = "p/w &<\"'+=\\é~".replace("é", "e") + "4711"


@pytest.mark.parametrize(
    "echo",
    [
        quote,
        lambda text: quote(text, safe=""),
        lambda text: quote(text, safe="").lower(),
        lambda text: quote(quote(text, safe=""), safe=""),
        quote_plus,
        lambda text: "".join(f"%{ord(c):02X}" for c in text),
        json.dumps,
        lambda text: json.dumps(text).replace("/", r"\/"),
        lambda text: json.dumps(json.dumps(text)),
        lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
        html.escape,
        lambda text: html.escape(html.escape(text)),
        lambda text: "".join(f"&#{ord(c)};" for c in text),
        lambda text: "".join(f"&#x{ord(c):X};" for c in text),
        lambda text: html.escape(json.dumps(text)),
    ],
)
@pytest.mark.parametrize("secret", [SECRET, ODD])
@pytest.mark.parametrize("key", ["bearer-token", "cookie"])
def test_a_secret_is_scrubbed_in_every_form_it_is_echoed_in(key, secret, echo):
    given = secret if key == "bearer-token" else f"a=1; webauthn={secret}"

    scrubbed = Login({key: given}, URL).scrub(f"before {echo(secret)} after")

    assert scrubbed.startswith("before ")
    assert scrubbed.endswith(" after")
    left = scrubbed.removeprefix("before ").removesuffix(" after")
    left = re.sub(r"\[secret\]|&(amp;)*quot;|[\\\"]|a=1; webauthn=", "", left)
    assert left == "", scrubbed


def test_what_is_no_secret_is_left_alone():
    text = '{"detail": "4711 &amp; %20 \\u0041"}'

    assert Login({"bearer-token": SECRET}, URL).scrub(text) == text


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        (f"{SECRET}\n", "holds a line break"),
        (f"{SECRET}\r\nX-Evil: 1", "holds a line break"),
        (f" {SECRET}", "ends with a blank"),
        (f"{SECRET}é", "printable ASCII"),
    ],
)
@pytest.mark.parametrize("key", ["bearer-token", "cookie"])
def test_a_login_that_no_header_takes_is_told_as_what_it_is(key, secret, words):
    with pytest.raises(UsageError, match=words) as refused:
        ermpoll.connect(URL, {key: secret})

    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("host", [f" {HOST} ", f"{HOST}\n", HOST.upper()])
def test_a_blank_round_the_environment_s_host_does_no_harm(host):
    environ = {"ERMPOLL_TOKEN": "t", "ERMPOLL_HOST": host}

    assert find_credentials(URL, environ) == {"bearer-token": "t"}


def test_a_token_of_the_environment_that_is_for_another_host_is_said(caplog, tmp_path):
    environ = {"ERMPOLL_TOKEN": SECRET, "ERMPOLL_HOST": "other.example.org"}

    find_credentials(URL, environ, tmp_path)

    assert "$ERMPOLL_HOST (other.example.org)" in caplog.text
    assert SECRET not in caplog.text


def test_who_connects_without_a_login_is_told_to_be_nobody(caplog, monkeypatch):
    monkeypatch.setattr("deriva.core.get_credential", lambda host: None)

    ermpoll.connect(URL)
    assert f"no login was found for {URL}: you are nobody there" in caplog.text

    caplog.clear()
    ermpoll.connect(URL, {})
    ermpoll.connect("http://localhost:1/ermrest/catalog/1")
    assert caplog.text == "", "who asks for it, or is at home, is not told"


def safe_repr(value: object) -> str:
    try:
        return repr(value)
    except AttributeError:
        return ""  # it is not made yet: nothing is shown of it


def held_in_frames(error: BaseException) -> str:
    """All values that a verbose traceback shows of our own frames."""
    shown = []
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if "/ermpoll/" in frame.f_code.co_filename:
            shown += [safe_repr(value) for value in frame.f_locals.values()]
    return " ".join(shown)


@pytest.mark.parametrize(
    "doomed",
    [
        lambda: ermpoll.connect("nowhere", {"bearer-token": SECRET}),
        lambda: ermpoll.connect(URL, {"bearer-token": SECRET}, timeout_s=0),
        lambda: ermpoll.connect(URL, {"bearer-token": f"{SECRET}\n"}),
        lambda: ermpoll.connect(URL, {"cookie": f"webauthn={SECRET}é"}),
        lambda: ermpoll.connect(URL, {"password": SECRET}),
        lambda: ermpoll.connect(URL, SECRET),  # type: ignore[arg-type]
        lambda: ermpoll.connect(f"http://{HOST}/ermrest/catalog/1", {"cookie": SECRET}),
        lambda: ermpoll.connect(f"https://ann:{SECRET}@{HOST}/ermrest/catalog/1"),
        lambda: Login({"bearer-token": SECRET}, "http://x/"),
        lambda: open_notices(f"amqp://ann:{SECRET}@host:port/"),
        lambda: open_notices(f"http://ann:{SECRET}@host/"),
        lambda: open_notices(f"amqp://ann:{SECRET}@host/", ca="/nowhere"),
        lambda: open_notices(f"amqp://ann:{SECRET}@host/?heartbeat=x"),
        lambda: ermpoll.Poller(lambda: None, notices=f"amqp://a:{SECRET}@h:port"),
        lambda: ermpoll.blocking_poll(lambda: None, notices=f"amqp://a:{SECRET}@h:p"),
    ],
)
def test_a_verbose_traceback_shows_no_login(doomed):
    with pytest.raises(ermpoll.ErmpollError) as raised:
        doomed()

    assert SECRET not in held_in_frames(raised.value)
    assert SECRET not in str(raised.value)


def test_a_request_that_fails_shows_no_login_in_its_frames():
    door = ermpoll.connect("http://localhost:9/ermrest/catalog/1", {"cookie": SECRET})

    with pytest.raises(ermpoll.ErmpollError) as raised:
        door.get("entity/S:T")

    assert SECRET not in held_in_frames(raised.value)
    assert SECRET not in repr(vars(door)) + repr(vars(door._transport))


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

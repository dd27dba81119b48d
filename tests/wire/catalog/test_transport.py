from __future__ import annotations

import pickle

import pytest

import ermpoll
from ermpoll.errors import (
    Aborted,
    BadRequest,
    CatalogError,
    Conflict,
    Denied,
    NotFound,
    PreconditionFailed,
    Unavailable,
)
from tests.helpers.peers import Reply, serving

LOGIN = {"bearer-token": "s3cret-token-4711"}


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (301, CatalogError, "sends on to another address"),
        (302, CatalogError, "sends on to another address"),
        (307, CatalogError, "sends on to another address"),
        (400, BadRequest, "not understood"),
        (401, Denied, "log in again"),
        (403, Denied, "may not do that"),
        (404, NotFound, "check the address"),
        (409, Conflict, "constraints forbid it"),
        (412, PreconditionFailed, "nothing was written"),
        (414, BadRequest, "address is too long"),
        (415, CatalogError, "this kind of body"),
        (429, Unavailable, "try again"),
        (500, Unavailable, "try again"),
        (502, Unavailable, "try again"),
        (503, Unavailable, "try again"),
        (504, Unavailable, "try again"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_each_status_is_an_error_of_its_kind(status, kind, words, method):
    with serving(Reply(status=status, body="Detail: its own words")) as peer:
        door = ermpoll.connect(peer.url, LOGIN)

        with pytest.raises(kind) as raised:
            door.get("entity/S:T") if method == "GET" else door.put("entity/S:T", [])

    error = raised.value
    assert type(error) is kind
    assert (error.status, error.detail) == (status, "its own words")
    assert error.url == f"{peer.url}/entity/S:T"
    for part in (method, str(status), words, "its own words", "entity/S:T"):
        assert part in str(error)
    assert getattr(error, "doubtful", False) == (status >= 500 and method == "PUT")
    assert len(peer.sent) == 1, "sent once, whatever came"
    door.close()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, "503 Service Unavailable\nTransaction aborted.\n"),
        (503, "<html><body><p>Transaction aborted.</p></body></html>"),
        (400, "Request malformed. Detail: Query run time limit exceeded."),
    ],
)
def test_weather_is_certainly_nothing_done(status, body):
    with serving(Reply(status=status, body=body)) as peer:
        door = ermpoll.connect(peer.url, LOGIN)

        with pytest.raises(Aborted) as raised:
            door.put("entity/S:T", [])

    assert not raised.value.doubtful
    assert raised.value.status == status
    door.close()


def test_an_error_s_page_is_told_as_short_text():
    body = f"<html><h1>500</h1><p>Detail: a &lt;b&gt; {'x' * 2000}</p></html>"
    with serving(Reply(status=500, body=body)) as peer:
        door = ermpoll.connect(peer.url, LOGIN)
        with pytest.raises(Unavailable) as raised:
            door.get("entity/S:T")
    door.close()

    assert raised.value.detail.startswith("a <b> x")
    assert len(raised.value.detail) <= 500


def test_errors_keep_their_facts_through_a_process_pool():
    error = Unavailable("told", status=503, url="https://x", detail="d", doubtful=True)

    again = pickle.loads(pickle.dumps(error))

    assert (str(again), vars(again)) == (str(error), vars(error))


@pytest.mark.parametrize("read", ["get", "document", "session"])
def test_an_answer_that_is_no_json_is_told(read):
    with serving(Reply(body="<html>Please accept our terms</html>")) as peer:
        door = ermpoll.connect(peer.url, {})
        call = getattr(door, read)
        with pytest.raises(Unavailable, match="is it an ERMrest catalog"):
            call() if read == "session" else call("schema")
    door.close()

"""The bench's proxy passes on what it gets, and counts it."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

import ermpoll
from tests.bench import common
from tests.bench.agents import proxy
from tests.helpers.sandbox_client import Client

PUT = "/attributegroup/Imaging:Image/RID;Priority"


@pytest.fixture
def client(box: ermpoll.sandbox.Box):
    with proxy(box.url) as port:
        client = Client(f"http://127.0.0.1:{port}{urlsplit(box.url).path}")
        client.root, client.base = "", client.root
        yield client
        client.connection.close()


def counts(client: Client) -> dict[str, int]:
    return json.loads(client.get("/counts").text)


def test_answers_are_those_of_the_server(
    box: ermpoll.sandbox.Box, client: Client
) -> None:
    path = "/entity/Imaging:Image@sort(RID)?limit=40"

    through = client.get(f"{client.base}{path}")

    with common.client(box.url) as door:
        straight = door.get(path)
    assert (through.status, through.text) == (200, straight.text)


def test_requests_are_counted_by_method_and_status_since_they_were_asked_for(
    client: Client,
) -> None:
    base = client.base
    etag = client.get(f"{base}/entity/Imaging:Dataset").etag
    client.get(f"{base}/entity/Imaging:Dataset", If_None_Match=etag)
    client.put(f"{base}{PUT}", [])
    client.put(f"{base}{PUT}", [], If_Match='"old"')

    first, second = counts(client), counts(client)

    sent, received = first.pop("sent"), first.pop("received")
    assert first == {"GET 200": 1, "GET 304": 1, "PUT 200": 1, "PUT 412": 1}
    assert sent > 0
    assert received > 0
    assert second == {}


def test_a_reply_that_never_comes_is_counted_as_lost(
    box: ermpoll.sandbox.Box, client: Client
) -> None:
    box.faults(drop_reply=1)

    with pytest.raises(ConnectionError):
        client.put(f"{client.base}{PUT}", [])

    client.connection.close()
    assert counts(client) == {"PUT lost": 1}

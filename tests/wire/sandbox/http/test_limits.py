"""Requests that are too large, too long or too deep are refused, and nothing stops."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from contextlib import closing as closed
from urllib.parse import quote, urlsplit

import pytest

from ermpoll.sandbox import Box, demo
from ermpoll.sandbox import box as boxes
from ermpoll.sandbox.app import Options
from ermpoll.sandbox.http.messages import Answer, Request
from ermpoll.sandbox.http.routes import Service
from ermpoll.sandbox.model.clients import Logins
from ermpoll.sandbox.process import SandboxThread
from ermpoll.sandbox.store.store import Store
from tests.helpers.sandbox_client import Client, closing

_LIMIT = 10_000


@pytest.fixture
def narrow() -> Iterator[Box]:
    """A sandbox that takes small bodies only."""
    with boxes.of_thread(SandboxThread(Options(body_limit=_LIMIT)), token=None) as box:
        yield box


@pytest.fixture
def hasty() -> Iterator[Service]:
    """A service that gives each request a tenth of a second."""
    store = Store()
    demo.make(store)
    service = Service(store, Logins())
    body = b'[{"File_Name": "%s"}]' % (b"20250901_K025_0001.nii.gz" * 3)
    path = "/ermrest/catalog/1/entity/Imaging:Image"
    assert (
        service.answer(Request(method="POST", path=path, headers={}, body=body)).status
        == 200
    )
    store.deadline.limit_s = 0.1
    yield service
    store.close()


def _get(service: Service, path: str) -> Answer:
    path = f"/ermrest/catalog/1/{path}"
    return service.answer(Request(method="GET", path=path, headers={}))


def test_a_body_over_the_limit_gets_a_413(narrow: Box) -> None:
    for size, status in ((_LIMIT + 1, 413), (_LIMIT, 400)):
        with closing(Client(narrow.url)) as client:
            answer = client.post("/entity/Imaging:Image", b"x" * size)
        assert answer.status == status
    with closing(Client(narrow.url)) as client:
        assert client.get("/").status == 200


def test_a_body_without_a_length_is_counted_too(narrow: Box) -> None:
    place = urlsplit(narrow.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port)
    with closed(connection):
        connection.putrequest("POST", f"{place.path}/entity/Imaging:Image")
        connection.putheader("Transfer-Encoding", "chunked")
        # in one piece: the server may hang up before a second one is sent
        chunk = b"1388\r\n" + b"x" * 5_000 + b"\r\n"
        connection.endheaders(chunk * 4 + b"0\r\n\r\n")

        assert connection.getresponse().status == 413


# An expression that tries every way to split a text, and joins that multiply.
_HOPELESS = quote(r"^(\d|\w)*\.(\w|.)*!", safe="")
_JOINS = "/".join(f"{name}:=(Modality)=(Imaging:Image:Modality)" for name in "BCDEFG")


@pytest.mark.parametrize(
    "path",
    [
        f"entity/Imaging:Image/File_Name::regexp::{_HOPELESS}",
        f"aggregate/A:=Imaging:Image/{_JOINS}/no:=cnt(*)",
    ],
)
def test_a_query_that_takes_too_long_is_ended(hasty: Service, path: str) -> None:
    start = time.monotonic()

    answer = _get(hasty, path)

    assert time.monotonic() - start < 10
    assert answer.status == 400
    assert b"Query run time limit exceeded." in answer.body
    assert _get(hasty, "entity/Imaging:Dataset").status == 200


@pytest.mark.parametrize(("count", "status"), [(14, 200), (16, 400), (900, 400)])
def test_filters_that_nest_too_deep_are_refused(
    client: Client, count: int, status: int
) -> None:
    client.table("Job", {"id": "int4"})
    nested = "!(id=1&" * count + "id=2" + ")" * count

    assert client.get(f"/entity/Job/{nested}").status == status


def test_long_lists_are_taken_and_longer_ones_refused(client: Client) -> None:
    client.table("Job", {"id": "int4"})
    client.post("/entity/Job", [{"id": 1}])
    many = ",".join(map(str, range(1_500)))

    assert len(client.rows(f"/entity/Job/id=any({many})")) == 1
    assert client.get(f"/entity/Job/id::gt::any({many})").status in (400, 409)
    joins = "/".join(f"A{n}:=(id)=(Ops:Job:id)" for n in range(70))
    assert client.get(f"/entity/Job/{joins}").status in (400, 409)


def test_a_request_line_beyond_8190_bytes_is_too_long(client: Client) -> None:
    client.table("Job", {"id": "int4"})
    start = "/attribute/Job/id=any("
    room = 8190 - len(f"GET {client.root}{start})/id HTTP/1.1")

    fits = client.get(f"{start}{'1' * 9},{'1,' * ((room - 12) // 2)}1)/id")
    longer = client.get(f"{start}{'1,' * room}1)/id")

    assert (fits.status, longer.status) == (200, 414)
    # The connection is closed after a refusal, and a new one serves again.
    assert client.get("/entity/Job").status == 200

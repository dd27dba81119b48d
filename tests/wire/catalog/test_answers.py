"""Answers that are not what was asked: too large, too slow, foreign, or a refusal."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import ermpoll
from ermpoll.backoff import Clocks, Deadline
from ermpoll.catalog import transport
from ermpoll.catalog.conditional import ConditionalReader
from ermpoll.errors import Aborted, Unavailable
from tests.helpers.peers import Reply, serving
from tests.helpers.shares import mostly_long

PATHS = [
    "entity/S:T",
    "attribute/S:T/RID",
    "attributegroup/S:T/n:=x",
    "aggregate/S:T/n",
]


@contextmanager
def sending(
    head: bytes, *parts: bytes, every_s: float = 0, ending: bytes = b""
) -> Iterator[str]:
    """Serve bytes, the last part again and again; gives a catalog's address."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(size)
            try:
                self.wfile.write(head)
                for part in parts[:-1]:
                    self.wfile.write(part)
                while parts and not over.wait(every_s):
                    self.wfile.write(parts[-1])
                self.wfile.write(ending)
            except OSError:
                pass  # whoever asked has heard enough

        do_GET = do_PUT = answer

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}/ermrest/catalog/1"
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#: A MB of blanks, packed.
BOMB = gzip.compress(b" " * 1_000_000)


@pytest.mark.parametrize(
    ("head", "part"),
    [
        (OK + b"\r\n", b" " * 50_000),
        (
            OK + b"Transfer-Encoding: chunked\r\n\r\n",
            b"2710\r\n" + b" " * 10_000 + b"\r\n",
        ),
        (OK + b"Content-Encoding: gzip\r\n\r\n", BOMB),
    ],
    ids=["endless", "chunks", "packed"],
)
@pytest.mark.parametrize("method", ["get", "put"])
def test_an_answer_without_an_end_is_cut_off(monkeypatch, head, part, method):
    monkeypatch.setattr(transport, "LARGEST", 5_000_000)
    with sending(head, part) as url:
        door = ermpoll.connect(url, {}, timeout_s=20)
        with pytest.raises(
            Unavailable, match="more than 5 MB; ask for fewer"
        ) as raised:
            door.get("entity/S:T") if method == "get" else door.put("entity/S:T", [])
        door.close()

    assert raised.value.doubtful == (method == "put")


def test_an_error_s_page_without_an_end_is_cut_off():
    head = b"HTTP/1.1 500 Oh\r\n\r\n"
    with sending(head, b"Detail: first words ", b"x" * 50_000) as url:
        door = ermpoll.connect(url, {}, timeout_s=20)
        with pytest.raises(Unavailable) as raised:
            door.get("entity/S:T")
        door.close()

    assert raised.value.detail.startswith("first words")


@pytest.mark.parametrize(
    "head",
    [OK + b"\r\n", OK + b"Content-Length: 1000000\r\n\r\n", OK + b"X-Long: ", b""],
    ids=["body", "known length", "a header", "the first line"],
)
@pytest.mark.parametrize("method", mostly_long(["get", "put"]))
def test_an_answer_that_drips_ends_in_time(head, method):
    with sending(head, b" " if b"\r\n\r\n" in head else b"H", every_s=0.05) as url:
        door = ermpoll.connect(url, {}, timeout_s=0.25)
        begun = time.monotonic()
        with pytest.raises(Unavailable) as raised:
            door.get("entity/S:T") if method == "get" else door.put("entity/S:T", [])
        took_s = time.monotonic() - begun
        door.close()

    # a read is asked twice where no answer began
    assert took_s < 4
    assert raised.value.doubtful == (method == "put")


def test_it_says_that_the_whole_answer_did_not_come():
    with sending(OK + b"\r\n", b" ", every_s=0.05) as url:
        door = ermpoll.connect(url, {}, timeout_s=0.25)
        with pytest.raises(Unavailable, match="no whole answer within 1 s"):
            door.get("entity/S:T")
        door.close()


def test_a_slow_answer_that_comes_in_time_is_read():
    head = OK + b"Content-Length: 801\r\n\r\n"
    with sending(head, b"[", b" " * 100, every_s=0.06) as url:
        door = ermpoll.connect(url, {}, timeout_s=0.3)
        with pytest.raises(Unavailable, match="found something else"):
            door.get("entity/S:T")  # all of it came: it is no JSON
        door.close()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"RID": "1-A"}', "found a JSON object"),
        ('"no"', "found a JSON text"),
        ("7", "found a JSON number"),
        ("null", "found a JSON null"),
        ("true", "found a JSON boolean"),
        ('["1-A"]', "found a list of other things"),
        ('[{"RID": "1-A"}, null]', "found a list of other things"),
        ("[" * 100_000, "levels|something else"),
        ("<html>log in</html>", "found something else"),
    ],
)
@pytest.mark.parametrize("method", ["get", "put"])
def test_what_lists_no_rows_is_told_as_that(path, body, words, method):
    with serving(Reply(body=body)) as peer:
        door = ermpoll.connect(peer.url, {})
        with pytest.raises(Unavailable, match=f"expected .*{words}") as raised:
            door.get(path) if method == "get" else door.put(path, [])
        door.close()

    assert raised.value.doubtful == (method == "put")


def test_rows_without_what_is_needed_of_them_are_told_as_that():
    with serving(Reply(body='[{"RID": "1-A"}, {"rid": "1-B"}]')) as peer:
        door = ermpoll.connect(peer.url, {})
        with pytest.raises(Unavailable, match=r"expected rows with RID from .*found"):
            door.rows("entity/S:T", "RID")
        with pytest.raises(Unavailable, match="expected rows with RID"):
            ConditionalReader(door).read("entity/S:T")
        assert len(door.rows("entity/S:T")) == 2
        door.close()


@pytest.mark.parametrize("body", ["[]", "", "7", "null", '"x"', '{"client": "x"}'])
def test_a_session_that_says_nothing_is_somebody_s(body):
    with serving(Reply(body=body)) as peer:
        door = ermpoll.connect(peer.url, {})
        session = door.session()
        assert session is not None
        assert (session.name, session.left_s) == ("somebody", None)
        door.close()


def in_s(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize("status", [429, 503, 500])
@pytest.mark.parametrize(
    ("headers", "low", "high"),
    [
        ({"Retry-After": "7"}, 7, 7),
        ({"Retry-After": "86400"}, 60, 60),
        ({"Retry-After": "9" * 400}, 60, 60),
        ({"Retry-After": in_s(20), "Date": in_s(0)}, 20, 20),
        # by the clock of who says it
        ({"Retry-After": in_s(3620), "Date": in_s(3600)}, 20, 20),
        ({"Retry-After": in_s(-20)}, 0, 0),
        ({"Retry-After": "soon"}, 0, 0),
        ({"Retry-After": "-5"}, 0, 0),
        ({}, 0, 0),
    ],
)
def test_how_long_a_server_asks_to_wait_is_carried_along(status, headers, low, high):
    with serving(Reply(status=status, body="busy", headers=headers)) as peer:
        door = ermpoll.connect(peer.url, {})
        with pytest.raises(Unavailable) as raised:
            door.put("entity/S:T", [])
        door.close()

    assert low <= raised.value.retry_after_s <= high
    assert raised.value.doubtful == (status != 429)


def test_an_aborted_transaction_may_ask_to_wait_too():
    reply = Reply(status=503, body="Transaction aborted.", headers={"Retry-After": "3"})
    with serving(reply) as peer:
        door = ermpoll.connect(peer.url, {})
        with pytest.raises(Aborted) as raised:
            door.put("entity/S:T", [])
        door.close()

    assert raised.value.retry_after_s == 3


def test_a_deadline_waits_as_long_as_was_asked_and_not_beyond_its_end():
    waits: list[float] = []
    clocks = Clocks(
        monotonic=lambda: sum(waits),
        random=lambda: 0.0,
        wait=lambda _, wait_s: waits.append(wait_s) or False,  # type: ignore[func-returns-value]
    )
    deadline = Deadline(10, clocks=clocks)

    assert deadline.wait(Unavailable(retry_after_s=7))
    assert deadline.wait(Unavailable())
    assert not deadline.wait(Unavailable(retry_after_s=7))
    assert waits == [7, 0]

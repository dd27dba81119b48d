"""A little HTTP server that answers what a test tells it, and keeps what it is sent."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    status: int = 200
    body: str = "[]"
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Close the connection instead of answering.
    drop: bool = False
    #: Bytes to send instead of an answer, before it closes; past TLS, where it is on.
    raw: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    method: str
    path: str
    headers: Mapping[str, str]
    body: str
    #: Of the client's end: one connection, one port.
    port: int


class Peer:
    """Gives its replies one after the other, and the last one ever after."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies) or [Reply()]
        self.sent: list[Sent] = []
        self.url = ""

    @property
    def netloc(self) -> str:
        return urlsplit(self.url).netloc

    def answer(self, sent: Sent) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


class Front(Peer):
    """Passes requests on to the server of an address, and answers as it does.

    Its replies are given instead of the answers to the first writes, which were
    passed on all the same.
    """

    def __init__(self, behind: str, *replies: Reply) -> None:
        super().__init__(*replies)
        self._behind = urlsplit(behind).netloc
        self._lost = list(replies)
        #: Headers that it answers with instead of the server's.
        self.told: dict[str, str] = {}
        #: Called with each request before it is passed on.
        self.before: Callable[[Sent], object] = lambda sent: None

    def answer(self, sent: Sent) -> Reply:
        self.before(sent)
        connection = HTTPConnection(self._behind)
        hop = ("connection", "host", "accept-encoding")
        headers = {k: v for k, v in sent.headers.items() if k not in hop}
        connection.request(sent.method, sent.path, sent.body, headers)
        found = connection.getresponse()
        told = {k: v for k in ("ETag", "Date") if (v := found.headers[k])}
        reply = Reply(
            status=found.status, body=found.read().decode(), headers=told | self.told
        )
        connection.close()
        return self._lost.pop(0) if self._lost and sent.method != "GET" else reply


@contextmanager
def serving(
    *replies: Reply,
    tls: Path | None = None,
    host: str = "localhost",
    behind: str = "",
    kind: type[Peer] = Peer,
) -> Iterator[Peer]:
    """A peer at ``http://HOST:PORT/ermrest/catalog/1``.

    With ``tls``, a folder with ``server.pem`` and ``server.key``, at ``https://``;
    with ``behind``, an address, a Front of its server; with ``kind``, one of that.
    """
    peer = Front(behind, *replies) if behind else kind(*replies)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(size).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            sent = Sent(
                method=self.command,
                path=self.path,
                headers=headers,
                body=body,
                port=self.client_address[1],
            )
            peer.sent.append(sent)
            reply = peer.answer(sent)
            if reply.drop or reply.raw:
                os.write(self.connection.fileno(), reply.raw)
                self.close_connection = True
                return
            self.send_response_only(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            content = b"" if reply.status in (204, 304) else reply.body.encode()
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_DELETE = do_CONNECT = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tls / "server.pem", tls / "server.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "https" if tls else "http"
    peer.url = f"{scheme}://{host}:{server.server_port}/ermrest/catalog/1"
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}
    )
    thread.start()
    try:
        yield peer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

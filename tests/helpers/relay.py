"""A server between the kit and the sandbox that answers some requests itself."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias
from urllib.parse import urlsplit

#: A status to answer with, a body to answer 200 with, or to close the connection.
Fault: TypeAlias = int | bytes | ConnectionError
#: From method and path to what is answered instead; None: pass it on.
Rule: TypeAlias = Callable[[str, str], Fault | None]
NOTHING: Mapping[str, str] = {}


class Relay:
    """The server's address, and its rules."""

    def __init__(self, url: str) -> None:
        self.url = url
        #: Asked before a request is passed on.
        self.rule: Rule = lambda method, path: None
        #: Asked when it was answered: the answer may be lost or replaced.
        self.after: Rule = lambda method, path: None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    made: Relay
    upstream: str


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _pass(self) -> None:
        made = self.server.made
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = made.rule(self.command, self.path)
        if fault is None:
            answer = self._ask(body)
            fault = made.after(self.command, self.path)
        if isinstance(fault, ConnectionError):
            self.close_connection = True
        elif isinstance(fault, int):
            self._answer(fault, b"no")
        elif isinstance(fault, bytes):
            self._answer(200, fault)
        else:
            self._answer(*answer)

    do_GET = do_PUT = do_POST = _pass

    def _ask(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        door = http.client.HTTPConnection(self.server.upstream)
        headers = {k: v for k, v in self.headers.items() if k != "Host"}
        door.request(self.command, self.path, body, headers)
        answer = door.getresponse()
        text = answer.read()
        door.close()
        kept = {k: answer.getheader(k) for k in ("ETag", "Content-Type", "Date")}
        return answer.status, text, {k: v for k, v in kept.items() if v}

    def _answer(
        self, status: int, text: bytes, headers: Mapping[str, str] = NOTHING
    ) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def relay(url: str) -> Iterator[Relay]:
    """Serve between the kit and a catalog of the sandbox."""
    parts = urlsplit(url)
    server = _Server(("localhost", 0), _Handler)
    server.upstream = parts.netloc
    made = Relay(f"http://localhost:{server.server_address[1]}{parts.path}")
    server.made = made
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

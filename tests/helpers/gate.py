"""A gate before a catalog: refuses writes from a certain one on, or some reads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Gate(ThreadingHTTPServer):
    """Stands before a catalog and lets so many more PUTs through, then none."""

    daemon_threads = True

    def __init__(self, url: str) -> None:
        super().__init__(("localhost", 0), Passing)
        place = urlsplit(url)
        self.host, self.left = place.netloc, float("inf")
        #: What a catalog of an older make doesn't know in the address of a read.
        self.unknown = ""
        self.url = f"http://localhost:{self.server_port}{place.path}"

    @classmethod
    @contextmanager
    def before(cls, url: str) -> Iterator[Gate]:
        """Serve before the catalog at an address for a while."""
        with cls(url) as gate:
            thread = threading.Thread(target=gate.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield gate
            finally:
                gate.shutdown()
                thread.join()

    def handle_error(self, *_: object) -> None:
        """Say nothing: an answer that was lost behind the gate is lost here too."""


class Passing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Gate)
        if self.server.unknown and self.server.unknown in self.path:
            self.answer(409, b"no such function", {"Content-Type": "text/plain"})
        else:
            self.exchange(b"")

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert isinstance(self.server, Gate)
        self.server.left -= 1
        if self.server.left < 0:
            self.answer(403, b"no more today", {"Content-Type": "text/plain"})
        else:
            self.exchange(body)

    def exchange(self, body: bytes) -> None:
        assert isinstance(self.server, Gate)
        with closing(HTTPConnection(self.server.host)) as connection:
            headers = {k: v for k, v in self.headers.items() if k != "Host"}
            connection.request(self.command, self.path, body or None, headers)
            found = connection.getresponse()
            self.answer(found.status, found.read(), dict(found.getheaders()))

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name in ("Content-Type", "Content-Encoding", "ETag", "Date"):
            if name in headers:
                self.send_header(name, headers[name])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass

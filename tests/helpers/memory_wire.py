"""HTTP without a network: a service at the other end of sockets in memory.

Everything above the socket is real: requests, urllib3 and http.client on the one side,
the sandbox's service on the other. So what a fault does to bytes does to the kit what
it would do on a network.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from http import HTTPStatus
from typing import Any, TypeAlias

import urllib3.util.connection as door

from ermpoll.sandbox.http.messages import Answer, Request

#: From a request to the bytes of its answer; may raise what a socket raises.
Serve: TypeAlias = Callable[[Request], bytes]
#: Below what the system hands out, so that nobody listens there.
_ports = itertools.count(1)


def as_bytes(answer: Answer, date: str, *, cut: bool = False) -> bytes:
    """Write an answer as HTTP; ``cut`` leaves out the second half of its body."""
    phrase = HTTPStatus(answer.status).phrase
    lines = [f"HTTP/1.1 {answer.status} {phrase}", f"Date: {date}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    if answer.status not in (204, 304):
        lines.append(f"Content-Length: {len(answer.body)}")
    body = answer.body[: len(answer.body) // 2] if cut else answer.body
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass
class Socket:
    """What urllib3 and http.client use of a socket."""

    serve: Serve
    sent: bytearray = field(default_factory=bytearray)

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        head, _, body = bytes(self.sent).partition(b"\r\n\r\n")
        line, _, rest = head.partition(b"\r\n")
        method, path, _ = line.decode().split(" ", 2)
        headers: Message = BytesParser().parsebytes(rest, headersonly=True)
        request = Request(method=method, path=path, headers=headers, body=body)  # type: ignore[arg-type]
        return io.BufferedReader(io.BytesIO(self.serve(request)))  # type: ignore[arg-type]

    def gettimeout(self) -> float:
        return 30.0

    def settimeout(self, *_: object) -> None: ...
    def setsockopt(self, *_: object) -> None: ...
    def shutdown(self, *_: object) -> None: ...
    def close(self) -> None: ...


@contextmanager
def served(serve: Serve, connecting: Callable[[], None]) -> Iterator[str]:
    """Serve at an address of its own; ``connecting`` may refuse a connection."""
    port, real = next(_ports), door.create_connection

    def connect(address: tuple[str, int], *args: Any, **kw: Any) -> Any:
        if address[1] != port:
            return real(address, *args, **kw)
        connecting()
        return Socket(serve)

    door.create_connection = connect
    try:
        yield f"http://localhost:{port}"
    finally:
        door.create_connection = real

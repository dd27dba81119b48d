"""The HTTP socket of a sandbox, by tornado, on the loop of the thread that runs it.

What the answers are is the responder's affair, and when they come as well.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Coroutine
from functools import lru_cache
from http import HTTPStatus
from typing import Any, TypeAlias

from tornado.http1connection import HTTP1Connection
from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
    format_timestamp,
)

from ermpoll.sandbox.errors import HttpError
from ermpoll.sandbox.http.messages import Answer, Request, text_answer

#: Bodies beyond this get a 413.
BODY_LIMIT = 32 * 1024 * 1024
_HEADER_LIMIT = 64 * 1024
#: Request lines beyond this get a 414.
_LINE_LIMIT = 8190
#: Gives the answer at once, or what will give it; None: close the connection instead.
Responder: TypeAlias = Callable[[Request], Answer | Coroutine[Any, Any, Answer | None]]


class Front(HTTPServerConnectionDelegate):
    """Listens for HTTP and sends what a responder says.

    Parameters
    ----------
    respond
        Gets each request that has come whole.
    body_limit
        Larger bodies get a 413, in bytes.
    """

    def __init__(self, respond: Responder, *, body_limit: int = BODY_LIMIT) -> None:
        self._respond = respond
        self.body_limit = body_limit
        self._tasks: set[asyncio.Task[None]] = set()
        self._http = HTTPServer(
            self, max_header_size=_HEADER_LIMIT, max_body_size=1 << 40
        )
        # A connection may idle for as long as it likes; a timer each time costs.
        self._http.conn_params.header_timeout = None

    def start(self, host: str, port: int) -> int:
        """Listen and return the port."""
        listener = socket.create_server((host, port), backlog=128)
        listener.setblocking(False)
        self._http.add_socket(listener)
        return int(listener.getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and close all connections."""
        self._http.stop()
        for task in list(self._tasks):
            task.cancel()
        await self._http.close_all_connections()

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """Return what collects one request (tornado calls this)."""
        return _Exchange(self, request_conn)

    def take(self, exchange: _Exchange, request: Request) -> None:
        """Answer a request, now or later."""
        answer = self._respond(request)
        if isinstance(answer, Answer):
            exchange.reply(answer)
            return
        task = asyncio.get_running_loop().create_task(_later(exchange, answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _later(
    exchange: _Exchange, coming: Coroutine[Any, Any, Answer | None]
) -> None:
    answer = await coming
    if answer is None:
        exchange.drop()
    else:
        exchange.reply(answer)


class _Exchange(HTTPMessageDelegate):
    """One request and its answer on one connection."""

    def __init__(self, front: Front, connection: HTTPConnection) -> None:
        self._front = front
        self._connection = connection
        self._chunks: list[bytes] = []
        self._size = 0
        self._method = ""
        self._path = ""
        self._headers = HTTPHeaders()
        self._replied = False

    def headers_received(self, start_line: Any, headers: HTTPHeaders) -> None:
        assert isinstance(start_line, RequestStartLine)
        self._method = start_line.method
        self._path = start_line.path
        self._headers = headers
        # The HTTP server in front of a real service counts the whole line.
        if len(f"{self._method} {self._path} HTTP/1.1".encode()) > _LINE_LIMIT:
            self.reply(_too_long())
        self._check_size(headers.get("Content-Length", "0"))

    def _check_size(self, text: str) -> None:
        if text.isdigit() and int(text) > self._front.body_limit:
            self.reply(_too_large(self._front.body_limit))

    def data_received(self, chunk: bytes) -> None:
        if self._replied:
            return
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size > self._front.body_limit:
            self._chunks.clear()
            self.reply(_too_large(self._front.body_limit))

    def finish(self) -> None:
        if not self._replied:
            request = Request(
                method=self._method,
                path=self._path,
                headers=self._headers,
                body=b"".join(self._chunks),
                connection=id(getattr(self._connection, "stream", None)),
            )
            self._front.take(self, request)

    def on_connection_close(self) -> None:
        self._replied = True

    def reply(self, answer: Answer) -> None:
        """Send the answer; to a client that has gone, nothing."""
        if self._replied:
            return
        self._replied = True
        headers = HTTPHeaders()
        for name, value in answer.headers.items():
            headers.add(name, value)
        headers.setdefault("Date", _date(int(time.time())))
        if answer.status not in (204, 304):
            headers["Content-Length"] = str(len(answer.body))
        line = ResponseStartLine("HTTP/1.1", answer.status, _phrase(answer.status))
        body = b"" if self._method == "HEAD" else answer.body
        self._connection.write_headers(line, headers, body or None)
        self._connection.finish()

    def drop(self) -> None:
        """Close the connection without an answer."""
        self._replied = True
        if isinstance(self._connection, HTTP1Connection):
            self._connection.stream.close()


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return format_timestamp(second)


def _too_large(limit: int) -> Answer:
    text = HttpError(413, f"At most {limit} bytes are taken.").text
    return text_answer(413, text, {"Connection": "close"})


def _too_long() -> Answer:
    text = HttpError(414, f"At most {_LINE_LIMIT} bytes are taken.").text
    return text_answer(414, text, {"Connection": "close"})


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"

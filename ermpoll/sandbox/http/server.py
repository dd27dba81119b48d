"""The sockets of a sandbox: HTTP by tornado, notices by the broker, on one loop.

Puts faults and prices around the service's answers; what the answers are is the
service's affair. Everything here runs on the loop of the thread that runs it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Protocol

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
from ermpoll.sandbox.http.faults import Faults, Verdict, price_s
from ermpoll.sandbox.http.messages import Answer, Request, text_answer

logger = logging.getLogger(__name__)

_WRITES = ("PUT", "POST", "DELETE")
#: Bodies beyond this get a 413.
BODY_LIMIT = 32 * 1024 * 1024
_HEADER_LIMIT = 64 * 1024


class NoticeSink(Protocol):
    """Where notices go."""

    def publish(self) -> None:
        """Send one notice."""


class Front(HTTPServerConnectionDelegate):
    """Answers HTTP with a service, faults and prices around it.

    Parameters
    ----------
    answer
        The service.
    notices
        Gets one notice after each write.
    price
        True: requests take as long as on a real service, and writes that overlap
        abort.
    spared
        A path that no fault hits and that costs nothing: commands come there.
    """

    def __init__(
        self,
        answer: Callable[[Request], Answer],
        *,
        notices: NoticeSink,
        price: bool = False,
        spared: str = "",
        body_limit: int = BODY_LIMIT,
    ) -> None:
        self._answer = answer
        self._spared = spared
        self._notices = notices
        self._price = price
        self.body_limit = body_limit
        self.faults = Faults()
        self.thaw_at = 0.0
        self._writing = False
        #: What a row of a write takes here anyhow, in seconds: it is part of the price.
        self._own_row_s = 0.0
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
        calm = self.faults.quiet and not self._price and not self.thaw_at
        if calm or request.path == self._spared:
            exchange.reply(self._done(request))
            return
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._later(exchange, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _done(self, request: Request) -> Answer:
        answer = self._answer(request)
        if answer.changed:
            self._notices.publish()
        return answer

    async def _later(self, exchange: _Exchange, request: Request) -> None:
        await self._thawed()
        verdict = self.faults.verdict(request.method)
        if verdict.delay_s:
            await asyncio.sleep(verdict.delay_s)
        if verdict.status is not None:
            exchange.reply(_error(verdict.status, verdict.detail))
            return
        answer = await self._priced(request)
        await self._thawed()
        _reply(exchange, answer, verdict)

    async def _thawed(self) -> None:
        loop = asyncio.get_running_loop()
        while (left := self.thaw_at - loop.time()) > 0:
            await asyncio.sleep(left)
        self.thaw_at = 0.0

    async def _priced(self, request: Request) -> Answer:
        """Answer after the emulated price; writes that overlap another abort."""
        if not self._price:
            return self._done(request)
        rows = _rows_in(request)
        if request.method not in _WRITES:
            # what is read is how it was at the start, as in a transaction there
            begun = time.perf_counter()
            answer = self._done(request)
            took_s = time.perf_counter() - begun
            await asyncio.sleep(max(price_s(request.method, rows) - took_s, 0))
            return answer
        if self._writing:
            await asyncio.sleep(price_s(request.method, rows))
            return _error(503, "Transaction aborted.")
        self._writing = True
        try:
            own_s = self._own_row_s * rows
            await asyncio.sleep(max(price_s(request.method, rows) - own_s, 0))
            return self._timed(request, rows)
        finally:
            self._writing = False

    def _timed(self, request: Request, rows: int) -> Answer:
        begun = time.perf_counter()
        answer = self._done(request)
        if rows:
            took_s = (time.perf_counter() - begun) / rows
            self._own_row_s += 0.3 * (took_s - self._own_row_s)
        return answer


def _error(status: int, detail: str) -> Answer:
    return text_answer(status, HttpError(status, detail).text)


def _reply(exchange: _Exchange, answer: Answer, verdict: Verdict) -> None:
    if verdict.drop_reply:
        exchange.drop()
    elif verdict.status_after is not None:
        exchange.reply(_error(verdict.status_after, verdict.detail))
    else:
        exchange.reply(answer)


def _rows_in(request: Request) -> int:
    try:
        rows = json.loads(request.body) if request.body else []
    except ValueError:
        return 0
    return len(rows) if isinstance(rows, list) else 1


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
        headers["Date"] = _date(int(time.time()))
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


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"

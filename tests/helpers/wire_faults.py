"""The ways in which a call to a catalog fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ermpoll.sandbox.http.messages import Request, text_answer
from tests.helpers.memory_wire import as_bytes
from tests.helpers.virtual_world import World

#: What a fault says of itself, where it can.
WORDS = "a fault of the sweep"
ABORTED = "Transaction aborted."


@dataclass(frozen=True)
class Fault:
    """How one call fails."""

    #: Asked at connecting, and then with the request.
    connecting: type[Exception] | None = None
    #: What is served instead: given the world, the request and what serves it.
    instead: Callable[[World, Request], bytes] | None = None
    #: A read is sent twice by the HTTP library itself: then both copies fail.
    both: bool = False


def status(code: int, words: str = WORDS) -> Fault:
    def answer(world: World, request: Request) -> bytes:
        return as_bytes(text_answer(code, f"{code}\nDetail: {words}\n"), world.date)

    return Fault(instead=answer)


def body(text: bytes, headers: Mapping[str, str] | None = None) -> Fault:
    """Do what was asked, and answer something else."""

    def answer(world: World, request: Request) -> bytes:
        world.serve(request)
        made = text_answer(200, text.decode("latin-1"), headers)
        return as_bytes(made, world.date)

    return Fault(instead=answer)


def _hang(world: World, request: Request) -> bytes:
    world.pass_(3.0)
    raise TimeoutError("timed out")


def _done_then_hang(world: World, request: Request) -> bytes:
    world.serve(request)
    return _hang(world, request)


def _done_then_cut(world: World, request: Request) -> bytes:
    world.serve(request)
    return b""


def _reset(world: World, request: Request) -> bytes:
    raise ConnectionResetError(104, "Connection reset by peer")


def _library(world: World, request: Request) -> bytes:
    raise RuntimeError("an error of the library")


KINDS: dict[str, Fault] = {
    "refused": Fault(connecting=ConnectionRefusedError, both=True),
    "no connection": Fault(connecting=TimeoutError, both=True),
    "hang": Fault(instead=_hang, both=True),
    "done, then hang": Fault(instead=_done_then_hang, both=True),
    "done, answer dropped": Fault(instead=_done_then_cut, both=True),
    "request dropped": Fault(instead=_reset, both=True),
    **{str(code): status(code) for code in (400, 401, 403, 404, 409, 412, 429)},
    **{str(code): status(code) for code in (500, 502, 503, 504)},
    "aborted": status(503, ABORTED),
    "truncated": Fault(instead=lambda w, r: w.serve(r, cut=True)),
    "a proxy's page": body(b"<html>welcome</html>"),
    "an object": body(b'{"no": "rows"}'),
    "rows without RID": body(b"[{}]"),
    "not gzip": body(b"[]", {"Content-Encoding": "gzip"}),
    "no HTTP": Fault(instead=lambda w, r: b"SSH-2.0-OpenSSH\r\n\r\n"),
    "a library's error": Fault(instead=_library, both=True),
}

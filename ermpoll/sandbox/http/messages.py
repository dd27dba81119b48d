"""A request and an answer, as the sandbox's layers hand them to each other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ermpoll.sandbox.errors import bad_request
from ermpoll.sandbox.model import jsons
from ermpoll.sandbox.model.clients import ANONYMOUS, Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, as it came."""

    method: str
    #: The raw address from ``/`` on, percent runs and query included.
    path: str
    #: Lookups ignore case.
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)
    client: Client = ANONYMOUS
    #: A number of the connection that it came on.
    connection: int = 0
    #: True: nothing is to be done but to check the preconditions.
    is_probe: bool = False

    @property
    def accept(self) -> str:
        """The Accept header, or an empty text."""
        return self.headers.get("Accept", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer, as it goes out."""

    status: int
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Rows and columns that were read, or rows that were written.
    rows: int = 0
    columns: int = 0
    #: True: a notice goes out after this.
    changed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What can be said of a write before it is done."""

    #: The answer to one whose preconditions fail.
    refusal: Answer | None = None
    #: How many the table has that it goes to.
    columns: int = 0


def json_answer(
    status: int, doc: Any, headers: Mapping[str, str] | None = None
) -> Answer:
    """Return an answer with a JSON document, compact and ending in a newline."""
    text = json.dumps(doc, ensure_ascii=False, separators=(",", ":"))
    return Answer(
        status=status,
        body=f"{text}\n".encode(),
        headers={"Content-Type": "application/json", **(headers or {})},
    )


def json_of(request: Request) -> Any:
    """Return the JSON of a body, or None for none; or refuse (400)."""
    if not request.body.strip():
        return None
    try:
        return jsons.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise bad_request("The body is not JSON.") from error


def text_answer(
    status: int, text: str, headers: Mapping[str, str] | None = None
) -> Answer:
    """Return an answer with plain text."""
    return Answer(
        status=status,
        body=text.encode(),
        headers={"Content-Type": "text/plain", **(headers or {})},
    )


def empty_answer(headers: Mapping[str, str] | None = None) -> Answer:
    """Return a 204; the real service gives even that a type."""
    return Answer(
        status=204,
        headers={"Content-Type": "text/html; charset=utf-8", **(headers or {})},
    )

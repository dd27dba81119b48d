"""From an HTTP status to the error it is: the one place where they are mapped."""

from __future__ import annotations

import html
import re

from ermpoll.errors import (
    Aborted,
    BadRequest,
    CatalogError,
    Conflict,
    Denied,
    NotFound,
    PreconditionFailed,
    Unavailable,
)

#: The server's own words for "nothing happened".
ABORTED = "Transaction aborted."
TIME_LIMIT = "Query run time limit exceeded."

_KINDS: dict[int, type[CatalogError]] = {
    400: BadRequest,
    401: Denied,
    403: Denied,
    404: NotFound,
    409: Conflict,
    412: PreconditionFailed,
}
_ADVICE = {
    400: "the request was not understood",
    401: "it wants a login: none was found, or it has expired; log in again "
    "(deriva-auth) or set $ERMPOLL_HOST and $ERMPOLL_TOKEN",
    403: "this login may not do that; ask the catalog's owner for the right",
    404: "there is no such thing there; check the address",
    409: "its tables or constraints forbid it",
    412: "somebody wrote to the catalog since it was read; nothing was written",
    415: "it does not take this kind of body",
}


def error_of(method: str, status: int, url: str, body: str) -> CatalogError:
    """Return the error for an answer that is none of 2xx and 304.

    ``doubtful`` is set where a write may have been committed: 500, 502, 504 and any
    503 that does not say ``Transaction aborted.`` come from before or behind the
    commit, and nobody can tell.
    """
    detail = detail_of(body)
    facts = {"status": status, "url": url, "detail": detail}
    if status == 503 and ABORTED in detail:
        return Aborted(f"another writer came first (503, {detail})", **facts)  # type: ignore[arg-type]
    if status == 400 and TIME_LIMIT in detail:
        return Aborted(f"the catalog is busy (400, {detail})", **facts)  # type: ignore[arg-type]
    advice = _ADVICE.get(status, "it can't answer now; try again")
    if 300 <= status < 400:
        advice = "it sends on to another address; use the catalog's own address"
    message = f"{method} {_short(url)}: {status}, {advice}" + (
        f". The server says: {detail}" if detail else ""
    )
    if status >= 500:
        doubtful = method != "GET"
        return Unavailable(message, doubtful=doubtful, **facts)  # type: ignore[arg-type]
    return _KINDS.get(status, CatalogError)(message, **facts)  # type: ignore[arg-type]


def detail_of(body: str) -> str:
    """Return the server's own words from an error's body, at most 500 characters."""
    text = body.strip()
    if text[:1] == "<":
        text = html.unescape(re.sub(r"<[^>]*>", " ", text)).strip()
    _, found, rest = text.partition("Detail: ")
    return " ".join((rest if found else text).split())[:500]


def _short(url: str) -> str:
    return url if len(url) <= 160 else url[:159] + "…"

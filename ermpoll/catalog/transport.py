"""HTTP to the server of one catalog: statuses become errors, a login stays at home.

Knows nothing of rows. Whatever is no read is sent once, and nothing follows a
redirect.
"""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import NewConnectionError, ReadTimeoutError

from ermpoll.catalog.connection import bundle, is_distrust, new_session
from ermpoll.catalog.credentials import Login
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
#: Another address of the same server, as for the session; no other gets the login.
_ABSOLUTE = re.compile(r"https?://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that is none of the errors."""

    #: 2xx or 304.
    status: int
    #: The address that answered.
    url: str
    etag: str | None
    #: The ``Date`` header as it came, or None.
    date: str | None
    method: str
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        """The body as JSON; an empty one is an empty list.

        Raises
        ------
        Unavailable
            It is something else: a page of a proxy, perhaps.
        """
        try:
            return json.loads(self.body or b"[]")
        except ValueError:
            raise Unavailable(
                f"expected JSON from {self.url[:160]}, found something else; "
                "is it an ERMrest catalog?",
                status=self.status,
                url=self.url,
                doubtful=self.method != "GET",
            ) from None


class Transport:
    """Sends requests to one catalog's server. Safe to use from threads.

    Parameters
    ----------
    url
        The catalog's address; paths are below it.
    timeout_s
        Seconds to wait for a connection, and between two parts of an answer.
    ca
        A file of certificates to trust, whatever the environment says; None: the
        one that ``$REQUESTS_CA_BUNDLE`` or ``$CURL_CA_BUNDLE`` names, or requests'.
    """

    def __init__(
        self, url: str, login: Login, *, timeout_s: float, ca: str | None
    ) -> None:
        self.url = url
        self.login = login
        self.timeout_s = timeout_s
        self.ca = ca
        self._sessions: dict[int, requests.Session] = {}

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> Reply:
        """Send one request and return the answer.

        Raises
        ------
        CatalogError
            By status; Unavailable when no good answer came.
        """
        url = path if _ABSOLUTE.match(path) else f"{self.url}/{path.lstrip('/')}"
        try:
            answer = self._session().request(
                method,
                url,
                data=data,
                headers=headers,
                timeout=self.timeout_s,
                allow_redirects=False,
                auth=self._sign,
                # said with each request, or requests prefers its own variables
                verify=bundle(self.ca).file or True,
            )
        except requests.RequestException as error:
            raise self._unreachable(method, error) from None
        except OSError:
            # requests looks for the file before it connects
            raise self._unreachable(method, None) from None
        if answer.status_code >= 300 and answer.status_code != 304:
            body = self.login.scrub(answer.text)
            raise error_of(method, answer.status_code, url, body)
        return Reply(
            status=answer.status_code,
            url=answer.url,
            etag=answer.headers.get("ETag"),
            date=answer.headers.get("Date"),
            method=method,
            body=answer.content,
        )

    def close(self) -> None:
        """Close the connections; new ones are opened when there is a request."""
        for pid in list(self._sessions):
            session = self._sessions.pop(pid, None)
            if session is not None:
                session.close()

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self.login.headers(request.url or ""))
        return request

    def _unreachable(self, method: str, error: Exception | None) -> Unavailable:
        host = urlsplit(self.url).netloc
        reason = self._reason(error)
        return Unavailable(
            f"expected the catalog at {host} to answer, but {reason}; "
            "check the address and that the server runs",
            url=self.url,
            detail=reason,
            doubtful=method != "GET" and not _never_sent(error),
        )

    def _reason(self, error: Exception | None) -> str:
        cause = _cause(error)
        if isinstance(error, requests.ConnectTimeout):
            return f"no connection within {self.timeout_s:g} s"
        if isinstance(error, requests.ReadTimeout) or isinstance(
            cause, ReadTimeoutError
        ):
            return f"no answer within {self.timeout_s:g} s"
        if error is None or isinstance(error, requests.exceptions.SSLError):
            return bundle(self.ca).refusal(cause)
        return "the connection was refused or lost, or the name is unknown"

    def _session(self) -> requests.Session:
        # a forked worker must not share its parent's sockets; and no lock, which a
        # fork may leave locked for ever: a session made in vain does no harm
        pid = os.getpid()
        session = self._sessions.get(pid)
        if session is None:
            session = self._sessions.setdefault(pid, new_session(self.url))
        return session


def _cause(error: Exception | None) -> object:
    """Return what urllib3 gave up for, or None."""
    return getattr(error.args[0] if error and error.args else None, "reason", None)


def _never_sent(error: Exception | None) -> bool:
    """Whether no connection was made at all, so that no write can have happened."""
    cause = _cause(error)
    return (
        error is None
        or isinstance(error, requests.ConnectTimeout)
        or isinstance(cause, NewConnectionError)
        or is_distrust(cause)
    )


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

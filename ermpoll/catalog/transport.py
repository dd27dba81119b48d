"""HTTP to the server of one catalog: statuses become errors, a login stays at home.

Knows nothing of rows. Whatever is no read is sent once, and nothing follows a
redirect.
"""

from __future__ import annotations

import html
import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import (
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
)

from ermpoll.catalog import paths
from ermpoll.catalog.client_context import client_context
from ermpoll.catalog.connection import (
    PATIENCE,
    bundle,
    is_distrust,
    new_session,
    retry_after_s,
)
from ermpoll.catalog.credentials import Login
from ermpoll.catalog.values import number_of
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
from ermpoll.records import JSON, Page
from ermpoll.redact import clipped, printable

#: The server's own words for "nothing happened".
ABORTED = "Transaction aborted."
TIME_LIMIT = "Query run time limit exceeded."

#: The largest answer, in bytes as unpacked: what comes without an end fills no memory.
LARGEST = 100_000_000
#: Of an error's page, more is not read.
LARGEST_PAGE = 100_000
#: Bytes read at a time.
_CHUNK = 65_536

_KINDS: dict[int, type[CatalogError]] = {
    400: BadRequest,
    401: Denied,
    403: Denied,
    404: NotFound,
    409: Conflict,
    412: PreconditionFailed,
    414: BadRequest,
}
_ADVICE = {
    400: "the request was not understood",
    401: "it does not know this login: it is wrong, or it has expired; log in again "
    "(deriva-auth) or set $ERMPOLL_HOST and $ERMPOLL_TOKEN",
    403: "this login may not do that; ask the catalog's owner for the right",
    404: "there is no such thing there; check the address",
    409: "its tables or constraints forbid it",
    412: "somebody wrote to the catalog since it was read; nothing was written",
    414: "the address is too long; give fewer columns or a shorter filter",
    415: "it does not take this kind of body",
    429: "it is asked too often; try again later",
}
_KIND_OF = {dict: "object", str: "text", bool: "boolean", type(None): "null"}
_NOBODY = (
    "you are nobody here: no login was found; log in (deriva-auth), give credentials= "
    "or set $ERMPOLL_HOST and $ERMPOLL_TOKEN"
)
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
            return json.loads(self.body or b"[]", parse_float=number_of)
        except ValueError:
            found = "something else"
        except RecursionError:
            found = "JSON without an end to its levels"
        raise self.unlike("JSON", found)

    @property
    def rows(self) -> list[dict[str, JSON]]:
        """The rows that it lists.

        Raises
        ------
        Unavailable
            It lists something else.
        """
        told = self.json
        if not isinstance(told, list):
            raise self.unlike("rows", f"a JSON {_KIND_OF.get(type(told), 'number')}")
        for row in told:
            if not isinstance(row, dict):
                raise self.unlike("rows", "a list of other things")
        return told

    def unlike(self, expected: str, found: str) -> Unavailable:
        """Return the error for a good status with a body that is not as expected.

        Nobody can tell then whether a write was committed: a proxy may have answered.
        """
        return unlike(expected, found, self.url, self.method, self.status)


def unlike(
    expected: str, found: str, url: str, method: str = "GET", status: int = 200
) -> Unavailable:
    """Return the error for an answer that is not as it should be."""
    return Unavailable(
        f"expected {expected} from {_short(url)}, found {found}; is it an ERMrest "
        "catalog, or does a proxy answer for it?",
        status=status,
        url=url,
        doubtful=method != "GET",
    )


def with_columns(page: Page, *columns: str) -> Page:
    """Return a page whose rows have these columns.

    Raises
    ------
    Unavailable
        A row has not.
    """
    for row in page.rows:
        for name in columns:
            if name not in row:
                raise unlike(f"rows with {name}", "rows without", page.url)
    return page


class Transport:
    """Sends requests to one catalog's server. Safe to use from threads.

    Parameters
    ----------
    url
        The catalog's address; paths are below it.
    timeout_s
        Seconds to wait for a connection, and between two parts of an answer; a whole
        answer may take `PATIENCE` times as long.
    ca
        A file of certificates to trust, whatever the environment says; None: the
        one that ``$REQUESTS_CA_BUNDLE`` or ``$CURL_CA_BUNDLE`` names, or requests'.
    """

    def __init__(
        self, url: str, login: Login, *, timeout_s: float, ca: str | None
    ) -> None:
        self.url = url
        self._server = "{0.scheme}://{0.netloc}".format(urlsplit(url))
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
        paths.check_size(url.removeprefix(self._server))
        headers = {"Deriva-Client-Context": client_context(), **(headers or {})}
        begun = time.monotonic()
        try:
            with self._session().request(
                method,
                url,
                data=data,
                headers=headers,
                timeout=self.timeout_s,
                allow_redirects=False,
                auth=self._sign,
                # read below, no more of it than is good
                stream=True,
                # said with each request, or requests prefers its own variables
                verify=bundle(self.ca).file or True,
            ) as answer:
                if answer.status_code >= 300 and answer.status_code != 304:
                    raise self._error(method, url, answer)
                body = _body(answer, LARGEST)
        except requests.RequestException as error:
            waited_s = time.monotonic() - begun
            raise self._unreachable(method, error, waited_s) from None
        except OSError:
            # requests looks for the file before it connects
            raise self._unreachable(method, None) from None
        reply = Reply(
            status=answer.status_code,
            url=answer.url,
            etag=answer.headers.get("ETag"),
            date=answer.headers.get("Date"),
            method=method,
            body=body,
        )
        if len(body) > LARGEST:
            raise reply.unlike(
                "an answer to keep in memory",
                f"more than {LARGEST // 10**6} MB; ask for fewer rows or columns",
            )
        return reply

    def beside(self, url: str) -> Transport:
        """Return one to another address of the server, over the same connections."""
        other = Transport(url, self.login, timeout_s=self.timeout_s, ca=self.ca)
        other._sessions = self._sessions
        return other

    def _error(self, method: str, url: str, answer: requests.Response) -> CatalogError:
        try:
            page = _body(answer, LARGEST_PAGE)[:LARGEST_PAGE].decode(errors="replace")
        except (requests.RequestException, OSError):
            page = ""  # its status is worth more than its words
        return error_of(
            method,
            answer.status_code,
            url,
            self.login.scrub(page),
            anonymous=self.login.kind == "anonymous",
            retry_after_s=retry_after_s(answer.headers),
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

    def _unreachable(
        self, method: str, error: Exception | None, waited_s: float = 0
    ) -> Unavailable:
        host = urlsplit(self.url).netloc
        reason = self._reason(error, waited_s)
        return Unavailable(
            f"expected the catalog at {host} to answer, but {reason}; "
            "check the address and that the server runs",
            url=self.url,
            detail=reason,
            doubtful=method != "GET" and not _never_sent(error),
        )

    def _reason(self, error: Exception | None, waited_s: float) -> str:
        cause = _cause(error)
        if isinstance(error, requests.ConnectTimeout):
            return f"no connection within {self.timeout_s:g} s"
        if isinstance(error, requests.ReadTimeout) or isinstance(
            cause, ReadTimeoutError
        ):
            if waited_s >= PATIENCE * self.timeout_s:
                return f"no whole answer within {PATIENCE * self.timeout_s:g} s"
            return f"no answer within {self.timeout_s:g} s"
        if error is None or isinstance(error, requests.exceptions.SSLError):
            return bundle(self.ca).refusal(cause)
        return _why_lost(error, cause)

    def _session(self) -> requests.Session:
        # a forked worker must not share its parent's sockets; and no lock, which a
        # fork may leave locked for ever: a session made in vain does no harm
        pid = os.getpid()
        session = self._sessions.get(pid)
        if session is None:
            session = self._sessions.setdefault(pid, new_session(self.url))
        return session


def _body(answer: requests.Response, largest: int) -> bytes:
    """Read a body, unpacked, until it is over or has more bytes than that."""
    body = bytearray()
    for chunk in answer.iter_content(_CHUNK):
        body += chunk
        if len(body) > largest:
            break
    return bytes(body)


def _cause(error: Exception | None) -> object:
    """Return what urllib3 gave up for, or None."""
    inner = error.args[0] if error and error.args else None
    # of a body that broke off there is no more than that itself
    return (
        inner if isinstance(inner, ReadTimeoutError) else getattr(inner, "reason", None)
    )


def _why_lost(error: Exception, cause: object) -> str:
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy does not pass it on"
    if isinstance(cause, NameResolutionError):
        return "its name is unknown (DNS)"
    refused = getattr(cause, "__cause__", None)
    if isinstance(refused, ConnectionRefusedError):
        return "nothing listens there: the connection was refused"
    if isinstance(cause, NewConnectionError):
        return f"there is no way there ({clipped(str(refused or 'no connection'))})"
    return "the connection was lost"


def _never_sent(error: Exception | None) -> bool:
    """Whether no connection was made at all, so that no write can have happened."""
    cause = _cause(error)
    return (
        error is None
        or isinstance(error, requests.ConnectTimeout)
        or isinstance(cause, NewConnectionError)
        or is_distrust(cause)
    )


def error_of(
    method: str,
    status: int,
    url: str,
    body: str,
    *,
    anonymous: bool = False,
    retry_after_s: float = 0.0,
) -> CatalogError:
    """Return the error for an answer that is none of 2xx and 304.

    ``doubtful`` is set where a write may have been committed: 500, 502, 504 and any
    503 that does not say ``Transaction aborted.`` come from before or behind the
    commit, and nobody can tell.
    """
    detail = detail_of(body)
    facts: dict[str, Any] = {"status": status, "url": url, "detail": detail}
    wait: dict[str, Any] = {"retry_after_s": retry_after_s}
    if status == 503 and ABORTED in detail:
        return Aborted(f"another writer came first (503, {detail})", **facts, **wait)
    if status == 400 and TIME_LIMIT in detail:
        return Aborted(f"the catalog is busy (400, {detail})", **facts, **wait)
    advice = _ADVICE.get(status, "it can't answer now; try again")
    if status == 401 and anonymous:
        advice = _NOBODY
    if 300 <= status < 400:
        advice = "it sends on to another address; use the catalog's own address"
    message = f"{method} {_short(url)}: {status}, {advice}" + (
        f". The server says: {detail}" if detail else ""
    )
    if status == 429 or status >= 500:
        doubtful = method != "GET" and status != 429
        return Unavailable(message, doubtful=doubtful, **facts, **wait)
    return _KINDS.get(status, CatalogError)(message, **facts)


def detail_of(body: str) -> str:
    """Return the server's own words from an error's body, at most 500 characters."""
    text = body.strip()
    if text[:1] == "<":
        text = html.unescape(re.sub(r"<[^>]*>", " ", text)).strip()
    _, found, rest = text.partition("Detail: ")
    return printable((rest if found else text)[:2000])[:500]


def _short(url: str) -> str:
    return printable(url if len(url) <= 160 else url[:159] + "…")

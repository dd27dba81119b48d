"""One ERMrest catalog over HTTP: the only door to the network for data.

Knows statuses, ETags and logins; knows nothing of queues. A write is sent once:
whoever asks decides whether it is sent again.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError
from urllib3.util import Retry

from ermpoll import permits
from ermpoll.addresses import catalog_url, of_deriva
from ermpoll.answers import error_of
from ermpoll.clock import ServerClock, date_time, etag_time
from ermpoll.credentials import Login, find_credentials, is_loopback
from ermpoll.errors import NotFound, Unavailable, UsageError, WriteRefused
from ermpoll.records import Page, Row

#: Another address of the same server, as `session` asks; it gets no login elsewhere.
_ABSOLUTE = re.compile(r"https?://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A login as the server sees it."""

    #: Name for people, or the client's id.
    name: str
    id: str
    #: Seconds until it expires, or None when the server doesn't say.
    left_s: float | None


def connect(
    url: object = None,
    credentials: Mapping[str, Any] | None = None,
    *,
    read_only: bool = False,
    timeout_s: float = 30,
    ca: str | os.PathLike[str] | None = None,
) -> Catalog:
    """Return a catalog; nothing is sent yet.

    Parameters
    ----------
    url
        ``https://host/ermrest/catalog/1``, the address of a Chaise page of the
        catalog, a deriva-py ``ErmrestCatalog``, or None for ``$ERMPOLL_CATALOG``.
    credentials
        ``{"bearer-token": ...}`` or ``{"cookie": ...}``. None looks where people
        keep one (see `find_credentials`); ``{}`` goes anonymous.
    read_only
        True refuses every write before it is sent.
    timeout_s
        Seconds to wait for a connection, and between two parts of an answer.
    ca
        A file of certificates to trust instead of the system's.

    Raises
    ------
    UsageError
        No address, or one that is none; a login for plain http to another host.
    """
    if timeout_s <= 0:
        raise UsageError(f"expected timeout_s above 0 seconds, found {timeout_s}")
    if ca is not None and not Path(ca).is_file():
        raise UsageError(f"expected ca to be a file of certificates, found {ca}")
    if not isinstance(url, str | None):
        url, credentials = of_deriva(url, credentials)
    address = catalog_url(url or os.environ.get("ERMPOLL_CATALOG"))
    if credentials is None:
        credentials = find_credentials(address)
    login = Login(credentials, address)
    return Catalog(address, login, read_only=read_only, timeout_s=timeout_s, ca=ca)


class Catalog:
    """A catalog to read and write; made by `connect`. Safe to use from threads."""

    def __init__(
        self,
        url: str,
        login: Login,
        *,
        read_only: bool = False,
        timeout_s: float = 30,
        ca: str | os.PathLike[str] | None = None,
    ) -> None:
        self.url = url
        self.read_only = read_only
        self.clock = ServerClock()
        self._login = login
        self._timeout_s = timeout_s
        self._ca = os.fspath(ca) if ca is not None else None
        self._lock = threading.Lock()
        self._sessions: dict[int, requests.Session] = {}
        self._writes = 0
        self._refused: list[str] = []
        self._dry_runs: list[list[str]] = []

    def __repr__(self) -> str:
        only = ", read-only" if self.read_only else ""
        return f"<Catalog {self.url} ({self._login.kind}{only})>"

    def __reduce__(self) -> Any:
        # the login stays here: a worker process finds its own
        return _reconnect, (self.url, self.read_only, self._timeout_s, self._ca)

    # reading

    def get(self, path: str, *, etag: str | None = None) -> Page | None:
        """Read rows; None when the catalog is still at ``etag`` (304).

        Parameters
        ----------
        path
            Path below the catalog, names quoted: ``entity/S:T/state=new?limit=5``.

        Raises
        ------
        CatalogError
            By status: BadRequest, Denied, NotFound, Conflict, Unavailable.

        Notes
        -----
        The ETag says nothing about the path: any write to any table changes it.
        """
        headers = {"If-None-Match": etag} if etag else {}
        answer = self._ask("GET", path, headers=headers)
        if answer.status_code == 304:
            return None
        self._hear_read(answer)
        return self._page(answer)

    def document(self, path: str) -> Any:
        """Read a JSON document of the model.

        Raises
        ------
        CatalogError
            As `get` does; NotFound for an element that isn't there.
        """
        return self._json(self._ask("GET", path))

    def session(self) -> Session | None:
        """Ask who is logged in; None for nobody (an expired login is nobody).

        Raises
        ------
        CatalogError
            The server can't tell.
        """
        parts = urlsplit(self.url)
        try:
            answer = self._ask("GET", f"{parts.scheme}://{parts.netloc}/authn/session")
        except NotFound:
            return None
        found = self._json(answer)
        client = found.get("client") or {}
        return Session(
            name=str(client.get("display_name") or client.get("id") or "somebody"),
            id=str(client.get("id") or ""),
            left_s=found.get("seconds_remaining"),
        )

    def whoami(self) -> str | None:
        """Return the name of who is logged in, or None for nobody."""
        session = self.session()
        return session.name if session else None

    def now(self) -> datetime:
        """Return the catalog's time (UTC) as its last answers tell it."""
        return self.clock.now()

    # writing

    def put(self, path: str, rows: Sequence[Row], *, guard: str | None = None) -> Page:
        """Write rows, once; a failed call is not repeated.

        Parameters
        ----------
        guard
            An ETag: write only if the whole catalog is still at it.

        Raises
        ------
        PreconditionFailed
            The guard no longer holds (412); nothing was written.
        WriteRefused
            The catalog is read-only here, or a dry run is on; nothing was sent.
        Unavailable
            No good answer. With ``doubtful`` the rows may be written all the same.
        CatalogError
            By status: BadRequest, Denied, Conflict.
        """
        return self._write("PUT", path, rows, {"If-Match": guard} if guard else {})

    def post(self, path: str, rows: Sequence[Row]) -> Page:
        """Insert rows, once. Raises as `put` does."""
        return self._write("POST", path, rows, {})

    def delete(self, path: str) -> None:
        """Delete the rows of a path, once. Raises as `put`; NotFound for no row."""
        self._may_write("DELETE", path)
        self._hear_write(self._ask("DELETE", path))

    @property
    def writes(self) -> int:
        """Writes sent so far by this object, whatever became of them."""
        return self._writes

    @property
    def refused(self) -> tuple[str, ...]:
        """The last writes refused here: ``would PUT attributegroup/...``."""
        return tuple(self._refused)

    @contextmanager
    def dry_run(self) -> Iterator[list[str]]:
        """Refuse every write but those of running agents; yields what was refused."""
        with permits.dry() as refused:
            with self._lock:
                self._dry_runs.append(refused)
            try:
                yield refused
            finally:
                with self._lock:
                    # by identity: two lists of the same lines are equal
                    self._dry_runs = [r for r in self._dry_runs if r is not refused]

    def close(self) -> None:
        """Close the connections; the catalog opens new ones when it is used again."""
        with self._lock:
            sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            session.close()

    def _write(
        self, method: str, path: str, rows: Sequence[Row], headers: dict[str, str]
    ) -> Page:
        body = _body(path, rows)
        self._may_write(method, path)
        answer = self._ask(
            method,
            path,
            headers={"Content-Type": "application/json", **headers},
            data=body,
        )
        self._hear_write(answer)
        return self._page(answer)

    def _may_write(self, method: str, path: str) -> None:
        line = f"would {method} {path}"
        sink = permits.dry_sink()
        sinks = self._dry_runs if sink is None and not permits.is_permitted() else []
        if sink is not None:
            sinks = [sink]
        if sinks or self.read_only:
            for listed in sinks:
                listed.append(line)
            self._refused = [*self._refused, line][-200:]
            why = "a dry run is going on" if sinks else "this catalog is read-only here"
            raise WriteRefused(f"no write was sent, since {why}: {line}")
        with self._lock:
            self._writes += 1

    # the wire

    def _ask(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        data: bytes | None = None,
    ) -> requests.Response:
        url = path if _ABSOLUTE.match(path) else f"{self.url}/{path.lstrip('/')}"
        try:
            answer = self._session().request(
                method,
                url,
                data=data,
                headers=headers,
                timeout=self._timeout_s,
                allow_redirects=False,
                auth=self._sign,
            )
        except requests.RequestException as error:
            raise self._unreachable(method, error) from None
        if answer.status_code >= 300 and answer.status_code != 304:
            body = self._login.scrub(answer.text)
            raise error_of(method, answer.status_code, url, body)
        return answer

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._login.headers(request.url or ""))
        return request

    def _unreachable(self, method: str, error: Exception) -> Unavailable:
        kind = type(error).__name__
        host = urlsplit(self.url).netloc
        reason = {
            "ConnectTimeout": f"no connection within {self._timeout_s:g} s",
            "ReadTimeout": f"no answer within {self._timeout_s:g} s",
            "SSLError": "its certificate is not trusted; give ca= or set "
            "$REQUESTS_CA_BUNDLE",
        }.get(kind, "the connection was refused or lost, or the name is unknown")
        return Unavailable(
            f"expected the catalog at {host} to answer, but {reason}; "
            "check the address and that the server runs",
            url=self.url,
            detail=reason,
            doubtful=method != "GET" and not _never_sent(error),
        )

    def _session(self) -> requests.Session:
        # a forked worker must not share its parent's sockets
        with self._lock:
            session = self._sessions.get(os.getpid())
            if session is None:
                session = self._sessions[os.getpid()] = self._new_session()
            return session

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        # a dead keep-alive connection is retried for GET alone: a write whose
        # answer was lost may be committed
        retry = Retry(connect=1, read=1, redirect=0, status=0, allowed_methods=["GET"])
        adapter = HTTPAdapter(pool_connections=4, pool_maxsize=32, max_retries=retry)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        # no proxy sees what goes to this machine, and no cookie but our own is sent
        session.trust_env = not is_loopback(urlsplit(self.url).hostname or "")
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        if self._ca:
            session.verify = self._ca
        context = json.dumps({"cid": "ermpoll"}, separators=(",", ":"))
        session.headers.update(
            # GET and PUT must name the same type: it is part of the ETag
            {"Accept": "application/json", "Deriva-Client-Context": context}
        )
        return session

    def _page(self, answer: requests.Response) -> Page:
        rows = self._json(answer)
        return Page(
            rows=rows if isinstance(rows, list) else [rows],
            etag=answer.headers.get("ETag"),
            url=answer.url,
        )

    def _json(self, answer: requests.Response) -> Any:
        try:
            return json.loads(answer.content or b"[]")
        except ValueError:
            raise Unavailable(
                f"expected JSON from {self.url}, found something else; "
                "is it an ERMrest catalog?",
                status=answer.status_code,
                url=self.url,
                doubtful=answer.request.method != "GET",
            ) from None

    def _hear_read(self, answer: requests.Response) -> None:
        newest = etag_time(answer.headers.get("ETag"))
        date = date_time(answer.headers.get("Date"))
        if date:
            self.clock.heard_date(date)
        if newest:
            self.clock.heard_read(newest)

    def _hear_write(self, answer: requests.Response) -> None:
        written = etag_time(answer.headers.get("ETag"))
        if written:
            self.clock.heard_write(written)


def _body(path: str, rows: Sequence[Row]) -> bytes:
    if isinstance(rows, str | Mapping) or not all(isinstance(r, Mapping) for r in rows):
        raise UsageError(
            f"expected a list of rows (mappings) for {path}, found "
            f"{type(rows).__name__} of other things; nothing was sent"
        )
    try:
        return json.dumps([dict(row) for row in rows], allow_nan=False).encode()
    except TypeError as error:
        raise UsageError(
            f"expected values that JSON has for {path}, found another: {error}; "
            "give dates as text"
        ) from None
    except ValueError:
        raise UsageError(
            f"expected numbers that JSON has, found NaN or infinity for {path}; "
            "write None instead"
        ) from None


def _never_sent(error: Exception) -> bool:
    """Whether no connection was made at all, so that no write can have happened."""
    cause = error.args[0] if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(
        getattr(cause, "reason", None), NewConnectionError
    )


def _reconnect(url: str, read_only: bool, timeout_s: float, ca: str | None) -> Catalog:
    return connect(url, read_only=read_only, timeout_s=timeout_s, ca=ca)

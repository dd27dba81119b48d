"""One ERMrest catalog: the only door to its data.

Knows ETags, the catalog's time and who may write; knows nothing of queues. A write
is sent once: whoever asks decides whether it is sent again.
"""

from __future__ import annotations

import difflib
import importlib
import logging
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ermpoll.catalog import write_permission
from ermpoll.catalog.client_context import doing
from ermpoll.catalog.clock import ServerClock, date_time
from ermpoll.catalog.connection import Bundle
from ermpoll.catalog.credentials import (
    Login,
    Session,
    catalog_url,
    find_credentials,
    is_loopback,
    of_deriva,
    session_of,
)
from ermpoll.catalog.etags import etag_time, snapshot_of, snapshot_time
from ermpoll.catalog.shared import shared_of
from ermpoll.catalog.transport import Reply, Transport, with_columns
from ermpoll.catalog.values import body_of
from ermpoll.errors import CatalogError, Denied, NotFound, UsageError, WriteRefused
from ermpoll.records import JSON, Page, Row
from ermpoll.redact import hidden, one_line
from ermpoll.shown import Shown

logger = logging.getLogger(__name__)

#: How often the time is asked for by a write of its own, in seconds.
ASK_TIME_EVERY_S = 60.0
#: The paths of rows; others are of the model.
_DATA = re.compile("/?(?:entity|attribute|attributegroup|aggregate)/")


def connect(
    url: object = None,
    credentials: Mapping[str, Any] | None = None,
    *,
    read_only: bool = False,
    timeout_s: float = 30,
    ca: str | os.PathLike[str] | None = None,
    **unknown: object,
) -> Catalog:
    """Return a catalog; nothing is sent yet.

    Parameters
    ----------
    url
        ``https://host/ermrest/catalog/1``, the address of a Chaise page of the
        catalog, a deriva-py ``ErmrestCatalog``, or None for ``$ERMPOLL_CATALOG``. Of
        a snapshot (``1@2S6-...``) the catalog is read-only.
    credentials
        ``{"bearer-token": ...}`` or ``{"cookie": ...}``. None looks where people
        keep one (see `find_credentials`); ``{}`` goes anonymous.
    read_only
        True refuses every write before it is sent.
    timeout_s
        Seconds to wait for a connection, and between two parts of an answer; a whole
        answer may take four times as long.
    ca
        A file of certificates (PEM) to trust, whatever the environment says. None:
        the one that ``$REQUESTS_CA_BUNDLE`` or ``$CURL_CA_BUNDLE`` names, or those
        that requests brings.

    Raises
    ------
    UsageError
        No address, or one that is none; a login for plain http to another host; no
        certificates in ``ca``; an option that there is not.

    Examples
    --------
    >>> catalog = ermpoll.connect("https://www.example.org/ermrest/catalog/1", {})
    >>> catalog.url
    'https://www.example.org/ermrest/catalog/1'
    """
    url, credentials = hidden(url), hidden(credentials)
    _check_options(unknown)
    if timeout_s <= 0:
        raise UsageError(f"expected timeout_s above 0 seconds, found {timeout_s}")
    if ca is not None and (not Path(ca).is_file() or Bundle(os.fspath(ca)).fault):
        raise UsageError(f"expected ca to be a file of certificates (PEM), found {ca}")
    if not isinstance(url, str | None):
        url, credentials = of_deriva(url, credentials)
    address = catalog_url(url or os.environ.get("ERMPOLL_CATALOG"))
    if credentials is None:
        credentials = find_credentials(address)
        if not credentials and not is_loopback(urlsplit(address).hostname or ""):
            logger.warning("no login was found for %s: you are nobody there", address)
    login = Login(credentials, address)
    return Catalog(address, login, read_only=read_only, timeout_s=timeout_s, ca=ca)


def _check_options(unknown: Mapping[str, object]) -> None:
    known = ("url", "credentials", "read_only", "timeout_s", "ca")
    for name in unknown:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}=?" if close else f"expected {', '.join(known)}"
        raise UsageError(f"connect() has no option {name}=; {hint}")


#: What the package asks of a catalog, and `dir` does not offer to users.
_INTERNAL = frozenset(
    ("ask_time", "check_permit", "clock", "etag_is_version", "own_time", "reached")
)


class Catalog(Shown):
    """A catalog to read and write; made by `connect`. Safe to use from threads.

    Notes
    -----
    All threads that use it have its one login: a login per thread is a catalog per
    thread. In a child of ``os.fork()`` it opens connections of its own. Pickled for
    another process it goes without its login, and finds one there as `connect` does.
    Calls block: in a coroutine, use ``await asyncio.to_thread(catalog.get, path)``.

    Examples
    --------
    >>> path = f"entity/{jobs.table}?limit=2"
    >>> page = catalog.get(path)
    >>> catalog.get(path, etag=page.etag) is None  # 304: nothing was written since
    True
    >>> row = catalog.rows(path, "RID", "Priority")[0]
    >>> by_version = f"attributegroup/{jobs.table}/RID,RMT;Priority"
    >>> written = catalog.put(by_version, [{**row, "Priority": 9}])
    >>> catalog.writes, written.rows[0]["Priority"]
    (1, 9)
    >>> with catalog.dry_run() as refused:
    ...     try:
    ...         catalog.delete(f"entity/{jobs.table}/RID={row['RID']}")
    ...     except ermpoll.WriteRefused:
    ...         refused
    ['would DELETE entity/Imaging:...']
    >>> catalog.refused == tuple(refused)
    True
    >>> subject = {"Code": "M-9", "Species": "Mus musculus"}
    >>> new = catalog.post("entity/Imaging:Subject", [subject]).rows[0]

    Who is logged in, and what may they do?

    >>> catalog.whoami(), catalog.session().name, catalog.nobody()
    ('Ada Lovelace', 'Ada Lovelace', '')
    >>> catalog.document(f"schema/Imaging/table/{jobs.table.split(':')[1]}")["rights"]
    {...'update': True...}
    >>> looking = ermpoll.connect(box.url, read_only=True)
    >>> looking.read_only, looking.why_read_only
    (True, 'the catalog was connected read-only')

    The catalog as it was:

    >>> past = catalog.at(catalog.now())
    >>> past.is_snapshot, past.live.is_snapshot
    (True, False)
    >>> catalog.close()
    """

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
        self._read_only = read_only
        self.clock = ServerClock()
        #: Whether the time in a write's ETag was seen to be its rows' version.
        self.etag_is_version = False
        trusted = os.fspath(ca) if ca is not None else None
        self._transport = Transport(url, login, timeout_s=timeout_s, ca=trusted)
        self._lock = threading.Lock()
        self._writes = 0
        self._asked_at = float("-inf")
        self._refused: list[str] = []
        self._dry_runs: list[list[str]] = []

    def __dir__(self) -> list[str]:
        return [name for name in object.__dir__(self) if name not in _INTERNAL]

    def __repr__(self) -> str:
        only = ", read-only" if self.read_only else ""
        only = ", snapshot" if self.is_snapshot else only
        return f"<Catalog {self.url} ({self._transport.login.kind}{only})>"

    def _repr_html_(self) -> str:
        # it stands beside the catalog: loaded by name, by who shows it
        made: str = importlib.import_module("ermpoll.render").catalog(self)
        return made

    def __reduce__(self) -> Any:
        # the login stays here: a worker process finds its own
        transport = self._transport
        return _reconnect, (self.url, self.read_only, transport.timeout_s, transport.ca)

    @property
    def is_snapshot(self) -> bool:
        """Whether it is the catalog as it was at some time: nobody writes there."""
        return bool(self._parts[1])

    @property
    def _parts(self) -> tuple[str, str]:
        """The address without a snapshot, and the ``@`` of one with its name."""
        server, slash, last = self.url.rpartition("/")
        number, at, snapshot = last.replace("%40", "@").partition("@")
        return f"{server}{slash}{number}", at + snapshot

    def at(self, moment: datetime) -> Catalog:
        """Return the catalog as it was at a moment: the same login, nobody writes.

        Nothing is sent. Its time (`now`) is that moment, to which leases and times
        to try again are to be held.
        """
        return self._beside(f"{self._parts[0]}@{snapshot_of(moment)}")

    @property
    def live(self) -> Catalog:
        """The catalog as it is now: itself, unless it is a snapshot."""
        return self._beside(self._parts[0]) if self.is_snapshot else self

    def _beside(self, url: str) -> Catalog:
        transport = self._transport
        login, timeout_s, ca = transport.login, transport.timeout_s, transport.ca
        other = Catalog(url, login, read_only=True, timeout_s=timeout_s, ca=ca)
        other._transport = transport.beside(url)
        return other

    @property
    def read_only(self) -> bool:
        """Whether every write is refused here; may be set, but not for a snapshot."""
        return self._read_only or self.is_snapshot

    @read_only.setter
    def read_only(self, read_only: bool) -> None:
        self._read_only = read_only

    @property
    def why_read_only(self) -> str:
        """Why no write is sent, in words; empty when writes are."""
        if self.is_snapshot:
            return "this is a snapshot, the catalog as it was: it can't be written to"
        return "the catalog was connected read-only" if self._read_only else ""

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
            By status: BadRequest, Denied, NotFound, Conflict, Unavailable. The
            latter also for an answer that lists no rows, or is larger than 100 MB.

        Notes
        -----
        The ETag says nothing about the path: any write to any table changes it.
        """
        headers = {"If-None-Match": etag} if etag else {}
        reply = self._transport.request("GET", path, headers=headers)
        return None if reply.status == 304 else self._heard(path, reply)

    def rows(self, path: str, *columns: str) -> list[dict[str, JSON]]:
        """Read rows that have these columns, whatever else they have.

        Raises
        ------
        CatalogError
            As `get` does; Unavailable for a row without one of the columns.
        """
        page = self.get(path)
        return with_columns(page, *columns).rows if page else []

    def document(self, path: str) -> Any:
        """Read a JSON document of the model.

        Raises
        ------
        CatalogError
            As `get` does; NotFound for an element that isn't there.
        """
        return self._transport.request("GET", path).json

    def session(self) -> Session | None:
        """Ask who is logged in; None for nobody (an expired login is nobody).

        Raises
        ------
        CatalogError
            The server can't tell.
        """
        parts = urlsplit(self.url)
        try:
            url = f"{parts.scheme}://{parts.netloc}/authn/session"
            with doing("who"):
                return session_of(self._transport.request("GET", url).json)
        except (NotFound, Denied):
            return None

    def nobody(self) -> str:
        """Ask who is logged in; say why it is nobody, or "" for somebody.

        Raises
        ------
        CatalogError
            The server can't tell.
        """
        if self.session():
            return ""
        found = "no login was found"
        if self._transport.login.kind != "anonymous":
            found = "the server does not know the login; it is wrong or has expired"
        return f"you are nobody here: {found}"

    def whoami(self) -> str | None:
        """Return the name of who is logged in, or None for nobody."""
        session = self.session()
        return session.name if session else None

    def now(self) -> datetime:
        """Return the catalog's time (UTC): to show, and to wake by.

        Of a snapshot it is the moment that the snapshot is of.
        """
        return snapshot_time(self._parts[1][1:]) or self.clock.now()

    def reached(self) -> datetime:
        """Return a time (UTC) that the catalog has reached, to claim by.

        Only a guess before the first own write: see `ServerClock.is_told`.
        """
        return snapshot_time(self._parts[1][1:]) or self.clock.reached()

    def own_time(self, max_age_s: float) -> datetime | None:
        """Return the catalog's time as an own write told it, to judge others by.

        Parameters
        ----------
        max_age_s
            Seconds since that write at most; None is returned when all are older.
        """
        return self.clock.own_time(max_age_s)

    def ask_time(self, path: str) -> bool:
        """Learn the time by writing no rows to a path, once a minute at most.

        Parameters
        ----------
        path
            Where rows could be written: ``attributegroup/S:T/RID;state``.

        Returns
        -------
        bool
            False: it is too soon, or the catalog would not have it. `own_time`
            then knows no more than before.
        """
        now = self.clock.reading()
        with self._lock:
            if now - self._asked_at < ASK_TIME_EVERY_S:
                return False
            self._asked_at = now
        try:
            with shared_of(self.url).write_lock.hold(), doing("time"):
                self.put(path, [])
        except (CatalogError, WriteRefused) as error:
            logger.info("the catalog's time can't be had: %s", one_line(error))
            return False
        return True

    # writing

    def put(
        self,
        path: str,
        rows: Sequence[Row],
        *,
        guard: str | None = None,
        body: bytes | None = None,
    ) -> Page:
        """Write rows, once; a failed call is not repeated.

        Parameters
        ----------
        guard
            An ETag: write only if the whole catalog is still at it.
        body
            The rows as `body_of` made them already.

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
        headers = {"If-Match": guard} if guard else {}
        return self._write("PUT", path, rows, headers, body)

    def post(self, path: str, rows: Sequence[Row]) -> Page:
        """Insert rows, once. Raises as `put` does."""
        return self._write("POST", path, rows, {})

    def delete(self, path: str) -> None:
        """Delete the rows of a path, once. Raises as `put`; NotFound for no row."""
        self._may_write("DELETE", path)
        self._send("DELETE", path)

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
        with write_permission.dry() as refused:
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
        self._transport.close()

    def _write(
        self,
        method: str,
        path: str,
        rows: Sequence[Row],
        headers: dict[str, str],
        body: bytes | None = None,
    ) -> Page:
        body = body_of(path, rows) if body is None else body
        self._may_write(method, path)
        headers = {"Content-Type": "application/json", **headers}
        return self._send(method, path, headers=headers, data=body)

    def _send(self, method: str, path: str, **what: Any) -> Page:
        asked_at = self.clock.reading()
        reply = self._transport.request(method, path, **what)
        return self._heard(path, reply, asked_at)

    def check_permit(self, act: str) -> None:
        """Raise WriteRefused where a dry run, or read-only, forbids an act.

        Parameters
        ----------
        act
            What it is, for the list: ``PUT attributegroup/...``.
        """
        line = f"would {act}"
        sink = write_permission.dry_sink()
        sinks = [sink] if sink is not None else self._dry_runs
        if sink is None and write_permission.is_permitted():
            sinks = []
        if sinks or self.read_only:
            for listed in sinks:
                listed.append(line)
            self._refused = [*self._refused, line][-200:]
            why = "a dry run is going on" if sinks else "this catalog is read-only here"
            if self.is_snapshot:
                why = self.why_read_only
            raise WriteRefused(f"no write was sent, since {why}: {line}")

    def _may_write(self, method: str, path: str) -> None:
        self.check_permit(f"{method} {path}")
        with self._lock:
            self._writes += 1

    def _heard(self, path: str, reply: Reply, asked_at: float | None = None) -> Page:
        """Take the time of an answer, and its rows."""
        at, date = etag_time(reply.etag), date_time(reply.date)
        if reply.method == "GET":
            if date:
                self.clock.heard_date(date)
            if at:
                self.clock.heard_read(at)
        elif at:
            self.clock.heard_write(at, asked_at)
        # an element of the model answers with itself
        is_document = not _DATA.match(path) and isinstance(reply.json, dict)
        rows = [reply.json] if is_document else reply.rows
        return Page(rows=rows, etag=reply.etag, url=reply.url)


def _reconnect(url: str, read_only: bool, timeout_s: float, ca: str | None) -> Catalog:
    return connect(url, read_only=read_only, timeout_s=timeout_s, ca=ca)

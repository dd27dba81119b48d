"""Reading a query again and again, asking no more than it must.

Knows which ETag may be sent, that time passes unseen by a conditional read, and when
a login has changed; not what the rows mean. Knows no thread and no schedule.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from ermpoll.catalog.credentials import Session
from ermpoll.catalog.etags import etag_login, etag_time
from ermpoll.catalog.shared import shared_of
from ermpoll.catalog.transport import with_columns
from ermpoll.errors import CatalogError, Denied
from ermpoll.records import Page


class Reads(Protocol):
    """What reads: a catalog."""

    @property
    def url(self) -> str:
        """Its address."""

    def get(self, path: str, *, etag: str | None = None) -> Page | None:
        """Read rows; None for 304."""

    def session(self) -> Session | None:
        """Ask who is logged in."""


class ConditionalReader:
    """Reads of one query.

    Parameters
    ----------
    log_in
        Called with the name of who is logged in (None: nobody) and the seconds
        left: at the first read, when the login's part of the ETag changed, and when
        the catalog began to refuse it. Not at each read.
    columns
        What each row has in any case; a row without them is no answer.
    monotonic
        Rising seconds.
    """

    def __init__(
        self,
        catalog: Reads,
        *,
        columns: Iterable[str] = ("RID",),
        log_in: Callable[[str | None, float | None], None] = lambda name, left_s: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._catalog = catalog
        self._shared = shared_of(catalog.url).etag
        self._log_in = log_in
        self._columns = tuple(columns)
        self._monotonic = monotonic
        #: ETag of a read that left nothing to do, or None.
        self._baseline: str | None = None
        self._last: str | None = None
        self._due_at = math.inf
        self._refused = False
        # Who is logged in, and who was at the first read.
        self._login: str | None = None
        self._expected: str | None = None
        #: Whether the catalog had changed at the last read that brought rows.
        self.moved = False

    def read(
        self, path: str, *, unconditional: bool = False, since: float | None = None
    ) -> Page | None:
        """Read a path; None when nothing was written since what `keep` was told.

        Parameters
        ----------
        unconditional
            True: read in any case. A stored time that has come does the same.
        since
            On the monotonic clock: somebody else's answer since then will do.

        Raises
        ------
        CatalogError
            As the read does; the next one is as if this one had not been.
        """
        now, etag = self._monotonic(), self._baseline
        try:
            if unconditional or etag is None or now >= self._due_at:
                page = self._catalog.get(path)
            else:
                page = self._shared.ask(
                    etag,
                    now if since is None else since,
                    lambda: self._catalog.get(path, etag=etag),
                    self._monotonic,
                )
        except Denied:
            if not self._refused:
                self._refused = True
                self._ask_login()
            raise
        if page is not None:
            return self.take(page)
        if self._refused:
            # as before, and that is news: the login is back
            self._take(self._last)
        return None

    def take(self, page: Page) -> Page:
        """Take note of a page that somebody else has read, unconditionally.

        Raises
        ------
        CatalogError
            It is no answer.
        """
        self._take(with_columns(page, *self._columns).etag)
        return page

    def keep(self, etag: str | None, due_s: float | None) -> None:
        """Take note of what was read: the next read may be under its ETag.

        Parameters
        ----------
        etag
            Of a read whose rows were looked at: a write's own would hide what others
            wrote before it. None: read again in any case.
        due_s
            Seconds until a time that is stored in a row comes, or None.
        """
        self._baseline = etag
        self._due_at = math.inf if due_s is None else self._monotonic() + due_s

    def forget(self) -> None:
        """Read in any case: what was read before may be another login's."""
        self._baseline = None

    def due_s(self) -> float | None:
        """Return the seconds until a time that is stored in a row comes, or None."""
        wait_s = self._due_at - self._monotonic()
        return None if wait_s == math.inf else max(0.0, wait_s)

    @property
    def is_as_expected(self) -> bool:
        """Whether the login is the one of the first read, and is not refused."""
        return self._login == self._expected and not self._refused

    def _take(self, etag: str | None) -> None:
        before, self._last = self._last, etag
        self.moved = before is not None and _version(before) != _version(etag)
        changed = before is None or etag_login(before) != etag_login(etag)
        if changed or self._refused:
            self._refused = False
            self._ask_login()
            self._expected = self._expected or self._login

    def _ask_login(self) -> None:
        try:
            session = self._catalog.session()
        except CatalogError:
            # Not every server has this; then the rows are all that can be known.
            return
        self._login = session.name if session else None
        self._log_in(self._login, session.left_s if session else None)


def _version(etag: str | None) -> object:
    """What an ETag says of the catalog, whoever is logged in."""
    return etag_time(etag) or etag

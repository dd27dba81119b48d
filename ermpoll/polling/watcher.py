"""Looking at the rows of a query again and again, asking no more than it must.

Knows which ETag may be sent, when "nothing was written" is not enough, and when a
login has changed; it writes nothing. Knows no thread and no schedule.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ermpoll.catalog.etags import etag_login, etag_time
from ermpoll.errors import CatalogError, Denied
from ermpoll.records import JSON, LookResult, Page


class LoggedIn(Protocol):
    """A login as the server sees it."""

    @property
    def name(self) -> str:
        """Its name, for people."""

    @property
    def left_s(self) -> float | None:
        """Seconds until it expires, or None."""


class Reads(Protocol):
    """What reads: a catalog."""

    def get(self, path: str, *, etag: str | None = None) -> Page | None:
        """Read rows; None for 304."""

    def session(self) -> LoggedIn | None:
        """Ask who is logged in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is looked at."""

    #: Makes the path; called for each look, since it may hold the present time.
    path: Callable[[], str]
    #: The path asks for one row more than this, so that ``more`` is known.
    limit: int
    #: What a row is called in words.
    noun: str = "row"
    #: Reads how many seconds from now a row changes by time alone, or None.
    due_s: Callable[[], float | None] = lambda: None


class QueryWatcher:
    """The rows of a query, as of the last look.

    An ETag is kept only of a read whose rows were looked at: a write's own would
    hide what others wrote before it. It stands for the whole catalog, so a 200 may
    still bring the same rows.

    Parameters
    ----------
    log_in
        Called with the name of who is logged in (None: nobody) and the seconds
        left: at the first look and when the login's part of the ETag changed, or
        when the catalog began to refuse it. Not at each look.
    clock
        Rising seconds.
    """

    def __init__(
        self,
        catalog: Reads,
        query: Query,
        *,
        log_in: Callable[[str | None, float | None], None] = lambda name, left_s: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._catalog = catalog
        self._query = query
        self._log_in = log_in
        self._clock = clock
        self._etag: str | None = None
        self._due_at = math.inf
        self._refused = False
        self._logged_in: str | None = None
        self._expected: str | None = None
        #: The rows of the last look, at most ``limit``; None before the first.
        self.rows: list[dict[str, JSON]] | None = None
        #: True when there are more of them.
        self.more = False

    @property
    def is_idle(self) -> bool:
        """Whether it is certain that there is no row, and that none comes by time.

        The whole query was read, under the login that was there at the start.
        """
        whole = self.rows == [] and not self.more
        here = self._logged_in == self._expected and not self._refused
        return whole and here and self._due_at == math.inf

    def look(self, unconditional: bool = False) -> LookResult:
        """Read the rows, unless the catalog says that nothing was written.

        Parameters
        ----------
        unconditional
            True: read them in any case. A stored time that has come does the same,
            which a conditional read can't see.

        Raises
        ------
        CatalogError
            As the read does; the next look is as if this one had not been.
        """
        now = self._clock()
        must = unconditional or now >= self._due_at
        try:
            page = self._catalog.get(
                self._query.path(), etag=None if must else self._etag
            )
        except Denied:
            if not self._refused:
                self._refused = True
                self._ask_login()
            raise
        if page is None:
            words = "304, nothing new"
            return LookResult(outcome="unchanged", due_s=self._due_s(), detail=words)
        self._watch_login(page.etag)
        due_s = self._query.due_s()
        self._due_at = math.inf if due_s is None else now + due_s
        return self._read(page)

    def _read(self, page: Page) -> LookResult:
        before, first = self._etag, self.rows is None
        old = _rids(self.rows or [])
        self._etag = page.etag
        self.rows = page.rows[: self._query.limit]
        self.more = len(page.rows) > self._query.limit
        new = _rids(self.rows)
        return LookResult(
            found=not first and new != old,
            due_s=self._due_s(),
            outcome="rows" if new else "empty",
            etag_moved=not first and etag_time(before) != etag_time(page.etag),
            detail=self._words(new, old, first),
        )

    def _words(self, new: set[str], old: set[str], first: bool) -> str:
        noun = self._query.noun + ("" if len(new) == 1 else "s")
        words = f"looked, {len(new):,} {noun}" + " and more" * self.more
        if first or new == old:
            return words
        return f"{words}: {len(new - old):,} came, {len(old - new):,} went"

    def _due_s(self) -> float | None:
        wait_s = self._due_at - self._clock()
        return None if wait_s == math.inf else max(0.0, wait_s)

    def _watch_login(self, etag: str | None) -> None:
        changed = self._etag is None or etag_login(etag) != etag_login(self._etag)
        if changed or self._refused:
            self._refused = False
            self._ask_login()
            self._expected = self._expected or self._logged_in

    def _ask_login(self) -> None:
        try:
            session = self._catalog.session()
        except CatalogError:
            # Not every server has this; then the rows are all that can be known.
            return
        self._logged_in = session.name if session else None
        self._log_in(self._logged_in, session.left_s if session else None)


def _rids(rows: list[dict[str, JSON]]) -> set[str]:
    return {str(row["RID"]) for row in rows}

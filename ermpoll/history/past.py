"""One reading of a catalog's past: paced, counted, told of, stopped.

Knows which times the catalog can tell of and how a time is written; nothing of tables,
queues or what a version means. It only reads.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from ermpoll.backoff import REAL, Clocks, Deadline, Pace
from ermpoll.catalog import paths
from ermpoll.catalog.client import Catalog
from ermpoll.catalog.client_context import doing
from ermpoll.catalog.clock import parse_time, time_text
from ermpoll.catalog.etags import etag_login, snapshot_time
from ermpoll.catalog.transport import TIME_LIMIT, with_columns
from ermpoll.errors import (
    BadRequest,
    CatalogError,
    Conflict,
    Denied,
    NoHistory,
    NotFound,
    ReadingStopped,
    Unavailable,
    UsageError,
)
from ermpoll.records import JSON, Page
from ermpoll.redact import one_line

#: A moment as people give it; see `Past.moment`.
When: TypeAlias = datetime | timedelta | str
#: The resolution of the catalog's times: what was just before a change.
ONE_US = timedelta(microseconds=1)
#: Requests a second unless told otherwise: others work on the catalog.
RATE = 5.0
#: How long a catalog that is busy or away is asked again, in seconds.
PATIENCE_S = 60.0
#: Rows of answers that are kept in this process, for all catalogs together.
KEPT_ROWS = 100_000

#: Where the names of logins are.
_LOGINS = "entity/public:ERMrest_Client"
_SNAPSHOT = re.compile(r"[0-9A-Z]{1,4}(-[0-9A-Z]{4}){2,3}", re.IGNORECASE)
_AGO = re.compile(r"(\d+(?:\.\d+)?) ?(s|min|h|d)")
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingProgress:
    """How far a reading is."""

    #: Steps done, of so many; None where nobody can know.
    done: int
    of: int | None
    #: What is being read.
    text: str
    #: Requests sent so far.
    requests: int


#: Whom a reading tells how far it is.
Progress: TypeAlias = Callable[[ReadingProgress], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class PastPeriod:
    """A period of the past: what was later than ``since``, up to ``until``."""

    since: datetime
    until: datetime

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.until - self.since).total_seconds()

    def cut(self, parts: int) -> list[datetime]:
        """Return the ends of so many equal parts, the last one being ``until``."""
        step = (self.until - self.since) / parts
        return [*(self.since + step * n for n in range(1, parts)), self.until]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the catalog says of its history, to this login."""

    first: datetime
    last: datetime
    #: What answers are kept by, beside the moment and the path.
    key: tuple[str, ...]


class _Kept:
    """Answers of the past, which don't change; the oldest go when there are many."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: OrderedDict[tuple[object, ...], Page] = OrderedDict()
        self._rows = 0

    def get(self, key: tuple[object, ...]) -> Page | None:
        with self._lock:
            return self._answers.get(key)

    def clear(self) -> None:
        with self._lock:
            self._answers.clear()
            self._rows = 0

    def put(self, key: tuple[object, ...], page: Page) -> None:
        size = len(page.rows) + 1
        with self._lock:
            if key in self._answers or size > KEPT_ROWS // 10:
                return
            self._answers[key] = page
            self._rows += size
            while self._rows > KEPT_ROWS:
                _, old = self._answers.popitem(last=False)
                self._rows -= len(old.rows) + 1


_kept = _Kept()


def forget_answers() -> None:
    """Forget the answers of the past that this process keeps."""
    _kept.clear()


class Past:
    """A reading of one catalog's past.

    Parameters
    ----------
    catalog
        The live one, or a snapshot of it.
    rate
        Requests a second at most; None: as fast as they are answered; a `Pace` that
        other readings keep as well. One connection is used.
    progress
        Called with a `ReadingProgress` as the reading goes on, on its thread.
    stop
        Set: the reading raises ReadingStopped before its next request.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        rate: float | Pace | None = RATE,
        progress: Progress | None = None,
        stop: threading.Event | None = None,
        clocks: Clocks = REAL,
    ) -> None:
        if not isinstance(rate, Pace):
            rate = pace_of(rate, clocks=clocks)
        self.catalog = catalog
        #: Requests sent so far; what was kept from before costs none.
        self.requests = 0
        self._pace = rate
        self._progress = progress
        self._stop = stop or threading.Event()
        self._clocks = clocks
        self._known: _Known | None = None
        self._told: dict[str, None] = {}
        self._names: dict[str, str] = {}

    # what is known

    @property
    def told(self) -> tuple[str, ...]:
        """What who reads this should know, in sentences."""
        return tuple(self._told)

    def tell(self, sentence: str) -> None:
        """Take note of something that who reads this should know, once."""
        self._told.setdefault(sentence)

    @property
    def first(self) -> datetime:
        """Since when the catalog can tell; raises NoHistory where it never can."""
        return self._range.first

    @property
    def last(self) -> datetime:
        """When the catalog changed last, before this reading began."""
        return self._range.last

    @property
    def now(self) -> datetime:
        """The catalog's time, not before its last change; never ahead of it."""
        if self.catalog.is_snapshot:
            return self.catalog.now()
        return max(self._range.last, self.catalog.now())

    def moment(self, when: When) -> datetime:
        """Return a moment, not later than now, in UTC.

        Parameters
        ----------
        when
            A time with its zone, or ISO text of one; a ``timedelta``, or text like
            ``"90 min"``, ``"24 h"``, ``"7 d"``: so long ago; or a snapshot's id.

        Raises
        ------
        UsageError
            It is none of these.
        NoHistory
            It is before all that the catalog can tell of.
        """
        at, now = moment_of(when, self.now), self.now
        if at > now:
            # clocks differ: that of the catalog counts
            self.tell(
                f"{time_text(at)[:19]} is later than the catalog's time: read as of "
                f"{time_text(now)[:19]} UTC"
            )
            at = now
        self._check(at)
        return at

    def period(self, since: When, until: When | None = None) -> PastPeriod:
        """Return a period, no longer than what the catalog can tell of.

        Raises
        ------
        UsageError
            It ends before it begins.
        NoHistory
            The catalog can tell of nothing of it.
        """
        end = self.now if until is None else self.moment(until)
        begin = moment_of(since, self.now)
        if begin >= end:
            raise UsageError(
                f"expected a period that begins before it ends, found {begin} to {end}"
            )
        if begin < self.first:
            self.tell(
                f"the catalog can tell nothing from before {time_text(self.first)[:19]}"
                f" UTC: it was made then, or its history was cut; asked for was "
                f"{time_text(begin)[:19]}"
            )
            begin = self.first
        return PastPeriod(since=begin, until=end)

    # reading

    def rows(
        self, at: datetime | None, path: str, *columns: str
    ) -> list[dict[str, JSON]]:
        """Read rows as of a moment; None: as they are now.

        Parameters
        ----------
        columns
            What each row has in any case.

        Raises
        ------
        NoHistory
            The moment is before all that the catalog can tell of.
        ReadingStopped
            Somebody asked to stop.
        CatalogError
            As `Catalog.get` does. A busy catalog is asked again for a minute.
        """
        if at is None:
            return list(self._get(self.catalog.get, path, *columns).rows)
        self._check(at)
        # what is read at a time that may still be written to is not kept
        key = (*self._range.key, at, path) if at <= self._range.last else None
        page = _kept.get(key) if key else None
        if page is None:
            page = self._get(self.catalog.at(at).get, path, *columns)
            if key:
                _kept.put(key, page)
        return list(page.rows)

    def document(self, at: datetime | None, path: str) -> Any:
        """Read a document of the model as of a moment; None: as it is now.

        Raises as `rows` does.
        """
        if at is not None:
            self._check(at)
        catalog = self.catalog if at is None else self.catalog.at(at)
        return self._ask(lambda: catalog.document(path))

    def names(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the names of logins, or the id where none can be had."""
        wanted = dict.fromkeys(one for one in ids if one)
        new = [one for one in wanted if one not in self._names]
        for part in paths.parts(new, paths.size(_LOGINS)):
            self._names.update(self._read_names(part))
        return {one: self._names.get(one, one) for one in wanted}

    def step(self, done: int, of: int | None, text: str) -> None:
        """Tell how far the reading is; raises ReadingStopped when it is to stop."""
        self._check_stop()
        if self._progress is not None:
            told = ReadingProgress(done=done, of=of, text=text, requests=self.requests)
            self._progress(told)

    # inside

    @property
    def _range(self) -> _Known:
        if self._known is None:
            self._known = self._read_range()
        return self._known

    def _read_range(self) -> _Known:
        live = self.catalog.live
        try:
            page = self._get(live.get, "history/,")
            [told] = page.rows
            ends = [snapshot_time(str(one)) for one in _list(told.get("snaprange"))]
            first, last = ends
        except (NotFound, BadRequest, Conflict, ValueError) as error:
            raise NoHistory(
                f"expected a catalog that tells its history, but {live.url} does not: "
                f"{one_line(error)}"
            ) from error
        except Denied as error:
            raise NoHistory(
                f"expected a login that may see the catalog's history: {error}"
            ) from error
        if first is None or last is None:
            raise NoHistory(f"expected times of {live.url}'s history, found none")
        key = (live.url, etag_login(page.etag) or "", str(told.get("amendver")))
        return _Known(first=first, last=last, key=key)

    def _check(self, at: datetime) -> None:
        if at < self.first:
            raise NoHistory(
                f"expected a time since {time_text(self.first)[:19]} UTC, found "
                f"{time_text(at)[:19]}: the catalog can tell nothing from before; it "
                "was made then, or its owner has cut its history"
            )

    def _get(self, get: Callable[[str], Page | None], path: str, *columns: str) -> Page:
        page = self._ask(lambda: get(path))
        return with_columns(page, *columns) if page else Page(rows=[], etag="", url="")

    def _ask(self, send: Callable[[], Any]) -> Any:
        patience_s = self._pace.patience_s
        deadline = Deadline(patience_s, stop=self._stop, clocks=self._clocks)
        while True:
            self._pace.wait(self._stop)
            self._check_stop()
            self.requests += 1
            try:
                with doing("history"):
                    return send()
            except Unavailable as error:
                # a query that takes too long takes as long the next time
                if TIME_LIMIT in error.detail or not deadline.wait(error):
                    self._check_stop()
                    raise

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise ReadingStopped()

    def _read_names(self, ids: Sequence[str]) -> dict[str, str]:
        path = paths.join(_LOGINS, paths.equals("ID", *ids))
        try:
            rows = self._get(self.catalog.live.get, path, "ID").rows
        except CatalogError as error:
            # only owners may read it unless it was opened
            self.tell(f"names of logins can't be had: {one_line(error)}")
            return {one: one for one in ids}
        named = {one: one for one in ids}
        for row in rows:
            name = row.get("Display_Name") or row.get("Full_Name") or row.get("Email")
            named[str(row["ID"])] = str(name or row["ID"])
        return named


def pace_of(
    rate: float | None, *, patience_s: float = PATIENCE_S, clocks: Clocks = REAL
) -> Pace:
    """Return the pace of so many requests a second; None: as fast as is answered.

    Raises
    ------
    UsageError
        The rate is not above 0.
    """
    if rate is not None and not rate > 0:
        raise UsageError(f"rate: expected requests a second above 0, found {rate}")
    return Pace(rate, patience_s=patience_s, clocks=clocks)


def moment_of(when: object, now: datetime) -> datetime:
    """Return the moment that a person means, in UTC; see `Past.moment`.

    Raises
    ------
    UsageError
        The value is none.
    """
    if isinstance(when, timedelta):
        return now - abs(when)
    if isinstance(when, datetime) and when.tzinfo is not None:
        return when.astimezone(UTC)
    text = when.strip() if isinstance(when, str) else ""
    if ago := _AGO.fullmatch(text):
        return now - timedelta(seconds=float(ago[1]) * _SECONDS[ago[2]])
    if _SNAPSHOT.fullmatch(text) and (at := snapshot_time(text)):
        return at
    if at := parse_time(text.replace("Z", "+00:00")):
        return at
    raise UsageError(
        "expected a time with its zone ('2026-03-01T09:00+01:00', or a datetime), how "
        f"long ago ('24 h', a timedelta), or a snapshot's id; found {when!r:.80}"
    )


def _list(value: JSON) -> list[JSON]:
    return list(value) if isinstance(value, list) else []

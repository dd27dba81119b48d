"""All that a table's rows went through in a period: exact, in windows, or a sample.

What changed by the end of the period (or of each of its parts) is read first; then, for
each time at which something was written, what it was before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from ermpoll.catalog import paths
from ermpoll.catalog.clock import parse_time, time_text
from ermpoll.errors import NoHistory, UsageError
from ermpoll.history.model_then import TablePast
from ermpoll.history.past import ONE_US, PastPeriod
from ermpoll.history.versions import (
    Version,
    Versions,
    hole,
    last_seen,
    version_of,
)
from ermpoll.records import JSON, SYSTEM_COLUMNS

#: Rows of a period that are walked at most; of more a sample is taken.
MOST_ROWS = 50_000
#: Deleted rows that are looked for, two requests each.
MOST_DELETED = 500
#: Rows that are listed to find the deleted ones; of more a sample is.
MOST_LISTED = 100_000
#: Times of writes behind which a `BoundedGap` looks: some 20 s of requests.
MOST_BEHIND = 50
#: The last symbol of a RID is one of these: as many rows end in each.
_LAST = "02468ACEGJMPRTWY"


def always(before: Version | None, after: Version) -> bool:
    """Look behind every version: nothing is missing then."""
    return True


class BoundedGap:
    """Look behind versions of so many times of writes: each of them is a request.

    Behind every version, while they are of ``most`` times; of as many times more behind
    those alone before which nothing is known.
    """

    def __init__(self, most: int = MOST_BEHIND) -> None:
        self._most = most
        self._times: set[datetime] = set()

    def __call__(self, before: Version | None, after: Version) -> bool:
        """Say whether something may be missing, and there is room to look for it."""
        room = self._most if before is not None else 2 * self._most
        if after.at not in self._times and len(self._times) >= room:
            return False
        self._times.add(after.at)
        return True


def read_versions(
    table: TablePast,
    period: PastPeriod,
    *,
    windows: int | None = None,
    gap: Callable[[Version | None, Version], bool] = always,
    columns: Iterable[str] | None = None,
    most_rows: int = MOST_ROWS,
    deleted: bool = True,
    only: str = "",
) -> Versions:
    """Read what the rows of a table went through in a period.

    Parameters
    ----------
    windows
        None: one request finds the rows that changed, and one for each time at which
        some were written what they were before; so the cost goes with the number of
        writes, not of rows. A number: so many parts are read, each with the last
        version of each row in it; then only what ``gap`` misses is looked for.
    gap
        Whether something is missing between two versions that were found.
    columns
        Beside the system's and the queue's own; None: those the queue shows.
    most_rows
        Of more rows that changed a sample is walked, by the end of their RIDs.
    deleted
        Whether rows that were deleted are looked for: the table is listed twice then.
    only
        A filter on columns that never change: other rows are not read.

    Notes
    -----
    A row that came and went inside the period leaves nothing to find; neither does
    what was written while the table's history was off.
    """
    reading = _PeriodReading(table, period, gap, columns)
    return reading.read(windows, most_rows, deleted, only)


class _PeriodReading:
    """One reading of a period: what was found, and behind what to look."""

    def __init__(
        self,
        table: TablePast,
        period: PastPeriod,
        gap: Callable[[Version | None, Version], bool],
        columns: Iterable[str] | None,
    ) -> None:
        self._table = table
        self._past = table.past
        self._period = period
        self._gap = gap
        today = table.today
        shown = today.columns if columns is None else tuple(columns)
        #: None: all.
        self._columns = (
            None
            if shown is None
            else tuple(dict.fromkeys((*SYSTEM_COLUMNS, *today.own_columns, *shown)))
        )
        #: Versions by row and time.
        self._found: dict[str, dict[datetime, Version]] = {}
        #: Versions that are known to follow the one found before them.
        self._joined: set[tuple[str, datetime]] = set()
        self._deleted: dict[str, datetime] = {}
        #: Why part of it could not be read, or "".
        self._unread = ""

    def read(
        self, windows: int | None, most_rows: int, deleted: bool, only: str
    ) -> Versions:
        """Read all; see `read_versions`."""
        self._table.compare(self._period.since, self._period.until)
        changed = self._count_changed(only)
        sample = sample_of(changed, most_rows)
        only = paths.join(only, sample)
        ends = [self._period.until] if windows is None else self._period.cut(windows)
        self._read_windows(ends, only)
        if deleted:
            self._read_deleted(only)
        if windows is not None:
            self._read_begin()
        self._look_behind()
        sampled = (len(self._found), changed) if sample else None
        if sampled:
            self._past.tell(
                f"a sample: {sampled[0]:,} of the {changed:,} rows that changed"
            )
        return Versions(
            period=self._period,
            by_rid={rid: self._sorted(rid) for rid in sorted(self._found)},
            deleted=self._deleted,
            exact=windows is None and not sample,
            sampled=sampled,
            unsure=frozenset(
                (rid, at)
                for rid, found in self._found.items()
                for at, version in found.items()
                if not version.is_first and (rid, at) not in self._joined
            ),
            unread=self._unread,
        )

    def _sorted(self, rid: str) -> tuple[Version, ...]:
        found = self._found[rid]
        return tuple(found[at] for at in sorted(found))

    def _count_changed(self, only: str) -> int:
        later = paths.join(only, _later("RMT", self._period.since))
        return self._table.count(self._period.until, later)

    def _read_windows(self, ends: list[datetime], only: str) -> None:
        since = self._period.since
        for number, end in enumerate(ends):
            self._past.step(number, len(ends), "what changed, part by part")
            filters = paths.join(_later("RMT", since), only)
            for page in self._pages(end, filters):
                self._add(map(version_of, page))
            since = end

    def _pages(self, at: datetime, filters: str) -> Iterator[list[dict[str, JSON]]]:
        try:
            yield from self._table.pages(at, filters, self._columns)
        except NoHistory as error:
            self._dark(error)

    def _dark(self, error: NoHistory) -> None:
        # once: a time that is not known mostly has neighbours
        if not self._unread:
            self._past.tell(str(error))
        self._unread = str(error)

    def _read_deleted(self, only: str) -> None:
        """Find the rows that were there at the begin and are not at the end."""
        since, until = self._period.since, self._period.until
        try:
            there, here, came = self._sizes(only)
        except NoHistory:
            return  # told when what changed was read
        if there + came <= here:
            return
        if sample := sample_of(there, MOST_LISTED):
            self._past.tell(
                f"{there + came - here:,} rows were deleted; of {there:,} rows "
                "only a sample was listed to find them"
            )
            only = paths.join(only, sample)
        rids = self._rids(since, only) - self._rids(until, only)
        for number, rid in enumerate(sorted(rids)[:MOST_DELETED]):
            self._past.step(number, len(rids), "rows that were deleted")
            try:
                gone, seen = last_seen(self._table, rid)
            except UsageError:
                continue  # hidden from this login, or back again
            last = self._table.these(seen, [rid], self._columns)
            if since < gone <= until and rid in last:
                self._deleted[rid] = gone
                self._add([version_of(last[rid])])
        if len(rids) > MOST_DELETED:
            self._past.tell(
                f"of {len(rids):,} rows that were deleted, {MOST_DELETED} were read"
            )

    def _sizes(self, only: str) -> tuple[int, int, int]:
        """Return how many rows there were, how many there are, and how many came."""

        count, since, until = self._table.count, self._period.since, self._period.until
        came = count(until, paths.join(only, _later("RCT", since)))
        return count(since, only), count(until, only), came

    def _rids(self, at: datetime, only: str) -> set[str]:
        return {str(row["RID"]) for row in self._table.rows(at, only, ["RID"])}

    def _read_begin(self) -> None:
        """Read how the rows were at the period's begin."""
        since = self._period.since
        known = [r for r, found in self._found.items() if not _is_new(found, since)]
        try:
            before = self._table.these(since, known, self._columns)
        except NoHistory as error:
            self._dark(error)
        else:
            self._add(map(version_of, before.values()))

    def _look_behind(self) -> None:
        """Read what was before the versions behind which something is missing."""
        pending: dict[datetime, set[str]] = {}
        for rid, found in self._found.items():
            for at in found:
                self._want(pending, rid, at)
        done = 0
        while pending:
            at = max(pending)
            rids = sorted(pending.pop(at))
            done += 1
            self._past.step(done, done + len(pending), "what rows were before")
            for rid, version in self._behind(at, rids).items():
                self._joined.add((rid, at))
                if version.at not in self._found[rid]:
                    self._add([version])
                    self._want(pending, rid, version.at)

    def _want(self, pending: dict[datetime, set[str]], rid: str, at: datetime) -> None:
        found = self._found[rid]
        after = found[at]
        known = (rid, at) in self._joined or after.is_first
        if known or at <= self._period.since:
            return
        earlier = [one for one in found if one < at]
        before = found[max(earlier)] if earlier else None
        if self._gap(before, after):
            pending.setdefault(at, set()).add(rid)

    def _behind(self, at: datetime, rids: list[str]) -> dict[str, Version]:
        try:
            rows = self._table.these(at - ONE_US, rids, self._columns)
        except NoHistory as error:
            self._dark(error)
            return {}
        for rid in rids:
            if rid not in rows:
                self._unread = hole(self._found[rid][at])
                self._past.tell(self._unread)
        return {rid: version_of(row) for rid, row in rows.items()}

    def _add(self, versions: Iterable[Version]) -> None:
        for version in versions:
            self._found.setdefault(version.rid, {})[version.at] = version


def _is_new(versions: Mapping[datetime, Version], since: datetime) -> bool:
    """Whether a row came to be later; its first version need not have been read."""
    made = parse_time(next(iter(versions.values())).row.get("RCT"))
    return made is not None and made > since


def _later(column: str, than: datetime) -> str:
    return f"{column}::gt::{paths.literal(time_text(than))}"


def sample_of(rows: int, most: int) -> str:
    """Return a filter that leaves about so many of the rows; "" for all of them.

    By the last symbols of the RID, which come round evenly.
    """
    pattern, left = "$", float(rows)
    if rows <= most:
        return ""
    while left / len(_LAST) > most:
        symbols = _LAST if pattern == "$" else _ALL
        pattern, left = f"{symbols[0]}-?{pattern}", left / len(symbols)
    symbols = _LAST if pattern == "$" else _ALL
    share = max(1, int(len(symbols) * most / left))
    chosen = f"[{symbols[:share]}]-?"
    return f"RID::regexp::{paths.literal(chosen + pattern)}"


#: The symbols of a RID.
_ALL = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

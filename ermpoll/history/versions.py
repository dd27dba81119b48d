"""The versions of rows, and one row's life.

A version is in force from its RMT on. Reading just before a version finds the one
before it, under its exact time; so the past is walked backwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ermpoll.catalog import paths
from ermpoll.catalog.clock import parse_time, time_text
from ermpoll.catalog.transport import unlike
from ermpoll.errors import NoHistory, NotFound, UsageError
from ermpoll.history.model_then import TablePast
from ermpoll.history.past import ONE_US, PastPeriod
from ermpoll.queue.rids import rids_of
from ermpoll.records import Row

#: Versions of one row that are walked at most.
MOST_VERSIONS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A row as one write left it."""

    rid: str
    #: The RMT, as the catalog wrote it and as a time.
    rmt: str
    at: datetime
    #: The login that wrote it (RMB), an id.
    by: str
    #: In the column names of today.
    row: Row = field(repr=False)
    #: Whether the row came to be with it.
    is_first: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What became of a row at one moment."""

    rid: str
    at: datetime
    #: None: it came to be.
    before: Version | None
    #: None: it was deleted.
    after: Version | None
    #: Whether nothing was between the two, as far as the catalog keeps it.
    sure: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """Versions of rows in a period."""

    period: PastPeriod
    #: By RID, oldest first; the first is the one in force at the period's begin, if
    #: the row was there then.
    by_rid: Mapping[str, tuple[Version, ...]] = field(repr=False)
    #: When rows went, as far as they are known.
    deleted: Mapping[str, datetime] = field(default_factory=dict, repr=False)
    #: Whether every version was read, but for rows that came and went inside.
    exact: bool = True
    #: Rows read, of how many that changed; None: all.
    sampled: tuple[int, int] | None = None
    #: Versions (RID, time) before which others may have been that were not read.
    unsure: frozenset[tuple[str, datetime]] = field(default=frozenset(), repr=False)
    #: Why part of it could not be read, or "".
    unread: str = ""

    def steps(self) -> list[Step]:
        """Return what became of the rows within the period, by time."""
        steps = [step for rid in self.by_rid for step in self._of(rid)]
        return sorted(steps, key=lambda step: (step.at, step.rid))

    def _of(self, rid: str) -> list[Step]:
        known = self.by_rid[rid]
        befores = (None, *known[:-1])
        steps = [
            Step(
                rid=rid,
                at=after.at,
                before=before,
                after=after,
                sure=(rid, after.at) not in self.unsure,
            )
            for before, after in zip(befores, known, strict=True)
            if after.at > self.period.since and (before or after.is_first)
        ]
        gone = self.deleted.get(rid)
        if gone is not None:
            steps.append(Step(rid=rid, at=gone, before=known[-1], after=None))
        return steps


def version_of(row: Row) -> Version:
    """Return the version that a row, as read, is of."""
    rmt, at = str(row.get("RMT")), parse_time(row.get("RMT"))
    if at is None:
        raise unlike("rows with an RMT", "rows without", "the catalog")
    return Version(
        rid=str(row["RID"]),
        rmt=rmt,
        at=at,
        by=str(row.get("RMB") or ""),
        row=row,
        is_first=parse_time(row.get("RCT")) == at,
    )


# one row


def read_life(
    table: TablePast,
    rid: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    most: int = MOST_VERSIONS,
) -> Versions:
    """Read the versions of one row, each a request; whole rows.

    Parameters
    ----------
    since
        The version in force then is the last one read; None: to the row's first.
    most
        Versions at most, the newest; that there are more is told.

    Raises
    ------
    UsageError
        The table has no such row, and never had.
    """
    past = table.past
    [rid] = rids_of(rid)
    end = past.now if until is None else until
    deleted, version = {}, _at(table, rid, end)
    if version is None:
        gone, seen = last_seen(table, rid)
        deleted[rid], version = gone, _at(table, rid, seen)
    found = [version] if version else []
    while version and not version.is_first and not (since and version.at <= since):
        past.step(len(found), None, f"versions of {rid}")
        if len(found) >= most:
            past.tell(f"only the newest {most:,} versions of {rid} were read")
            break
        version = _before(table, version)
        if version and version.row.keys() != found[-1].row.keys():
            # it was read as of later, when it had no column that is gone by now
            table.compare(version.at, end)
            found[-1] = _at(table, rid, found[-1].at) or found[-1]
        found += [version] if version else []
    begin = found[-1].at - ONE_US if found else past.first
    period = PastPeriod(since=max(since or begin, past.first), until=end)
    return Versions(period=period, by_rid={rid: tuple(found[::-1])}, deleted=deleted)


def _at(table: TablePast, rid: str, at: datetime) -> Version | None:
    rows = table.these(at, [rid])
    return version_of(rows[rid]) if rid in rows else None


def _before(table: TablePast, version: Version) -> Version | None:
    try:
        before = _at(table, version.rid, version.at - ONE_US)
    except NoHistory as error:
        table.past.tell(str(error))
        return None
    if before is None:
        table.past.tell(hole(version))
    return before


def hole(version: Version) -> str:
    """Say that a version can't be read that was there before another."""
    return (
        f"{version.rid} can't be read before {time_text(version.at)[:19]} UTC, though "
        "it was there: its history was switched off, or a row policy hid it from "
        "this login"
    )


def last_seen(table: TablePast, rid: str) -> tuple[datetime, datetime]:
    """Return when a row was deleted, and when it could be seen last."""
    label = table.today.table.label
    unknown = UsageError(
        f"expected a row of {label}, found {rid}, which it does not have; is it of "
        "another table?"
    )
    try:
        told = table.past.document(None, f"entity_rid/{paths.quote(rid)}")
    except NotFound as error:
        raise unknown from error
    gone, seen = (parse_time(told.get(n)) for n in ("deleted_at", "last_visible_at"))
    if gone is None or seen is None:
        raise unknown
    # a row's last state is that of just before it went
    return gone, max(seen, gone - ONE_US)

"""The GETs of a queue: paths for candidates, claimed, failed rows and counts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from ermpoll.catalog import paths
from ermpoll.catalog.clock import time_text
from ermpoll.queue.definition import QueueDefinition
from ermpoll.queue.reading import reach
from ermpoll.queue.tokens import PATTERN
from ermpoll.records import JSON, Row

#: The resolution of the catalog's times.
ONE_US = timedelta(microseconds=1)


class Queries:
    """The paths of one queue."""

    def __init__(self, definition: QueueDefinition) -> None:
        self._definition = definition
        self._table = definition.table.path
        #: Where candidates come from, and what makes a row one.
        self._base = definition.path or paths.join(self._table, definition.where)
        lasting = reach.lasting(definition.where, set(definition.own_columns))
        #: The rows that the queue's acts may be about, whatever their state.
        self._reach = definition.path or paths.join(self._table, lasting)
        self._ready = paths.equals(definition.state, *definition.ready)
        self._retry_at = paths.quote(definition.retry_at or "")
        tried = paths.quote(definition.attempts or "")
        self._tries_left = (
            f"{tried}::null::;{tried}::lt::{definition.max_attempts}" if tried else ""
        )
        if tried and definition.owner:
            # set back by hand: every other way back clears the token
            owner = paths.quote(definition.owner)
            self._tries_left += f";{owner}::regexp::{paths.literal(PATTERN)}"
        wanted = definition.columns
        #: Whether the columns are named in the paths.
        self._named = False
        if wanted is None:
            self.columns = tuple(definition.table.columns)
        else:
            needed = (*definition.own_columns, *definition.order.columns)
            self.columns = tuple(dict.fromkeys(("RID", "RMT", *wanted, *needed)))
            self._named = len(paths.names(self.columns)) <= paths.LONGEST_COLUMNS

    def candidates(
        self,
        now: datetime,
        limit: int,
        *,
        after: dict[str, JSON] | None = None,
        rids: Iterable[str] = (),
        narrow: str = "",
        order: paths.Order | None = None,
    ) -> str:
        """Rows that a claim would take, in the queue's order or another.

        ``narrow``: a filter, which leaves out some of them.
        """
        order, rids = order or self._definition.order, tuple(rids)
        filters = (self._takeable(now), _rids(rids) if rids else "", narrow)
        page = order.sort() + (order.after(after) if after else "")
        return f"{self._rows(self._base, *filters)}{page}?limit={limit}"

    def candidate_count(self, now: datetime, narrow: str = "") -> str:
        """How many rows a claim could take: one row, ``n``."""
        # a join may find a row more than once
        path = paths.join("aggregate", self._base, self._takeable(now), narrow)
        return f"{path}/n:=cnt_d(RID)"

    def next_retry(self, now: datetime) -> str | None:
        """The row whose retry comes next, or None without such a column."""
        name = self._retry_at
        if not name:
            return None
        later = f"{name}::gt::{paths.literal(time_text(now))}"
        path = paths.join("attribute", self._base, self._ready, later, f"RID,{name}")
        return f"{path}@sort({name},RID)?limit=1"

    def claimed(self) -> str:
        """Rows of the table in the claimed state, the longest untouched first."""
        return self._whole(self._claimed()) + "@sort(RMT,RID)"

    def leases(self, limit: int, after: Row | None = None) -> str:
        """Claimed rows within reach, the longest untouched first: own columns only."""
        definition = self._definition
        names = ("RID", "RMT", definition.state, definition.owner, definition.attempts)
        columns = paths.names(name for name in names if name)
        path = paths.join("attribute", self._reach, self._claimed(), columns)
        order = paths.Order("RMT,RID")
        page = order.after(dict(after)) if after else ""
        return f"{path}{order.sort()}{page}?limit={limit}"

    def writers(self, since: datetime) -> str | None:
        """Owners of rows written since then, and ``newest`` for when each was last.

        Also of those that are finished: who just wrote may hold none. None without an
        owner column: nothing tells who writes.
        """
        owner = self._definition.owner
        if not owner:
            return None
        later = f"RMT::gt::{paths.literal(time_text(since))}"
        owner = paths.quote(owner)
        told = f"{owner};newest:=max(RMT)"
        return paths.join(
            "attributegroup", self._table, f"!{owner}::null::", later, told
        )

    @property
    def reaches_all(self) -> bool:
        """Whether every row of the table is within the queue's path and filter."""
        return self._reach == self._table

    def within(self, rids: Iterable[str]) -> list[str]:
        """Those of these rows that are within the queue's path and filter."""
        around = paths.size(paths.join("attribute", self._reach, "RID"))
        return [
            paths.join("attribute", self._reach, _rids(part), "RID")
            for part in paths.parts(rids, around)
        ]

    def rights(self, rids: Iterable[str]) -> list[str]:
        """What of these rows this login may write: ``RID``, and one more, as json."""
        # a table's own rights tell less than those of its cells, and cost less
        which = "trs" if self._definition.table.may_update is None else "tcrs"
        told = f"RID;may:={which}(RID)"
        around = paths.size(paths.join("attributegroup", self._table, told))
        return [
            paths.join("attributegroup", self._table, _rids(part), told)
            for part in paths.parts(rids, around)
        ]

    def failures(
        self,
        limit: int,
        *,
        after: Row | None = None,
        narrow: str = "",
        order: paths.Order | None = None,
    ) -> str:
        """Rows in a failed state, the newest first or in another order."""
        order = order or paths.Order("RMT::desc::")
        rows = self._rows(self._reach, self._failed(), narrow, more=("RMB",))
        page = order.sort() + (order.after(dict(after)) if after else "")
        return f"{rows}{page}?limit={limit}"

    def failure_count(self, narrow: str = "") -> str:
        """How many rows are in a failed state: one row, ``n``."""
        path = paths.join("aggregate", self._reach, self._failed(), narrow)
        return f"{path}/n:=cnt_d(RID)"

    def failure_reasons(self, limit: int) -> str:
        """The newest rows in a failed state, as far as acts and reasons need them.

        ``RID``, ``RMT``, and the column of the error, or of the state.
        """
        definition = self._definition
        names = paths.names(("RID", "RMT", definition.error or definition.state))
        path = paths.join("attribute", self._reach, self._failed(), names)
        return f"{path}{paths.Order('RMT::desc::').sort()}?limit={limit}"

    def counts(self) -> str:
        """Rows per state word: ``word``, ``n``."""
        word = f"word:={paths.quote(self._definition.state)}"
        # a join may find a row more than once
        return paths.join("attributegroup", self._reach, f"{word};n:=cnt_d(RID)")

    def per_interval(
        self, column: str, since: datetime, until: datetime, intervals: int
    ) -> str:
        """Rows per state word and interval in which a time of theirs is.

        ``word``, ``part`` (its number from 1, begin and end), ``n``. An interval begins
        just after the one before it.
        """
        ends = (time_text(at + ONE_US) for at in (since, until))
        bounds = ";".join(map(paths.literal, ends))
        part = f"part:=bin({paths.quote(column)};{intervals};{bounds})"
        word = f"word:={paths.quote(self._definition.state)}"
        return paths.join("attributegroup", self._reach, f"{word},{part};n:=cnt_d(RID)")

    def words(self, *words: JSON) -> list[str]:
        """Which of these state words occur in the table; without any, the first 200."""
        name = self._definition.state
        around = ("attributegroup", self._table, paths.quote(name))
        told = [word for word in words if word is not None]
        filters = [
            paths.equals(name, *part)
            for part in paths.parts(map(str, told), paths.size(paths.join(*around)))
        ]
        if len(told) < len(words):
            filters.append(paths.equals(name, None))
        return [
            f"{paths.join(*around[:2], narrow, around[2])}?limit=200"
            for narrow in filters or [""]
        ]

    def no_rows(self) -> str:
        """Where a PUT of no rows writes nothing and tells the catalog's time."""
        columns = paths.keys_and_targets(("RID",), (self._definition.state,))
        return f"attributegroup/{self._table}/{columns}"

    def rows(self, rids: Iterable[str]) -> list[str]:
        """These rows, whatever their state; as many to a path as an address takes."""
        around = paths.size(self._whole(""))
        return [self._whole(_rids(part)) for part in paths.parts(rids, around)]

    def marks(self, rids: Iterable[str], columns: Iterable[str]) -> list[str]:
        """Version and some columns of these rows, to see which carry a mark."""
        names = paths.names(("RID", "RMT", *columns))
        kind = "attribute" if len(names) <= paths.LONGEST_COLUMNS else "entity"
        around = (names,) if kind == "attribute" else ()
        return [
            paths.join(kind, self._table, _rids(part), *around)
            for part in paths.parts(
                rids, paths.size(paths.join(kind, self._table, *around))
            )
        ]

    def parts(self, now: datetime, rids: Iterable[str]) -> list[tuple[str, ...]]:
        """Split RIDs so that `candidates` of each part makes an address that passes."""
        around = paths.size(self.candidates(now, paths.MOST_VALUES))
        return paths.parts(rids, around)

    def _takeable(self, now: datetime) -> str:
        due, name = "", self._retry_at
        if name:
            due = f"{name}::null::;{name}::leq::{paths.literal(time_text(now))}"
        return paths.join(self._ready, due, self._tries_left)

    def _claimed(self) -> str:
        return paths.equals(self._definition.state, self._definition.claimed)

    def _failed(self) -> str:
        state, failed = self._definition.state, self._definition.failed
        if "{error}" not in failed:
            return paths.equals(state, failed)
        # PostgreSQL's regular expressions: escape what is not plain
        special = re.compile(r"([.^$*+?()\[\]{}|\\])")
        parts = [special.sub(r"\\\1", part) for part in failed.split("{error}")]
        pattern = "^" + ".*".join(parts) + "$"
        return f"{paths.quote(state)}::regexp::{paths.literal(pattern)}"

    def _whole(self, *filters: str) -> str:
        """Rows of the table, whether they are candidates or not; who wrote them too."""
        return self._rows(self._table, *filters, more=("RMB",))

    def _rows(self, *elements: str, more: tuple[str, ...] = ()) -> str:
        if not self._named:
            return paths.join("entity", *elements)
        columns = paths.names(dict.fromkeys((*self.columns, *more)))
        return paths.join("attribute", *elements, columns)


def _rids(rids: tuple[str, ...]) -> str:
    return paths.equals("RID", *rids)

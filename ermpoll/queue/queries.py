"""The GETs of a queue: paths for candidates, claimed, failed rows and counts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from ermpoll.catalog import paths
from ermpoll.catalog.clock import time_text
from ermpoll.queue.definition import QueueDefinition
from ermpoll.records import JSON

#: RIDs in one filter at most: a longer address may be refused on its way.
RIDS = 100


class Queries:
    """The paths of one queue."""

    def __init__(self, spec: QueueDefinition) -> None:
        self._spec = spec
        self._table = spec.table.path
        wanted = spec.columns
        if wanted is None:
            self.columns = tuple(spec.table.columns)
        else:
            self.columns = tuple(
                dict.fromkeys(
                    ("RID", "RMT", *wanted, *spec.own_columns, *spec.order.columns)
                )
            )

    def candidates(
        self,
        now: datetime,
        limit: int,
        *,
        after: dict[str, JSON] | None = None,
        rids: Iterable[str] = (),
        shard: str = "",
    ) -> str:
        """Rows that a claim would take, in the queue's order, of one shard or all."""
        page = self._spec.order.sort() + (
            self._spec.order.after(after) if after else ""
        )
        rids = tuple(rids)
        filters = (*self._takeable(now), _rids(rids) if rids else "", shard)
        return self._rows(self._base(), *filters) + f"{page}?limit={limit}"

    def candidate_count(self, now: datetime) -> str:
        """How many rows a claim could take: one row, ``n``."""
        # a join may find a row more than once
        return (
            paths.join("aggregate", self._base(), *self._takeable(now))
            + "/n:=cnt_d(RID)"
        )

    def next_retry(self, now: datetime) -> str | None:
        """The row whose retry comes next, or None without such a column."""
        spec = self._spec
        if spec.retry_at is None:
            return None
        name = paths.quote(spec.retry_at)
        later = f"{name}::gt::{paths.literal(time_text(now))}"
        ready = paths.equals(spec.state, *spec.ready)
        path = paths.join("attribute", self._base(), ready, later, f"RID,{name}")
        return f"{path}@sort({name},RID)?limit=1"

    def claimed(self, limit: int | None = None) -> str:
        """Rows in the claimed state, the longest untouched first."""
        return (
            self._rows(
                self._table,
                paths.equals(self._spec.state, self._spec.claimed),
                self._narrow(),
                more=("RMB",),
            )
            + "@sort(RMT,RID)"
            + (f"?limit={limit}" if limit else "")
        )

    def failures(self, limit: int) -> str:
        """Rows in a failed state, the newest first."""
        return (
            self._rows(self._table, self._failed(), self._narrow(), more=("RMB",))
            + f"@sort(RMT::desc::,RID)?limit={limit}"
        )

    def counts(self) -> str:
        """Rows per state word: ``word``, ``n``."""
        narrow = self._narrow()
        word = f"word:={paths.quote(self._spec.state)}"
        return paths.join("attributegroup", self._table, narrow, f"{word};n:=cnt(RID)")

    def rows(self, rids: Iterable[str]) -> list[str]:
        """These rows, whatever their state; one path per ``RIDS`` of them."""
        return [
            self._rows(self._table, _rids(part), more=("RMB",))
            for part in _parts(tuple(rids))
        ]

    def marks(self, rids: Iterable[str], columns: Iterable[str]) -> list[str]:
        """Version and some columns of these rows, to see which carry a mark."""
        names = paths.names(("RID", "RMT", *columns))
        return [
            paths.join("attribute", self._table, _rids(part), names)
            for part in _parts(tuple(rids))
        ]

    def _takeable(self, now: datetime) -> Iterable[str]:
        spec = self._spec
        yield paths.equals(spec.state, *spec.ready)
        if spec.retry_at:
            name = paths.quote(spec.retry_at)
            at = paths.literal(time_text(now))
            yield f"{name}::null::;{name}::leq::{at}"
        if spec.attempts:
            name = paths.quote(spec.attempts)
            yield f"{name}::null::;{name}::lt::{spec.max_attempts}"

    def _base(self) -> str:
        spec = self._spec
        return spec.path or paths.join(self._table, spec.where)

    def _narrow(self) -> str:
        """The queue's filter, where it still says something of a claimed row."""
        spec = self._spec
        changing = {spec.state, *(spec.own_columns)}
        named = set(re.findall(r"[^/&;()!=:,]+", spec.where))
        return "" if named & {paths.quote(name) for name in changing} else spec.where

    def _failed(self) -> str:
        spec = self._spec
        if "{error}" not in spec.failed:
            return paths.equals(spec.state, spec.failed)
        # PostgreSQL's regular expressions: escape what is not plain
        special = re.compile(r"([.^$*+?()\[\]{}|\\])")
        parts = [special.sub(r"\\\1", part) for part in spec.failed.split("{error}")]
        pattern = "^" + ".*".join(parts) + "$"
        return f"{paths.quote(spec.state)}::regexp::{paths.literal(pattern)}"

    def _rows(self, *elements: str, more: tuple[str, ...] = ()) -> str:
        if self._spec.columns is None:
            return paths.join("entity", *elements)
        columns = paths.names(dict.fromkeys((*self.columns, *more)))
        return paths.join("attribute", *elements, columns)


def _rids(rids: tuple[str, ...]) -> str:
    return paths.equals("RID", *rids)


def _parts(rids: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [rids[start : start + RIDS] for start in range(0, len(rids), RIDS)]

"""Choosing rows: pages of them, a function's word on each, steps to write."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from ermpoll.queue import transitions
from ermpoll.queue.plan import plan_row
from ermpoll.queue.table import QueueTable
from ermpoll.queue.transitions import Transition, TransitionKind
from ermpoll.records import JSON, Change, Row, Transform

#: Rows to a page at least, behind a first one that was not enough.
FURTHER = 200


class Selector:
    """Finds the rows that a claim or plan is about, and decides what to write.

    Attributes
    ----------
    passed_over
        The candidates met that may not be written now, as changes that say why.
    """

    def __init__(self, table: QueueTable) -> None:
        self._table = table
        self._definition = table.definition
        self.passed_over: dict[str, Change] = {}

    def candidates(
        self, limit: int, rids: Sequence[str] | None = None
    ) -> Iterator[dict[str, JSON]]:
        """Read candidates in order, a page at a time, for as long as they are asked.

        Rows that are refused are so paged past, and those that may not be written;
        ``limit`` is the size of the first page.
        """
        if rids is None:
            yield from self.after(None, limit)
            return
        catalog, queries = self._table.catalog, self._table.queries
        now = catalog.reached()
        for part in queries.parts(now, rids):
            path = queries.candidates(now, len(part), rids=part)
            rows = catalog.rows(path, *self._table.needed)
            yield from self.allowed(rows, anew=True)

    def after(
        self, last: dict[str, JSON] | None, limit: int, shard: str = ""
    ) -> Iterator[dict[str, JSON]]:
        """Read the candidates behind a row, or all, ``limit`` to a page."""
        for rows in self.pages(last, limit, shard):
            yield from self.allowed(rows)

    def pages(
        self, last: Row | None, limit: int, shard: str = ""
    ) -> Iterator[list[dict[str, JSON]]]:
        """Read the pages of candidates behind a row, or all, as they are."""
        catalog, queries = self._table.catalog, self._table.queries
        now = catalog.reached()
        while True:
            after = None if last is None else dict(last)
            path = queries.candidates(now, limit, after=after, narrow=shard)
            rows = catalog.rows(path, *self._table.needed)
            yield rows
            if len(rows) < limit:
                return
            last, limit = rows[-1], max(limit, FURTHER)

    def allowed(
        self, rows: list[dict[str, JSON]], *, anew: bool = False
    ) -> list[dict[str, JSON]]:
        """Return those of a page's rows that may be written now."""
        barred = self._table.barred(rows, anew=anew)
        for row in rows:
            if reason := barred.get(str(row["RID"])):
                change = Change(
                    rid=str(row["RID"]), rmt=str(row["RMT"]), before=row, after={},
                    kind="problem", reason=reason,
                )  # fmt: skip
                self.passed_over[change.rid] = change
        return [row for row in rows if row["RID"] not in barred]

    def refusals(self, kind: TransitionKind) -> list[Transition]:
        """Return the candidates that were passed over as steps that aren't sent."""
        return [
            Transition(kind=kind, change=change) for change in self.passed_over.values()
        ]

    def choose(
        self,
        limit: int,
        *,
        transform: Transform | None = None,
        rids: Sequence[str] | None = None,
        without: Collection[str] = (),
    ) -> list[Transition]:
        """Read candidates, all or these but not those, and decide what to claim."""
        count = limit if rids is None else max(len(rids), 1)
        found = self.candidates(limit + len(without), rids)
        rows = (row for row in found if row["RID"] not in without)
        return self.claims(rows, count, transform)

    def claims(
        self,
        rows: Iterable[dict[str, JSON]],
        limit: int,
        transform: Transform | None,
    ) -> list[Transition]:
        """Decide which rows to claim: at most ``limit`` steps that write.

        Rows that fail or ask for what can't be come along as steps whose change is
        of kind ``failed`` or ``problem``; they don't count.
        """
        chosen: list[Transition] = []
        taken = 0
        for row in rows:
            step = self._claim(row, transform)
            if step.change.kind in ("skipped", "unchanged"):
                continue
            chosen.append(step)
            taken += step.change.kind == "changed"
            if taken >= limit:
                break
        return chosen

    def applies(
        self,
        rows: Iterable[dict[str, JSON]],
        limit: int,
        transform: Transform,
        barred: Mapping[str, str] | None = None,
    ) -> list[Transition]:
        """Decide what a transform changes: one step per row looked at.

        ``barred``: ``{RID: reason}`` of rows that may not be changed.
        """
        table, reasons = self._definition.table, barred or {}
        changes = [
            plan_row(row, transform, table, self._stays) for row in islice(rows, limit)
        ]
        return [
            Transition(kind="apply", change=_barred(change, reasons.get(change.rid)))
            for change in changes
        ]

    def _claim(self, row: Row, transform: Transform | None) -> Transition:
        definition = self._definition
        extra: Row = {}
        if transform is not None:
            asked = plan_row(row, transform, definition.table, self._collides)
            if asked.kind not in ("changed", "unchanged"):
                return Transition(kind="claim", change=asked)
            extra = asked.after
        return transitions.claim(definition, row, extra)

    def _collides(self, row: Row, changes: Row) -> str | None:
        own = transitions.claim(self._definition, row, {}).change.after.keys()
        both = sorted(own & changes.keys())
        return f"{', '.join(both)}: is written by the claim itself" if both else None

    def _stays(self, row: Row, changes: Row) -> str | None:
        """Say that a change leaves the row a candidate: it would come up for ever."""
        definition = self._definition
        word = changes.get(definition.state, row.get(definition.state))
        if not (
            definition.is_ready(row.get(definition.state)) and definition.is_ready(word)
        ):
            return None
        filtered = definition.path or definition.where
        if any(name in filtered for name in changes) or (
            definition.retry_at and changes.get(definition.retry_at)
        ):
            return None
        return f"the row would stay a candidate: {definition.state} stays {word!r}"


def learn_time(table: QueueTable, rows: Iterable[Row]) -> bool:
    """Ask for the catalog's time if rows were chosen by a guess of it; whether it came.

    Until an own write told it, it is a front server's or this machine's, and a row
    may seem due that is to be tried later. Once a minute at most.
    """
    column, catalog = table.definition.retry_at, table.catalog
    if not column or catalog.clock.is_told or not any(row.get(column) for row in rows):
        return False
    return catalog.ask_time(table.queries.no_rows()) and catalog.clock.is_told


def _barred(change: Change, reason: str | None) -> Change:
    if reason is None or change.kind not in ("changed", "problem"):
        return change
    return replace(change, kind="problem", reason=reason)

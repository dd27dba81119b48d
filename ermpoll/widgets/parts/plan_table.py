"""A plan of any length as a table: its counts are filters, equal problems one line.

Each row that a plan would write can be reached on some page. Columns beside those
that change say which row it is and what the transform looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING

from ermpoll.records import JSON, SYSTEM_COLUMNS, Change, Row
from ermpoll.render import detail
from ermpoll.render.groups import alike_reasons
from ermpoll.render.page import Caps
from ermpoll.render.tables import (
    KINDS,
    WHY,
    Grid,
    changes_grid,
    fates_of,
    kind_count,
    rank,
    reason_of,
    rid_of,
)
from ermpoll.render.values import counted
from ermpoll.widgets.parts.row_readers import ListRows
from ermpoll.widgets.parts.row_table import RowTable
from ermpoll.widgets.parts.sheet_traits import Chip

if TYPE_CHECKING:
    from ermpoll.queue import Queue
    from ermpoll.queue.results import Plan

#: What a row says it is: no column of a table.
_WHAT = ":what"
#: Columns for context at most.
_CONTEXT = 6
#: Equal problems that have a line.
_LINES = 8


class PlanTable:
    """The rows of a plan.

    Parameters
    ----------
    changed, later, keys
        As a `RowTable` takes them.
    """

    def __init__(
        self,
        jobs: Queue,
        *,
        changed: Callable[[], None],
        later: Callable[[str, Callable[[], object]], object],
        keys: Mapping[str, Callable[[], object]],
    ) -> None:
        self._plan: Plan | None = None
        self._changes: dict[str, Change] = {}
        self._rows: Sequence[Row] = ()
        self._columns: Sequence[str] = ()
        self._zone: tzinfo = UTC
        #: The table itself.
        self.table = RowTable(
            ListRows(
                lambda: self._rows, lambda: self._columns, jobs.types, self._values
            ),
            drawn=self._drawn,
            changed=changed,
            later=later,
            opened=self._opened,
            keys=keys,
            ticks=False,
        )

    def close(self) -> None:
        """Close its widget."""
        self.table.close()

    def draw(self, zone: tzinfo) -> None:
        """Set the traits of its widget."""
        self._zone = zone
        self.table.draw(zone)

    def show(self, plan: Plan, read: Sequence[str] = ()) -> None:
        """Show a plan; ``read``: the columns that its transform asked for."""
        fates = fates_of(plan)
        changes = sorted(plan.changes, key=lambda change: rank(fates[change.rid]))
        self._plan, self._changes = plan, {change.rid: change for change in changes}
        self._columns = (*context(plan, read), *plan.columns, WHY)
        self._rows = [
            {
                **change.before,
                "RID": change.rid,
                _WHAT: KINDS[fates[change.rid]][0],
                WHY: reason_of(plan, change),
            }
            for change in changes
        ]
        self.table.chips = [*_kinds(fates.values()), *_lines(plan)]
        self.table.shut()
        offered = [chip.filters for chip in self.table.chips]
        view = self.table.view
        kept = {n: t for n, t in view.filters.items() if n not in (_WHAT, WHY)}
        asked = {n: t for n, t in view.filters.items() if n in (_WHAT, WHY)}
        self.table.look(view.with_filters(kept | asked if asked in offered else kept))
        self.table.load()

    def _values(self, row: Row, column: str) -> Sequence[JSON]:
        after = self._changes[rid_of(row)].after
        shown = row.get(column)
        return (shown, after[column]) if column in after else (shown,)

    def _drawn(
        self, rows: Sequence[Row], marks: Mapping[str, str], caps: Caps, zone: tzinfo
    ) -> Grid:
        if self._plan is None:
            return Grid(label="Changes", heads=(), lines=(), words=True)
        changes = [self._changes[rid_of(row)] for row in rows]
        columns = self._columns
        if not any(row[WHY] for row in rows):
            columns = [name for name in columns if name != WHY]
        return changes_grid(
            self._plan, caps=caps, zone=zone, changes=changes, columns=columns
        )

    def _opened(self, row: Row) -> str:
        if self._plan is None:
            return ""
        change = self._changes[rid_of(row)]
        return detail.change(self._plan, change, self._plan.jobs.columns, self._zone)


def context(plan: Plan, read: Sequence[str]) -> tuple[str, ...]:
    """Name the columns that tell which row it is and why it is so decided.

    The first one that is the table's own, and those that the transform asked for,
    as far as they do not change.
    """
    definition = plan.jobs.definition
    own = {*SYSTEM_COLUMNS, *definition.own_columns, *plan.columns}
    which = [name for name in plan.jobs.columns if name not in own][:1]
    asked = [
        name
        for name in definition.table.columns
        if name in read and name not in plan.columns and name != "RID"
    ]
    return tuple(dict.fromkeys((*which, *asked)))[:_CONTEXT]


def _kinds(fates: Iterable[str]) -> list[Chip]:
    counts = Counter(fates)
    return [
        Chip(
            key=kind,
            text=kind_count(kind, n),
            tone=KINDS[kind][1].removeprefix("ermpoll-"),
            filters={_WHAT: f"={KINDS[kind][0]}"},
            title=f"Show just these {n:,}, or all again",
        )
        for kind in KINDS
        if (n := counts[kind])
    ]


def _lines(plan: Plan) -> list[Chip]:
    return [
        Chip(
            key=f"{one.kind} {one.reason}",
            text=f"{counted(len(one.rids), 'row')}: {one.reason}",
            tone=KINDS[one.kind][1].removeprefix("ermpoll-"),
            filters={_WHAT: f"={KINDS[one.kind][0]}", WHY: one.filter},
            title="Show just these, or all again",
            line=True,
        )
        for one in alike_reasons(plan)[:_LINES]
    ]

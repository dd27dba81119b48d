"""Two decisions about the same rows, side by side, cell by cell: pure.

It is the one comparator: of two plans, of a transform and the past (`backtest`), of a
transform and what runs today (`shadow`).
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING

from ermpoll import render
from ermpoll.catalog.clock import time_text
from ermpoll.errors import UsageError
from ermpoll.history.machine import mark_in
from ermpoll.queue.results import Plan
from ermpoll.queue.table import QueueTable
from ermpoll.records import JSON, Change, LivePanel, Row, same
from ermpoll.shown import Shown

if TYPE_CHECKING:
    from ermpoll.render.frames import DataFrame


class Likeness(Enum):
    """How the second decision stands to the first."""

    SAME = "same"
    #: Both write, not the same.
    OTHER = "other"
    #: The first one writes, the second does not.
    MISSED = "missed"
    #: The second one writes, the first does not.
    NEW = "new"


@dataclass(frozen=True, slots=True, kw_only=True)
class CellPair:
    """What two decisions write into one cell; what they don't write is None."""

    column: str
    likeness: Likeness
    before: JSON = field(repr=False)
    first: JSON = field(repr=False)
    second: JSON = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPair:
    """What two decisions make of one row."""

    rid: str
    likeness: Likeness
    cells: tuple[CellPair, ...] = field(repr=False)
    #: Why one of them does not write, or fails the row; "" where there is no reason.
    note: str = ""
    #: When the second one would have claimed it; None: two plans, or not at all.
    at: datetime | None = None
    #: When the first was done, and by which login (an id); None: not done.
    done_at: datetime | None = None
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Shown):
    """Two decisions about the same rows.

    Attributes
    ----------
    rows
        One `RowPair` per row that one of them writes or says something of.
    labels
        What the first and the second are called.

    Examples
    --------
    >>> old = jobs.plan(lambda row: {"Processing_Status": "hold"}, limit=3)
    >>> new = jobs.plan(lambda row: {"Processing_Status": "error"}, limit=3)
    >>> ermpoll.compare(old, new).counts["other"]
    3
    """

    jobs: QueueTable = field(repr=False, compare=False)
    rows: tuple[RowPair, ...] = field(repr=False)
    labels: tuple[str, str] = ("a", "b")
    title: str = "a beside b"
    #: What should be known of it, in sentences.
    told: tuple[str, ...] = ()
    #: Names of the logins, by id; one that can't be had is the id.
    names: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def counts(self) -> dict[str, int]:
        """Rows by how they compare, in words; zeros too."""
        return _counted(row.likeness for row in self.rows)

    @property
    def cell_counts(self) -> dict[str, int]:
        """Cells by how they compare, in words; zeros too."""
        return _counted(cell.likeness for row in self.rows for cell in row.cells)

    @property
    def frame(self) -> DataFrame:
        """One line a cell: RID, row, column, cell, before, both values, when, by, note.

        The two values have the names of `labels`. A row without cells has one line.
        """
        from ermpoll.render import frames

        first, second = self.labels
        lines = [
            {
                "RID": row.rid,
                "row": row.likeness.value,
                "column": cell.column if cell else None,
                "cell": cell.likeness.value if cell else None,
                "before": cell.before if cell else None,
                first: cell.first if cell else None,
                second: cell.second if cell else None,
                "at": time_text(row.at) if row.at else None,
                "done_at": time_text(row.done_at) if row.done_at else None,
                "by": self.names.get(row.by, row.by) or None,
                "note": row.note,
            }
            for row in self.rows
            for cell in (row.cells or (None,))
        ]
        types = dict.fromkeys(("RID", "row", "column", "cell", "by", "note"), "string")
        types |= dict.fromkeys(("at", "done_at"), "datetime64[us, UTC]")
        columns = (
            "RID", "row", "column", "cell", "before", first, second,
            "at", "done_at", "by", "note",
        )  # fmt: skip
        return frames.frame(lines, columns, types)

    def panel(self) -> LivePanel:
        """Give the view to choose rows in by how they compare, for a notebook."""
        # by name: the widgets lie above
        made: LivePanel = importlib.import_module("ermpoll.widgets").comparison(self)
        return made

    def __str__(self) -> str:
        return render.comparison_text(self)

    def _repr_html_(self) -> str:
        return render.comparison(self)


def compare(
    plan_a: Plan, plan_b: Plan, *, labels: tuple[str, str] = ("a", "b")
) -> Comparison:
    """Hold two plans of one table side by side, cell by cell; nothing is read.

    Parameters
    ----------
    plan_a, plan_b
        What `Queue.plan` returned. Rows that neither changes are left out.
    labels
        What the two are called.

    Returns
    -------
    Comparison
        Each row and cell is ``same``, ``other`` (both write, not the same),
        ``missed`` (only a writes) or ``new`` (only b). ``.rows``, ``.counts``,
        ``.cell_counts``, ``.frame``; as text by ``print``. Tokens of two claims count
        as the same.

    Raises
    ------
    UsageError
        One is no plan, or they are of two tables.

    Examples
    --------
    >>> old = jobs.plan(lambda row: {"Processing_Status": "hold"}, limit=2)
    >>> new = jobs.plan(lambda row: None, limit=2)
    >>> ermpoll.compare(old, new).counts["missed"]
    2
    """
    for name, plan in (("plan_a", plan_a), ("plan_b", plan_b)):
        if not isinstance(plan, Plan):
            raise UsageError(
                f"{name}: expected what plan() returned, found {type(plan).__name__}"
            )
    one, other = (plan.jobs.definition.table.label for plan in (plan_a, plan_b))
    if one != other:
        raise UsageError(f"expected two plans of one table, found {one} and {other}")
    firsts = {change.rid: change for change in plan_a.changes}
    seconds = {change.rid: change for change in plan_b.changes}
    found = (
        pair_changes(firsts.get(rid), seconds.get(rid), labels)
        for rid in dict.fromkeys((*firsts, *seconds))
    )
    return Comparison(
        jobs=plan_b.jobs,
        rows=tuple(row for row in found if row),
        labels=labels,
        title=" beside ".join(labels),
    )


def pair_changes(
    first: Change | None, second: Change | None, labels: tuple[str, str]
) -> RowPair | None:
    """Compare what two plans make of one row; None where neither does anything."""
    either = first or second
    if either is None:
        return None
    notes = [
        f"{label}: {one.reason}"
        for label, one in zip(labels, (first, second), strict=True)
        if one and one.kind in ("failed", "problem")
    ]
    # a plan keeps what a problem asked for, though it is not sent
    cells = pair_cells(either.before, _written(first), _written(second))
    if not cells and not notes:
        return None
    one, other = (change.reason if change else "" for change in (first, second))
    alike = Likeness.SAME if one == other else Likeness.OTHER
    return RowPair(
        rid=either.rid,
        likeness=of_cells(cells) if cells else alike,
        cells=cells,
        note="; ".join(notes),
    )


def pair_cells(before: Row, first: Row, second: Row) -> tuple[CellPair, ...]:
    """Compare what two decisions write into one row, column by column."""
    return tuple(
        CellPair(
            column=name,
            likeness=_likeness(name, first, second),
            before=before.get(name),
            first=first.get(name),
            second=second.get(name),
        )
        for name in dict.fromkeys((*first, *second))
    )


def of_cells(cells: Sequence[CellPair]) -> Likeness:
    """Return how a row compares whose cells do so; without cells it is the same."""
    found = {cell.likeness for cell in cells}
    if len(found) > 1:
        return Likeness.OTHER
    return found.pop() if found else Likeness.SAME


def _written(change: Change | None) -> Row:
    return change.after if change and change.kind == "changed" else {}


def _likeness(name: str, first: Row, second: Row) -> Likeness:
    if name not in second:
        return Likeness.MISSED
    if name not in first:
        return Likeness.NEW
    one, other = first[name], second[name]
    alike = same(one, other) or (_is_token(one) and _is_token(other))
    return Likeness.SAME if alike else Likeness.OTHER


def _is_token(value: JSON) -> bool:
    return isinstance(value, str) and mark_in(value) is not None


def _counted(found: Iterable[Likeness]) -> dict[str, int]:
    counts = Counter(found)
    return {likeness.value: counts[likeness] for likeness in Likeness}

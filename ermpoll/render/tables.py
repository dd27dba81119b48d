"""Rows and changes as grids of cells, cut to what a page may hold.

Knows records and columns; the templates turn a grid into HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo

from ermpoll.records import Change, Row
from ermpoll.render.page import Caps, Line
from ermpoll.render.shapes import JobsLike, OutcomeLike, PlanLike
from ermpoll.render.values import Cell, block, cell, clean, counted, pair

#: Word, colour class and order of each kind of change, and of what became of it:
#: what needs eyes comes first.
KINDS: Mapping[str, tuple[str, str]] = {
    "problem": ("problem", "ermpoll-warn"),
    "failed": ("failed", "ermpoll-bad"),
    "unknown": ("not known", "ermpoll-bad"),
    "lost": ("not written", "ermpoll-warn"),
    "written": ("written", "ermpoll-ok"),
    "changed": ("changed", "ermpoll-ok"),
    "unchanged": ("unchanged", "ermpoll-mut"),
    "skipped": ("left alone", "ermpoll-mut"),
}
_NUMBERS = ("Int64", "Float64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The head of a column."""

    text: str
    number: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table, ready for a template."""

    #: What the table is, for who can't see it.
    label: str
    heads: Sequence[Head]
    lines: Sequence[Line]
    #: True when each line says in a word what it is.
    words: bool = False


def rows_grid(
    label: str,
    jobs: JobsLike,
    rows: Sequence[Row],
    columns: Sequence[str],
    *,
    caps: Caps,
    zone: tzinfo = UTC,
    marks: Mapping[str, str] | None = None,
) -> Grid:
    """Make a grid of rows; ``marks``: what to say of some, by RID."""
    marks = marks or {}
    names, types = _shown(columns, caps), jobs.types
    lines = [
        Line(
            rid=rid_of(row),
            link=jobs.link(rid_of(row)) or "",
            word=clean(marks.get(rid_of(row), ""), 120),
            tone="ermpoll-warn",
            cells=[
                cell(
                    row.get(name), jobs.types.get(name, ""), limit=caps.text, zone=zone
                )
                for name in names
            ],
        )
        for row in rows[: caps.rows]
    ]
    return Grid(label=label, heads=_heads(names, types), lines=lines, words=bool(marks))


def changes_grid(shown: PlanLike, *, caps: Caps, zone: tzinfo = UTC) -> Grid:
    """Make a grid of a plan's changes, those that need eyes first.

    After the plan was applied each line says what became of its row.
    """
    jobs = shown.jobs
    names, types = _shown(shown.columns, caps), jobs.types
    fates = _fates(shown.changes, shown.applied)
    order = list(KINDS)
    changes = sorted(shown.changes, key=lambda change: order.index(fates[change.rid]))
    lines = [
        Line(
            rid=change.rid,
            link=jobs.link(change.rid) or "",
            word=KINDS[fates[change.rid]][0],
            tone=KINDS[fates[change.rid]][1],
            reason=change.reason if change.kind in ("problem", "failed") else "",
            traceback=block(change.traceback) if caps.rows > 25 else "",
            cells=[_change_cell(change, name, types, caps, zone) for name in names],
        )
        for change in changes[: caps.rows]
    ]
    return Grid(label="Changes", heads=_heads(names, types), lines=lines, words=True)


def _fates(changes: Sequence[Change], done: OutcomeLike | None) -> dict[str, str]:
    """Give the kind of each change, or what became of its row in a write."""
    fates: dict[str, str] = {change.rid: change.kind for change in changes}
    if done is None:
        return fates
    ends = {
        **dict.fromkeys(done.unknown, "unknown"),
        **dict.fromkeys(done.won, "written"),
    }
    for rid, kind in fates.items():
        if kind == "changed":
            fates[rid] = ends.get(rid, "lost")
    return fates


def tally(changes: Sequence[Change]) -> str:
    """``45 changed · 3 left alone · 1 failed · 1 problem``, without the zeros."""
    counts = {
        kind: sum(change.kind == kind for change in changes)
        for kind in ("changed", "unchanged", "skipped", "failed", "problem")
    }
    words = [f"{count:,} {KINDS[kind][0]}" for kind, count in counts.items() if count]
    return " · ".join(words) or "no rows"


def shown_of(shown: int, total: int | None, more: bool, columns: int) -> str:
    """``showing 50 of 3,214 rows``, and which part of the columns."""
    if total is not None and total > shown:
        text = f"showing {shown:,} of {total:,} rows"
    elif more:
        text = f"showing {counted(shown, 'row')}; there are more"
    else:
        text = counted(shown, "row")
    cap = Caps().columns
    return text + (f", {cap} of {columns:,} columns" if columns > cap else "")


def rid_of(row: Row) -> str:
    """The RID of a row, as text."""
    return str(row.get("RID", ""))


def _shown(columns: Sequence[str], caps: Caps) -> list[str]:
    return [name for name in columns if name != "RID"][: caps.columns]


def _heads(names: Sequence[str], types: Mapping[str, str]) -> list[Head]:
    return [
        Head(text=clean(name, 40), number=types.get(name) in _NUMBERS) for name in names
    ]


def _change_cell(
    change: Change, name: str, types: Mapping[str, str], caps: Caps, zone: tzinfo
) -> Cell | tuple[Cell, Cell]:
    dtype = types.get(name, "")
    if name in change.diff:
        old, new = change.diff[name]
        return pair(old, new, dtype, limit=caps.text, zone=zone)
    return cell(change.before.get(name), dtype, limit=caps.text, zone=zone)

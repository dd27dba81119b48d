"""Rows and changes as grids of cells, cut to what a page may hold.

Knows records and columns; the templates turn a grid into HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo

from ermpoll.records import Change, Row
from ermpoll.render.page import Caps, Line
from ermpoll.render.shapes import JobsLike, PlanLike
from ermpoll.render.values import Cell, block, cell, clean, counted, line, pair

#: Word, colour class and order of each kind of change, and of what became of it:
#: what is written, or was to be, comes first.
KINDS: Mapping[str, tuple[str, str]] = {
    "unknown": ("not known", "ermpoll-bad"),
    "lost": ("not written", "ermpoll-warn"),
    "written": ("written", "ermpoll-ok"),
    "changed": ("changed", "ermpoll-ok"),
    "problem": ("problem", "ermpoll-warn"),
    "failed": ("failed", "ermpoll-bad"),
    "unchanged": ("unchanged", "ermpoll-mut"),
    "skipped": ("left alone", "ermpoll-mut"),
}
#: The column of a grid of changes that says why a row is not sent.
WHY = ":why"
#: The rows that have to be told why.
_NOT_SENT = ("problem", "failed")
_NUMBERS = ("Int64", "Float64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The head of a column."""

    text: str
    #: The column's own name; "": it is none of a table.
    name: str = ""
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


def changes_grid(
    shown: PlanLike,
    *,
    caps: Caps,
    zone: tzinfo = UTC,
    changes: Sequence[Change] | None = None,
    columns: Sequence[str] | None = None,
) -> Grid:
    """Make a grid of a plan's changes, those that are written first.

    After the plan was applied each line says what became of its row.

    Parameters
    ----------
    changes
        Some of them, as they come; None for all.
    columns
        The columns to show; with `WHY` among them the reasons stand there, and else
        in place of the cells. None: the columns that some row changes.
    """
    jobs, fates = shown.jobs, fates_of(shown)
    names = _shown(shown.columns if columns is None else columns, caps)
    if changes is None:
        changes = sorted(shown.changes, key=lambda change: rank(fates[change.rid]))
    lines = [
        Line(
            rid=change.rid,
            link=jobs.link(change.rid) or "",
            word=KINDS[fates[change.rid]][0],
            tone=KINDS[fates[change.rid]][1],
            reason=reason_of(shown, change) if _stands_alone(change, names) else "",
            traceback=block(change.traceback) if caps.rows > 25 else "",
            cells=[
                _why_cell(shown, change, caps, zone)
                if name == WHY
                else _change_cell(change, name, jobs.types, caps, zone)
                for name in names
            ],
        )
        for change in changes[: caps.rows]
    ]
    heads = _heads(names, jobs.types)
    return Grid(label="Changes", heads=heads, lines=lines, words=True)


def rank(fate: str) -> int:
    """Give the place of a kind of change, or of what became of one, in the order."""
    return list(KINDS).index(fate)


def reason_of(shown: PlanLike, change: Change) -> str:
    """Say why a row is not sent, or was not written, on one line; or ""."""
    if change.kind in _NOT_SENT:
        return line(change.reason)
    done = shown.applied
    return line(done.reasons.get(change.rid, "")) if done is not None else ""


def meanwhile_of(shown: PlanLike, rid: str, zone: tzinfo = UTC) -> str:
    """Say what became of a row that changed between reading and writing, or ""."""
    done = shown.applied
    if done is None or rid not in done.meanwhile:
        return ""
    types = shown.jobs.types
    told = []
    for name, (old, new) in list(done.meanwhile[rid].items())[:5]:
        was, is_now = pair(old, new, types.get(name, ""), limit=60, zone=zone)
        told.append(f"{clean(name, 40)} is {is_now.text} and was {was.text}")
    by = f", by {line(done.by[rid], 60)}" if done.by.get(rid) else ""
    return ", ".join(told) + by


def fates_of(shown: PlanLike) -> dict[str, str]:
    """Give the kind of each change, or what became of its row in a write."""
    fates: dict[str, str] = {change.rid: change.kind for change in shown.changes}
    done = shown.applied
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
    words = [kind_count(kind, count) for kind, count in counts.items() if count]
    return " · ".join(words) or "no rows"


def kind_count(kind: str, count: int) -> str:
    """``396 problems``, ``1 changed``."""
    s = "s" if kind == "problem" and count != 1 else ""
    return f"{count:,} {KINDS[kind][0]}{s}"


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
        Head(
            text="why" if name == WHY else clean(name, 40),
            name=name,
            number=types.get(name) in _NUMBERS,
        )
        for name in names
    ]


def _stands_alone(change: Change, names: Sequence[str]) -> bool:
    """Whether the reason stands in place of the cells."""
    return change.kind in _NOT_SENT and WHY not in names


def _why_cell(shown: PlanLike, change: Change, caps: Caps, zone: tzinfo) -> Cell:
    parts = (reason_of(shown, change), meanwhile_of(shown, change.rid, zone))
    return Cell(text=clean(": ".join(part for part in parts if part), caps.text))


def _change_cell(
    change: Change, name: str, types: Mapping[str, str], caps: Caps, zone: tzinfo
) -> Cell | tuple[Cell, Cell]:
    dtype = types.get(name, "")
    if name in change.after:
        old, new = change.before.get(name), change.after[name]
        return pair(old, new, dtype, limit=caps.text, zone=zone)
    return cell(change.before.get(name), dtype, limit=caps.text, zone=zone)

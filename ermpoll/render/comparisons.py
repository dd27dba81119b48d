"""Two decisions about the same rows as static HTML and as text: one line a cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from markupsafe import Markup

from ermpoll.render import live
from ermpoll.render.page import Caps, fill, fitted, standalone
from ermpoll.render.shapes import CellPairLike, ComparisonLike, RowPairLike, ShadowLike
from ermpoll.render.values import Cell, cell, clean, counted, line, pair

_TONES = {"same": "ok", "other": "bad", "missed": "warn", "new": "accent"}
#: What differs comes first: it is what one looks for.
_FIRST = ("other", "missed", "new", "same")
#: Lines of the text at most.
_TEXT_LINES = 200
#: Rows and cells of a page at most: whatever they hold, that many fit.
_PAGE_ROWS, _PAGE_CELLS = 50, 400


def comparison(shown: ComparisonLike) -> str:
    """Two decisions side by side: how many rows differ, and each cell."""
    return fitted(lambda caps: standalone(_page(shown, _sorted(shown), caps)))


def shadow(shown: ShadowLike) -> str:
    """A running comparison: what it does, what came of it, its log."""
    status, now = shown.status, datetime.now(UTC)
    parts = [
        live.head(status, now=now),
        fitted(partial(_page, shown.comparison, _sorted(shown.comparison))),
        live.log(status, now=now, limit=10),
    ]
    return standalone("".join(parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonPage:
    """Some of the rows that compare as one asked for."""

    rows: tuple[RowPairLike, ...] = ()
    #: How many come before them, and how many there are in all.
    first: int = 0
    total: int = 0

    @property
    def place(self) -> str:
        """Which rows it has; "" where it has all."""
        if len(self.rows) == self.total:
            return ""
        until = self.first + len(self.rows)
        return f"rows {self.first + 1:,} to {until:,} of {self.total:,}"


def comparison_pages(shown: ComparisonLike, *, only: str = "") -> list[ComparisonPage]:
    """The rows page by page, what differs first; those alone that compare so, if told.

    There is at least one page.
    """
    rows = [row for row in _sorted(shown) if only in ("", row.likeness.value)]
    begins, cells = [0], 0
    for n, row in enumerate(rows):
        cells += max(len(row.cells), 1)
        if n - begins[-1] == _PAGE_ROWS or (cells > _PAGE_CELLS and n > begins[-1]):
            begins.append(n)
            cells = max(len(row.cells), 1)
    return [
        ComparisonPage(rows=tuple(rows[begin:end]), first=begin, total=len(rows))
        for begin, end in zip(begins, [*begins[1:], len(rows)], strict=True)
    ]


def comparison_body(shown: ComparisonLike, page: ComparisonPage) -> str:
    """A page of the rows, without the style."""
    make = partial(_page, shown, list(page.rows), place=page.place)
    return fitted(make, rows=_PAGE_ROWS)


def since_before(shown: ComparisonLike, caps: Caps) -> str:
    """What a run makes otherwise than the run before, folded; nothing else."""
    rows = [row for row in _sorted(shown) if row.likeness.value != "same"]
    if not rows:
        return fill("line.html", tone="mut", text="Since the run before: no change")
    cells = sum(n for word, n in shown.cell_counts.items() if word != "same")
    text = (
        f"Since the run before: {counted(cells, 'cell')} would be written differently, "
        f"in {counted(len(rows), 'row')}"
    )
    return fill("folded.html", text=text, body=Markup(_page(shown, rows, caps)))


def _page(
    shown: ComparisonLike, listed: list[RowPairLike], caps: Caps, place: str = ""
) -> str:
    rows = listed[: caps.rows]
    return fill(
        "comparison.html",
        title=f"{shown.jobs.title}: {shown.title}",
        labels=[line(one, 40) for one in shown.labels],
        counts=[
            (word, _TONES[word], f"{n:,}", f"{shown.cell_counts[word]:,}")
            for word, n in shown.counts.items()
        ],
        rows=[_row(shown, row, caps) for row in rows],
        left=len(listed) - len(rows),
        place=place,
        compared=bool(shown.rows),
        timed=any(row.at or row.done_at for row in rows),
        told=[line(one) for one in shown.told],
    )


def comparison_text(shown: ComparisonLike) -> str:
    """The same in lines: the counts, then each cell that differs."""
    counts = ", ".join(f"{n:,} {word}" for word, n in shown.counts.items())
    lines = [f"{line(shown.jobs.title, 80)}: {line(shown.title, 200)}: {counts}"]
    found = [text for row in _sorted(shown) for text in _lines(shown, row)]
    lines += found[:_TEXT_LINES]
    if len(found) > _TEXT_LINES:
        lines.append(f"and {len(found) - _TEXT_LINES:,} lines more")
    return "\n".join([*lines, *map(line, shown.told)])


def _sorted(shown: ComparisonLike) -> list[RowPairLike]:
    return sorted(shown.rows, key=lambda row: _FIRST.index(str(row.likeness.value)))


def _lines(shown: ComparisonLike, row: RowPairLike) -> Iterator[str]:
    first, second = (line(one, 40) for one in shown.labels)
    note = f" ({line(row.note)})" if row.note else ""
    if row.likeness.value == "same" and not note:
        return
    yield f"{row.rid} {row.likeness.value}{_who(shown, row)}{note}"
    for one in row.cells:
        old, new = _pair(shown, one, Caps())
        word = one.likeness.value
        if word != "same":
            column = clean(one.column, 40)
            yield f"    {column} {word}: {first} {old.text}, {second} {new.text}"


def _who(shown: ComparisonLike, row: RowPairLike) -> str:
    told = f", claimed at {_moment(row.at).text}" if row.at else ""
    if row.done_at:
        by = clean(shown.names.get(row.by, row.by), 60)
        told += f", done at {_moment(row.done_at).text} by {by}"
    return told


def _row(shown: ComparisonLike, row: RowPairLike, caps: Caps) -> dict[str, object]:
    types = shown.jobs.types
    return {
        "rid": row.rid,
        "link": shown.jobs.link(row.rid) or "",
        "word": row.likeness.value,
        "tone": _TONES[str(row.likeness.value)],
        "at": _moment(row.at) if row.at else None,
        "done_at": _moment(row.done_at) if row.done_at else None,
        "by": clean(shown.names.get(row.by, row.by), 60),
        "note": clean(row.note, caps.text),
        "cells": [
            {
                "column": clean(one.column, 40),
                "word": one.likeness.value,
                "tone": _TONES[str(one.likeness.value)],
                "before": cell(one.before, types.get(one.column, ""), limit=caps.text),
                "pair": _pair(shown, one, caps),
            }
            for one in row.cells
        ],
    }


def _pair(shown: ComparisonLike, one: CellPairLike, caps: Caps) -> tuple[Cell, Cell]:
    """Put both values into words; what is not written is said."""
    dtype = shown.jobs.types.get(one.column, "")
    word = one.likeness.value
    if word == "missed":
        return cell(one.first, dtype, limit=caps.text), _NOT
    if word == "new":
        return _NOT, cell(one.second, dtype, limit=caps.text)
    if word == "same":
        both = cell(one.second, dtype, limit=caps.text)
        return both, both
    return pair(one.first, one.second, dtype, limit=caps.text)


_NOT = Cell(text="not written", kind="empty")


def _moment(at: datetime) -> Cell:
    utc = at.astimezone(UTC)
    iso = utc.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return Cell(text=f"{utc:%Y-%m-%d %H:%M:%S}", kind="time", iso=iso)

"""What a paged table says of itself, as the plain values that go to its page. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from ermpoll.records import Row
from ermpoll.render.page import Caps, fill, fitted
from ermpoll.render.tables import Grid, rid_of
from ermpoll.render.values import line
from ermpoll.widgets.parts.paging import Pages
from ermpoll.widgets.parts.row_readers import RowReader
from ermpoll.widgets.parts.table_view import TableView

#: A page of rows and what is to be said of some, as a grid.
Drawn = Callable[[Sequence[Row], Mapping[str, str], Caps, tzinfo], Grid]

#: What may be asked of a column, by its pandas type.
_HINTS = {
    "Int64": "5, 5..10, >5, empty",
    "Float64": "5, 5..10, >5, empty",
    "datetime64[us, UTC]": "2026-11-20, a..b, empty",
    "object": "word, empty",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """A filter that a panel offers above a table, as a button."""

    #: What the panel knows it by.
    key: str
    text: str
    #: A colour class: ok, warn, bad, mut, accent.
    tone: str = "mut"
    #: What stands above columns while it is pressed.
    filters: Mapping[str, str]
    title: str = ""
    #: Whether it has a line of its own.
    line: bool = False

    def pressed(self, view: TableView) -> bool:
        """Whether a view shows what it stands for."""
        return all(view.filters.get(name) == s for name, s in self.filters.items())


def pressed(chips: Sequence[Chip], key: str, view: TableView) -> TableView:
    """Give the view of a chip; of one that is pressed, the view without it."""
    of_chips = {name for chip in chips for name in chip.filters}
    kept = {name: text for name, text in view.filters.items() if name not in of_chips}
    for chip in chips:
        if chip.key == key and not chip.pressed(view):
            kept |= chip.filters
    return view.with_filters(kept)


def page_trait(
    pages: Pages, drawn: Drawn, zone: tzinfo, details: Mapping[str, str]
) -> dict[str, Any]:
    """Say which rows are shown: HTML, and what its lines and columns are."""
    grids: list[Grid] = []
    page = pages.page

    def body(caps: Caps) -> str:
        grids.append(drawn(page.rows, page.marks, caps, zone))
        return fill("sheet.html", grid=grids[-1])

    html = fitted(body, rows=pages.size)
    rids = [rid_of(row) for row in page.rows]
    return {
        "html": html,
        "rids": rids,
        "names": [line(rid, 40) for rid in rids],
        "heads": _heads(grids[-1], pages.reader, pages.place.view),
        "details": {rid: text for rid, text in details.items() if rid in rids},
    }


def _heads(grid: Grid, reader: RowReader, view: TableView) -> list[dict[str, Any]]:
    """Say of each column on the page what can be done with it."""
    made: list[dict[str, Any]] = [{}] if grid.words else []
    for name, label in [("RID", "RID"), *((h.name, h.text) for h in grid.heads)]:
        dtype = reader.types.get(name, "string")
        way = "down" if view.descending else "up"
        made.append(
            {
                "name": name,
                "sort": reader.sortable(name),
                "sorted": way if name == view.order else "",
                "filter": view.filters.get(name, ""),
                "hint": _HINTS.get(dtype, "word, =text, empty"),
                "label": f"filter {label}",
            }
        )
    return made


def bar_trait(
    pages: Pages,
    chips: Sequence[Chip],
    *,
    ticked: Collection[str],
    picks_all: bool,
    error: str,
    keys: Collection[str],
) -> dict[str, Any]:
    """Say what stands above the rows: texts, filters, whether there are other pages."""
    view = pages.place.view
    return {
        "search": pages.view.search,
        "count": count_text(pages),
        "picked": _picked_text(pages, ticked, picks_all),
        "all": "" if picks_all else _all_text(pages, ticked),
        "before": bool(pages.place.befores),
        "more": pages.page.more,
        "note": line(error),
        "keys": list(keys),
        "chips": [
            {
                "key": chip.key,
                "text": chip.text,
                "tone": chip.tone,
                "title": chip.title,
                "line": chip.line,
                "on": chip.pressed(view),
            }
            for chip in chips
        ],
    }


def count_text(pages: Pages) -> str:
    """``51 to 100 of 3,214 that match``."""
    n, start, narrows = len(pages.page.rows), pages.first, pages.place.view.narrows
    if not n:
        return "no row matches" if narrows else "no rows"
    of = " of more" if pages.page.more else ""
    if pages.total is not None:
        of = f" of {max(pages.total, start + n):,}"
    match = " that match" if narrows else ""
    return f"{start + 1:,} to {start + n:,}{of}{match}"


def _picked_text(pages: Pages, ticked: Collection[str], picks_all: bool) -> str:
    if picks_all:
        total = pages.total
        return f"all {total:,} selected" if total is not None else "all selected"
    shown = {rid_of(row) for row in pages.page.rows}
    n, away = len(ticked), sum(rid not in shown for rid in ticked)
    elsewhere = f", {away:,} of them elsewhere" if away else ""
    return f"{n:,} selected{elsewhere}" if n else ""


def _all_text(pages: Pages, ticked: Collection[str]) -> str:
    if not ticked or not (pages.page.more or pages.place.befores):
        return ""
    total = "" if pages.total is None else f" {pages.total:,}"
    return f"Select all{total} that match"

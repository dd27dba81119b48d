"""How somebody looks at a table: sorted by what, searched for what. Pure.

A `TableView` is asked of a catalog by its path (`row_readers.QueueRows`) or put to
rows that are at hand (`row_readers.ListRows`); both mean the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo

from ermpoll.queue.reading.conditions import anywhere, condition, order_key
from ermpoll.records import JSON, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class TableView:
    """One way to look at a table."""

    #: The column it is sorted by, or "": as the rows come.
    order: str = ""
    descending: bool = False
    #: A word in any column that is shown.
    search: str = ""
    #: What stands above columns, as it was typed, by name.
    filters: Mapping[str, str] = field(default_factory=dict)
    #: The zone in which times are typed.
    zone: tzinfo = UTC

    @property
    def narrows(self) -> bool:
        """Whether rows may be left out."""
        return bool(self.search.strip() or any(map(str.strip, self.filters.values())))

    def sorted_by(self, column: str) -> TableView:
        """Sort by a column: upwards, downwards the next time, then as they come."""
        if column != self.order:
            return replace(self, order=column, descending=False)
        if not self.descending:
            return replace(self, descending=True)
        return replace(self, order="", descending=False)

    def searched(self, text: str) -> TableView:
        """Search for a word in all columns; "" for none."""
        return replace(self, search=text)

    def with_filters(self, filters: Mapping[str, str]) -> TableView:
        """Ask this of the columns, and nothing else."""
        asked = {name: text for name, text in filters.items() if text.strip()}
        return replace(self, filters=asked)

    def filtered(self, column: str, text: str) -> TableView:
        """Ask something of a column; "" asks nothing of it any more."""
        return self.with_filters({**self.filters, column: text})


def values_of(row: Row, column: str) -> Sequence[JSON]:
    """Give what a row shows in a column."""
    return (row.get(column),)


def apply(
    view: TableView,
    rows: Sequence[Row],
    types: Mapping[str, str],
    columns: Sequence[str],
    values: Callable[[Row, str], Sequence[JSON]] = values_of,
) -> list[Row]:
    """Give the rows that a view shows, in its order; NULL last, whichever way.

    Parameters
    ----------
    columns
        Those that are searched.
    values
        What a row shows in a column: a change shows two.

    Raises
    ------
    UsageError
        Something typed above a column can't be asked of it.
    """
    asked = [
        (name, condition(name, text, types.get(name, "string"), view.zone).test)
        for name, text in view.filters.items()
    ]
    if view.search.strip():
        kinds = {name: types.get(name, "string") for name in columns}
        found = [(n, one.test) for n, one in anywhere(kinds, view.search).items()]
        rows = [
            row
            for row in rows
            if any(test(one) for name, test in found for one in values(row, name))
        ]
    for name, test in asked:
        rows = [row for row in rows if any(map(test, values(row, name)))]
    if not view.order:
        return list(rows)

    def key(row: Row) -> tuple[int, float, str]:
        return order_key(values(row, view.order)[-1])

    filled = [row for row in rows if values(row, view.order)[-1] is not None]
    bare = [row for row in rows if values(row, view.order)[-1] is None]
    return sorted(filled, key=key, reverse=view.descending) + bare

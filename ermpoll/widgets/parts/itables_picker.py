"""The same table of rows by itables: sorts and searches in the browser.

An optional better table for many rows; itables escapes what it shows. Needs the
extra ``lab``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any

from ermpoll.errors import UsageError
from ermpoll.records import JSON, Row
from ermpoll.render.page import Caps
from ermpoll.render.tables import rid_of
from ermpoll.render.values import cell, is_time

if TYPE_CHECKING:
    from ermpoll.queue import Queue

#: Characters of a text that are sent.
_CUT = 400


class ITablesPicker:
    """Rows to select in an itables table; used like `RowPicker`.

    Raises
    ------
    UsageError
        itables is not installed.
    """

    def __init__(self, label: str, changed: Callable[[], None]) -> None:
        try:
            from itables.widget import ITable
        except ImportError:
            raise UsageError(
                "expected itables for table='itables', found it is not installed; "
                "pip install 'ermpoll[lab]', or leave table= out"
            ) from None
        self.label = label
        self._rows: list[Row] | None = None
        self._zone: tzinfo = UTC
        self.widget: Any = ITable(select=True, showIndex=False)
        self.widget.observe(lambda _: changed(), "selected_rows")

    def close(self) -> None:
        """Nothing: the widget is on the page and closed with it."""

    @property
    def picked(self) -> tuple[Row, ...]:
        """The rows that are selected, from the top, as they were listed."""
        # the page may still select by the places of a longer table
        rows = dict(enumerate(self._rows or []))
        return tuple(rows[at] for at in self.widget.selected_rows if at in rows)

    @property
    def selected(self) -> tuple[str, ...]:
        """The RIDs of the rows that are selected, from the top."""
        return tuple(map(rid_of, self.picked))

    def select(self, rids: Sequence[str]) -> None:
        """Select these rows and no others; RIDs not shown are left out."""
        self.widget.selected_rows = _places(self._rows or [], rids)

    def show(
        self,
        jobs: Queue,
        rows: Sequence[Row],
        columns: Sequence[str],
        zone: tzinfo = UTC,
    ) -> None:
        """Show rows; what is selected stays so where its row is still shown."""
        if self._rows == list(rows) and self._zone == zone:
            return
        self._zone = zone
        names = ["RID", *(name for name in columns if name != "RID")]
        names = names[: Caps().columns]
        chosen = _places(rows, self.selected)
        # Only who shows itables pays for pandas.
        from ermpoll.render import frames

        types = {name: jobs.types.get(name, "") for name in names}
        # Times as text: they sort alike, and itables knows no zones.
        said = {
            name: "string" if is_time(kind) else kind for name, kind in types.items()
        }
        cut = [
            {name: _cell(row.get(name), types[name], zone) for name in names}
            for row in rows
        ]
        # both at once: places count in the table that they come with
        self._rows = list(rows)
        self.widget.update(frames.frame(cut, names, said), selected_rows=chosen)


def _places(rows: Sequence[Row], rids: Sequence[str]) -> list[int]:
    return [at for at, row in enumerate(rows) if rid_of(row) in rids]


def _cell(value: JSON, dtype: str, zone: tzinfo) -> JSON:
    if is_time(dtype) and value is not None:
        return cell(value, dtype, zone=zone).text
    if isinstance(value, str) and len(value) > _CUT:
        return value[:_CUT] + "…"
    return value

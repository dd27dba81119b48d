"""What one write changed, row by row, on its way into the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ermpoll.sandbox.model import Table

#: A row version: column name to what SQLite keeps.
Image = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Journal:
    """The write that is going on: who asks what, and what it has changed so far."""

    method: str = ""
    path: str = ""
    #: The client's id.
    who: str = ""
    #: From the transaction's time to the ETag its answer will carry.
    etag_at: Callable[[int], str] = str
    #: True: this is no request, leave it out of the log.
    silent: bool = False
    #: ``[table, RID, before, after]`` with values as JSON; None: no such version.
    rows: list[list[Any]] = field(default_factory=list)

    def note(self, table: Table, before: Image | None, after: Image | None) -> None:
        """Note one row that was inserted, changed or deleted."""
        if self.silent:
            return
        either = after or before or {}
        old = None if before is None else as_json(table, before)
        new = None if after is None else as_json(table, after)
        self.rows.append([table.title, either["RID"], old, new])


def as_json(table: Table, image: Image) -> dict[str, Any]:
    """Return a row version with its values as JSON."""
    row = dict(image)
    for name, column in table.columns.items():
        kept = row[name]
        if kept is not None and (writer := column.type.writer):
            row[name] = writer(kept)
    return row

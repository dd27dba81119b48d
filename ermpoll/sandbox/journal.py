"""What one write changed, row by row, on its way into the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ermpoll.sandbox.model import Model, Table

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
    #: ``[schema, table, before, after]``, a version as the list of its kept values in
    #: column order, or None. They become JSON when the log is read.
    rows: list[list[Any]] = field(default_factory=list)

    def note(self, table: Table, before: Image | None, after: Image | None) -> None:
        """Note one row that was inserted, changed or deleted."""
        old = None if before is None else list(before.values())
        new = None if after is None else list(after.values())
        self.rows.append([table.schema, table.name, old, new])


def told(model: Model, row: list[Any]) -> list[Any]:
    """Return ``[S:T, RID, before, after]`` with values as JSON, of a noted row."""
    schema, name, *versions = row
    table = model.table(schema, name)
    before, after = (_as_json(table, version) for version in versions)
    return [table.title, (after or before or {}).get("RID"), before, after]


def _as_json(table: Table, kept: list[Any] | None) -> dict[str, Any] | None:
    if kept is None:
        return None
    return {
        column.name: column.type.to_json(value)
        for column, value in zip(table.columns.values(), kept, strict=True)
    }

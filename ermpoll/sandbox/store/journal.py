"""What one write changed, row by row, on its way into the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ermpoll.sandbox.model.model import Model, TableDef

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
    #: ``[schema, table, before, changes]`` of each row: its values as kept, in column
    #: order, or None, and the kept values that became others by column name, or None.
    #: They become JSON when the log is read.
    rows: list[list[Any]] = field(default_factory=list)

    def note(
        self, table: TableDef, before: Image | None, changes: Image | None
    ) -> None:
        """Note one row: without `before` it is new, without `changes` it is gone."""
        old = None if before is None else list(before.values())
        self.rows.append([table.schema, table.name, old, changes])


def told(model: Model, row: list[Any]) -> list[Any]:
    """Return ``[S:T, RID, before, after]`` with values as JSON, of a noted row."""
    schema, name, old, changes = row
    table = model.table(schema, name)
    before = None
    if old is not None:
        before = _as_json(table, dict(zip(table.columns, old, strict=True)))
    after = None
    if changes is not None:
        after = {**(before or {}), **_as_json(table, changes)}
    return [table.title, (after or before or {}).get("RID"), before, after]


def _as_json(table: TableDef, kept: Image) -> dict[str, Any]:
    return {
        name: table.columns[name].type.to_json(value) for name, value in kept.items()
    }

"""A plan as CSV that no spreadsheet takes for a program. Pure: it opens no file."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

from ermpoll.records import JSON

if TYPE_CHECKING:
    from ermpoll.queue.results import Plan


def csv_text(plan: Plan) -> str:
    """Give the changed cells of a plan, a line each: RID, column, before, after."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["RID", "column", "before", "after"])
    for change in plan.changes:
        for column, (before, after) in change.diff.items():
            cells = (change.rid, column, before, after)
            writer.writerow([_cell(value) for value in cells])
    return text.getvalue()


def _cell(value: JSON) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    text = value.encode("utf-8", "replace").decode()
    # What a spreadsheet takes for a formula could run there.
    return f"'{text}" if text[:1] in "=+-@\t\r" and text else text

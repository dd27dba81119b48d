"""A plan as a CSV file that no spreadsheet takes for a program."""

from __future__ import annotations

import csv
import json
import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ermpoll.records import JSON

if TYPE_CHECKING:
    from ermpoll.queue.results import Plan


def save_csv(plan: Plan, path: str | Path | None, now: datetime) -> Path:
    """Save the changed cells of a plan: RID, column, before, after.

    Raises
    ------
    FileExistsError
        The file is there already; nothing is overwritten.
    """
    name = re.sub(r"\W+", "-", str(plan.jobs.title))[:60]
    made = Path(path) if path else Path(f"dry-run-{name}-{now:%Y%m%dT%H%M%S%f}.csv")
    with made.open("x", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["RID", "column", "before", "after"])
        for change in plan.changes:
            for column, (before, after) in change.diff.items():
                writer.writerow(
                    [_text(change.rid), _text(column), _text(before), _text(after)]
                )
    return made


def _text(value: JSON) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    text = value.encode("utf-8", "replace").decode()
    # What a spreadsheet takes for a formula could run there.
    return f"'{text}" if text[:1] in "=+-@\t\r" and text else text

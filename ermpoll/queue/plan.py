"""From rows and a transform to the exact PUTs: pure, so a dry run can't differ.

Knows no HTTP. The rules of one PUT: its target columns stand once, every row has
all of them (a missing key would be written as NULL), a RID stands once.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from ermpoll.catalog import paths
from ermpoll.catalog.model import Table
from ermpoll.catalog.values import read_changes, refusal
from ermpoll.errors import Unreadable
from ermpoll.records import JSON, Change, PlannedPut, Row
from ermpoll.redact import told

#: Rows of one PUT at most: 500 cost a real service about 0.2 s of its one writer.
BATCH = 500


def plan_row(
    row: Row,
    transform: Callable[[Row], object],
    table: Table,
    problem: Callable[[Row, Row], str | None],
) -> Change:
    """Decide what becomes of one row.

    Parameters
    ----------
    transform
        The user's function. It gets a copy; what it raises becomes a ``failed``.
    problem
        ``(row, changes) -> reason or None``: rules of the queue beyond the types.
    """
    unchanged = Change(
        rid=str(row["RID"]), rmt=str(row["RMT"]), before=row, after={}, kind="unchanged"
    )
    try:
        asked = transform(copied(row))
        wanted = None if asked is None else changes_of(asked, row, table)
    except Unreadable as error:
        return replace(unchanged, kind="problem", reason=str(error))
    except Exception as error:  # noqa: BLE001  the user's function: shown, not raised
        reason, where = describe(error)
        return replace(unchanged, kind="failed", reason=reason, traceback=where)
    if wanted is None:
        return replace(unchanged, kind="skipped", reason="left alone")
    if not wanted:
        return replace(unchanged, reason="changes nothing")
    why = first_refusal(wanted, table) or problem(row, wanted)
    if why:
        return replace(unchanged, after=wanted, kind="problem", reason=why)
    return replace(unchanged, after=wanted, kind="changed")


def copied(row: Row) -> dict[str, JSON]:
    """Return a copy that shares nothing which could be changed in place.

    However deep: the catalog nests json deeper than Python calls itself.
    """
    whole = dict(row)
    todo: list[Any] = [whole]
    while todo:
        holder = todo.pop()
        items = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for key, value in items:
            if isinstance(value, dict | list):
                holder[key] = value.copy()
                todo.append(holder[key])
    return whole


def changes_of(asked: object, row: Row, table: Table) -> dict[str, JSON]:
    """Return the changes that differ from the row.

    Raises
    ------
    Unreadable
        They can't be read, or name a column that isn't there.
    """
    wanted = read_changes(asked)
    strange = [name for name in wanted if name not in table.columns]
    if strange:
        names = ", ".join(map(repr, strange[:12]))
        raise Unreadable(f"{table.label} has no column {names}")
    return {
        name: value
        for name, value in wanted.items()
        if name not in row or not same(row[name], value)
    }


def same(before: JSON, after: JSON) -> bool:
    """Whether two values are one: ``1`` is not ``True``, ``1`` is ``1.0``."""
    return before == after and isinstance(before, bool) == isinstance(after, bool)


def first_refusal(changes: Row, table: Table) -> str | None:
    """Say which value the catalog would refuse, and why; None if it may take all."""
    for name, value in changes.items():
        reason = refusal(table.columns[name], value)
        if reason:
            return f"{name}: {reason}"
    return None


def describe(error: BaseException) -> tuple[str, str]:
    """Return a failure in a line, and its traceback from the user's code on."""
    line = told(error)
    frames = traceback.extract_tb(error.__traceback__)[1:]
    return line, "".join(traceback.format_list(frames)) + line


def pack(changes: Iterable[Change], table: Table) -> tuple[PlannedPut, ...]:
    """Put changed rows into as few PUTs as the rules allow, guarded by RID and RMT.

    Rows that change different columns share a PUT where each row's current value
    of the others is known and survives the way there and back; the guard makes
    sure that it is still current.
    """
    groups: dict[tuple[str, ...], list[Change]] = {}
    seen: set[str] = set()
    for change in changes:
        if change.kind == "changed" and change.rid not in seen:
            seen.add(change.rid)
            groups.setdefault(tuple(sorted(change.after)), []).append(change)
    everything = [change for group in groups.values() for change in group]
    union = sorted({name for columns in groups for name in columns})
    if len(groups) > 1 and all(fillable(c, union, table) for c in everything):
        groups = {tuple(union): everything}
    return tuple(
        put
        for columns, group in groups.items()
        for put in guarded_puts(table, columns, group)
    )


def fillable(change: Change, columns: Sequence[str], table: Table) -> bool:
    """Whether the row can carry its current value in the columns it doesn't change."""
    return all(
        name in change.after
        or (name in change.before and _survives(table, name, change.before[name]))
        for name in columns
    )


def _survives(table: Table, name: str, value: JSON) -> bool:
    column = table.columns[name]
    # JSON null is not NULL, and legacy numerics lose digits as a float
    return column.base not in ("json", "jsonb", "numeric") and (
        refusal(column, value) is None or (value is None and column.nullok)
    )


def guarded_puts(
    table: Table, columns: Sequence[str], changes: Sequence[Change]
) -> list[PlannedPut]:
    """Write one PUT per ``BATCH`` rows, keyed by the version each was read at."""
    path = f"attributegroup/{table.path}/" + paths.keys_and_targets(
        ("RID", "RMT"), columns
    )
    rows = [
        {
            "RID": change.rid,
            "RMT": change.rmt,
            **body(
                table, {n: change.after.get(n, change.before.get(n)) for n in columns}
            ),
        }
        for change in changes
    ]
    return [
        PlannedPut(path=path, rows=tuple(rows[start : start + BATCH]))
        for start in range(0, len(rows), BATCH)
    ]


def body(table: Table, values: Row) -> dict[str, JSON]:
    """Return target values as a PUT's row: a json column becomes NULL by its absence.

    As ``null`` it would become JSON null, which no ``::null::`` filter finds.
    """
    return {
        name: value
        for name, value in values.items()
        if value is not None or not table.columns[name].is_json
    }

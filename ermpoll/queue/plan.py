"""From rows and a transform to the exact PUTs: pure, so a dry run can't differ.

Knows no HTTP. The rules of one PUT: its target columns stand once, every row has
all of them (a missing key would be written as NULL), a RID stands once.
"""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ermpoll.catalog import paths
from ermpoll.catalog.model import Table
from ermpoll.catalog.values import read_changes, refusal
from ermpoll.errors import Unreadable, UsageError
from ermpoll.queue.definition import QueueDefinition
from ermpoll.records import JSON, Change, PlannedPut, Row, same
from ermpoll.redact import text_of, told

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
        reason += _meant(error, row)
        return replace(unchanged, kind="failed", reason=reason, traceback=where)
    if wanted is None:
        return replace(unchanged, kind="skipped", reason="left alone")
    if not wanted:
        return replace(unchanged, reason="changes nothing")
    why = first_refusal(wanted, table) or problem(row, wanted)
    if why:
        return replace(unchanged, after=wanted, kind="problem", reason=why)
    return replace(unchanged, after=wanted, kind="changed")


def _meant(error: Exception, row: Row) -> str:
    """Name the column that a function asked for by a wrong name, if there is one."""
    key = error.args[0] if isinstance(error, KeyError) and error.args else None
    if not isinstance(key, str) or key in row:
        return ""
    folded = {name.casefold(): name for name in row}
    close = difflib.get_close_matches(key.casefold(), folded, n=1)
    return f"; did you mean the column {folded[close[0]]!r}?" if close else ""


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


def apart(change: Change) -> Change:
    """Return a copy that shares nothing with the change."""
    before, after = copied(change.before), copied(change.after)
    return replace(change, before=before, after=after)


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


def first_refusal(changes: Row, table: Table) -> str | None:
    """Say which value the catalog would refuse, and why; None if it may take all."""
    for name, value in changes.items():
        reason = refusal(table.columns[name], value)
        if reason:
            return f"{name}: {reason}"
    return None


def finishing_changes(
    definition: QueueDefinition, asked: object, row: Row
) -> dict[str, JSON]:
    """Return the changes that may finish a row: for a person, an agent, a dry run.

    ``asked`` is None for no changes; those that are in the row already are left out.

    Raises
    ------
    UsageError
        They are no dict, name columns that aren't there, hold values that the
        catalog would refuse, or a state word that doesn't finish the row.
    """
    changes = changes_of({} if asked is None else asked, row, definition.table)
    reason = first_refusal(changes, definition.table)
    word = changes.get(definition.state, definition.done)
    if reason is None and definition.is_ready(word):
        reason = f"{definition.state}: {word!r} would make the row a candidate again"
    elif reason is None and word == definition.claimed:
        reason = f"{definition.state}: {word!r} would leave the row claimed"
    if reason:
        raise UsageError(reason)
    return changes


def describe(error: BaseException) -> tuple[str, str]:
    """Return a failure in a line, and its traceback from the user's code on."""
    line = told(error)
    frames = traceback.extract_tb(error.__traceback__)[1:]
    return line, "".join(traceback.format_list(frames)) + line


def error_text(error: object) -> str:
    """Return an error as a line for people: an exception with its name."""
    return told(error) if isinstance(error, BaseException) else text_of(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Changes that go in one PUT."""

    #: The target columns.
    columns: tuple[str, ...]
    changes: tuple[Change, ...] = field(repr=False)

    @property
    def rids(self) -> tuple[str, ...]:
        """The RIDs of the rows, in order."""
        return tuple(change.rid for change in self.changes)


def batches(
    changes: Iterable[Change], table: Table, *, fill: bool = True
) -> list[Batch]:
    """Put changed rows into as few PUTs as the rules allow, a RID once.

    With ``fill`` rows that change different columns share a PUT, where each row's
    current value of the others is known and survives the way there and back. Only
    for a PUT by version, which makes sure that it is still current.
    """
    groups: dict[tuple[str, ...], list[Change]] = {}
    seen: set[str] = set()
    for change in changes:
        if change.kind == "changed" and change.rid not in seen:
            seen.add(change.rid)
            groups.setdefault(tuple(sorted(change.after)), []).append(change)
    everything = [change for group in groups.values() for change in group]
    union = tuple(sorted({name for columns in groups for name in columns}))
    if fill and len(groups) > 1 and all(_fillable(c, union, table) for c in everything):
        groups = {union: everything}
    return [
        Batch(columns=columns, changes=tuple(group[start : start + BATCH]))
        for columns, group in groups.items()
        for start in range(0, len(group), BATCH)
    ]


def _fillable(change: Change, columns: Iterable[str], table: Table) -> bool:
    """Whether the row can carry its current value in the columns it doesn't change."""
    before, after = change.before, change.after
    others = [name for name in columns if name not in after]
    return all(n in before and _survives(table, n, before[n]) for n in others)


def _survives(table: Table, name: str, value: JSON) -> bool:
    column = table.columns[name]
    # JSON null is not NULL, and legacy numerics lose digits as a float
    return column.base not in ("json", "jsonb", "numeric") and (
        refusal(column, value) is None or (value is None and column.nullok)
    )


def put_by_version(
    table: Table, columns: Sequence[str], changes: Iterable[Change]
) -> PlannedPut:
    """Write a PUT keyed by the version that each row was read at.

    Rows carry their current values in those of the columns that they don't change.
    """
    return PlannedPut(
        path=_put_path(table, ("RID", "RMT"), columns),
        rows=tuple(
            {
                "RID": change.rid,
                "RMT": change.rmt,
                **_targets(table, columns, {**change.before, **change.after}),
            }
            for change in changes
        ),
    )


def put_by_token(
    definition: QueueDefinition,
    tokens: Mapping[str, str],
    columns: Sequence[str],
    changes: Iterable[Change],
) -> PlannedPut:
    """Write a PUT keyed by the token of each row and the claimed state.

    For rows that somebody edited while we held them: the claim still stands. A row
    that ``{RID: token}`` lacks is left out: a missing one matches every free row.
    """
    table = definition.table
    held, was = _free_alias(table, "held"), _free_alias(table, "was")
    keys = ("RID", f"{held}:={definition.owner}", f"{was}:={definition.state}")
    return PlannedPut(
        path=_put_path(table, keys, columns),
        rows=tuple(
            {
                "RID": change.rid,
                held: tokens[change.rid],
                was: definition.claimed,
                **_targets(table, columns, change.after),
            }
            for change in changes
            if change.rid in tokens
        ),
    )


def put_by_claim(
    definition: QueueDefinition,
    tokens: Mapping[str, str],
    columns: Sequence[str],
    changes: Iterable[Change],
) -> PlannedPut:
    """Write a PUT as `put_by_token` does, keyed by the version just read as well."""
    changes = tuple(changes)
    put = put_by_token(definition, tokens, columns, changes)
    versions = {change.rid: change.rmt for change in changes}
    return PlannedPut(
        path=put.path.replace("/RID,", "/RID,RMT,", 1),
        rows=tuple({**row, "RMT": versions[str(row["RID"])]} for row in put.rows),
    )


def _put_path(table: Table, keys: Sequence[str], columns: Sequence[str]) -> str:
    return f"attributegroup/{table.path}/{paths.keys_and_targets(keys, columns)}"


def _targets(table: Table, columns: Sequence[str], row: Row) -> dict[str, JSON]:
    """Return target values as a PUT's row: a json column becomes NULL by its absence.

    As ``null`` it would become JSON null, which no ``::null::`` filter finds.
    """
    return {
        name: row[name]
        for name in columns
        if row[name] is not None or not table.columns[name].is_json
    }


def _free_alias(table: Table, name: str) -> str:
    # an alias that is also a column of the table is refused with 409
    while name in table.columns:
        name += "_"
    return name

"""From rows and a transform to the exact PUTs: pure, so a dry run can't differ.

Knows no HTTP. The rules of one PUT: its target columns stand once, every row has
all of them (a missing key would be written as NULL), a RID stands once.
"""

from __future__ import annotations

import difflib
import json
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import dropwhile
from pathlib import Path
from typing import Any

from ermpoll.catalog import paths
from ermpoll.catalog.model import Column, Table
from ermpoll.catalog.values import read_changes, refusal
from ermpoll.errors import Unreadable, UsageError
from ermpoll.queue.definition import QueueDefinition
from ermpoll.records import JSON, Change, PlannedPut, Row, same
from ermpoll.redact import text_of, told

NOTHING: Row = {}
#: Where our own code is, which calls the user's.
_OURS = str(Path(__file__).parents[1])
#: Rows of one PUT at most, which cost a real service about 0.15 s of its one writer,
#: and bytes of its body, as far as one row is no larger.
BATCH, BODY = 1000, 1_000_000


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
    found = traceback.extract_tb(error.__traceback__)
    frames = dropwhile(lambda frame: frame.filename.startswith(_OURS), found)
    return line, "".join(traceback.format_list(list(frames))) + line


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
    current value of the others is known and survives the way there and back, and an
    address holds the names of all. Only for a PUT by version, which makes sure that it
    is still current.
    """
    groups: dict[tuple[str, ...], list[Change]] = {}
    seen: set[str] = set()
    for change in changes:
        if change.kind == "changed" and change.rid not in seen:
            seen.add(change.rid)
            groups.setdefault(tuple(sorted(change.after)), []).append(change)
    union = tuple(sorted({name for columns in groups for name in columns}))
    if fill and len(groups) > 1 and _can_share(groups, union, table):
        groups = {union: [change for group in groups.values() for change in group]}
    return [
        Batch(columns=columns, changes=tuple(part))
        for columns, group in groups.items()
        for start in range(0, len(group), BATCH)
        for part in _within_body(columns, group[start : start + BATCH])
    ]


def _within_body(columns: Sequence[str], changes: list[Change]) -> list[list[Change]]:
    """Cut changes in halves until no part makes a larger body, or is one row."""
    if len(changes) == 1:
        return [changes]
    cells = [[_value(change, name) for name in columns] for change in changes]
    if len(json.dumps(cells, default=str)) <= BODY:
        return [changes]
    half = len(changes) // 2
    parts = (changes[:half], changes[half:])
    return [one for part in parts for one in _within_body(columns, part)]


def _can_share(
    groups: Mapping[tuple[str, ...], Sequence[Change]],
    columns: Sequence[str],
    table: Table,
) -> bool:
    """Whether all rows can be written in one PUT that names these columns.

    Each carries its current value in those that it doesn't change.
    """
    path = _put_path(table, ("RID", "RMT"), columns)
    return paths.size(path) <= paths.LONGEST and all(
        _survives(table.columns[name], [change.before for change in group])
        for changed, group in groups.items()
        for name in columns
        if name not in changed
    )


def _survives(column: Column, rows: Iterable[Row]) -> bool:
    """Whether the value of each row is known, and survives the way there and back."""
    # JSON null is not NULL, and legacy numerics lose digits as a float
    if column.base in ("json", "jsonb", "numeric"):
        return False
    for row in rows:
        if column.name not in row:
            return False
        value = row[column.name]
        if not column.nullok if value is None else refusal(column, value):
            return False
    return True


def _value(change: Change, name: str) -> JSON:
    """What the row holds after the change; None also where that is not known."""
    after = change.after
    return after[name] if name in after else change.before.get(name)


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
                **_targets(table, columns, change.after, change.before),
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


def _targets(
    table: Table, columns: Sequence[str], row: Row, before: Row = NOTHING
) -> dict[str, JSON]:
    """Return target values as a PUT's row: a json column becomes NULL by its absence.

    As ``null`` it would become JSON null, which no ``::null::`` filter finds.
    """
    return {
        name: value
        for name in columns
        if (value := row[name] if name in row else before[name]) is not None
        or not table.columns[name].is_json
    }


def _free_alias(table: Table, name: str) -> str:
    # an alias that is also a column of the table is refused with 409
    while name in table.columns:
        name += "_"
    return name

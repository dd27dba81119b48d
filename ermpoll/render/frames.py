"""From rows and changes to pandas frames with real column types.

Knows nothing of HTTP, queues or pages. The only module that imports pandas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

import pandas as pd

from ermpoll.records import Change, Row
from ermpoll.render.shapes import OutcomeLike

#: For who names the type and does not load pandas.
DataFrame: TypeAlias = pd.DataFrame


def frame(
    rows: Sequence[Row], columns: Sequence[str], types: Mapping[str, str]
) -> pd.DataFrame:
    """Make a frame of rows, one line a row, with real types.

    Parameters
    ----------
    rows
        The rows; a column missing in a row is NULL there.
    columns
        The columns of the frame, in this order, also when there are no rows.
    types
        The pandas type of each column; one without is ``object``. That of RIDs, and
        of dates, for which pandas has no type, is ``string``.

    Returns
    -------
    DataFrame
        Shape (rows, columns).

    Notes
    -----
    Never raises for a value: a column with one that its type can't hold
    (``infinity``, an integer past 64 bits, a Decimal) stays ``object``, as the
    catalog sent it.
    """
    made = {
        name: _series([row.get(name) for row in rows], types.get(name, "object"))
        for name in columns
    }
    return pd.DataFrame(made, columns=list(columns))


def changes_frame(changes: Iterable[Change]) -> pd.DataFrame:
    """One line per changed cell.

    Returns
    -------
    DataFrame
        Columns RID (``string``), column (``string``), before, after (``object``,
        as JSON has them; NULL is None). No lines where nothing changes.
    """
    cells = [
        (change.rid, name, before, after)
        for change in changes
        for name, (before, after) in change.diff.items()
    ]
    rids, names, befores, afters = zip(*cells, strict=True) if cells else ((),) * 4
    return pd.DataFrame(
        {
            "RID": pd.Series(rids, dtype="string"),
            "column": pd.Series(names, dtype="string"),
            "before": _objects(befores),
            "after": _objects(afters),
        }
    )


def outcome_frame(outcome: OutcomeLike) -> pd.DataFrame:
    """One line per row of a write: RID, result (won, lost, unknown) and reason."""
    lines = [
        (rid, word, outcome.reasons.get(rid, ""))
        for word in ("won", "lost", "unknown")
        for rid in getattr(outcome, word)
    ]
    return pd.DataFrame(lines, columns=["RID", "result", "reason"], dtype="string")


def _series(values: Sequence[Any], dtype: str) -> pd.Series[Any]:
    if dtype == "object" or any(isinstance(value, Decimal) for value in values):
        return _objects(values)
    try:
        if dtype.startswith("datetime64"):
            return _times(values, dtype)
        if dtype == "string":
            return pd.Series([_text(value) for value in values], dtype="string")
        return pd.Series(list(values), dtype=dtype)
    except (ValueError, TypeError, OverflowError):
        return _objects(values)


def _times(values: Sequence[Any], dtype: str) -> pd.Series[Any]:
    parsed = pd.to_datetime(
        pd.Series(list(values), dtype="object"), utc="UTC" in dtype, format="ISO8601"
    )
    return parsed.astype(dtype)  # type: ignore[call-overload,no-any-return]


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise TypeError("not a text")


def _objects(values: Sequence[Any]) -> pd.Series[Any]:
    # Filled one by one: pandas would read a list of lists as a second dimension.
    series = pd.Series([None] * len(values), dtype="object")
    for place, value in enumerate(values):
        series.iat[place] = value
    return series

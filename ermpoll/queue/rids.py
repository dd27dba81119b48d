"""Rows as people hand them over: RIDs, and the versions they were seen at.

Knows no catalog and none of the objects by name: what has rows is enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ermpoll.catalog.clock import time_text
from ermpoll.errors import UsageError

#: What a RID can look like: capital letters, digits and hyphens.
_RID = re.compile(r"[0-9A-Z]+(-[0-9A-Z]+)*")


def rids_of(rows: object) -> tuple[str, ...]:
    """Return the RIDs of what a user hands over as rows: each once, in their order.

    A RID, a list of RIDs or of row dicts, a frame with a RID column or index,
    Candidates, a Claim, or a preview with a selection.

    Raises
    ------
    UsageError
        It is none of these.
    """
    items = _items(rows)
    rids = [None] if items is None else [_rid_of(item) for item in items]
    if None in rids:
        raise UsageError(
            "expected rows as RIDs, row dicts, a frame with a RID column, Candidates, "
            f"a Claim or a preview; found {type(rows).__name__}"
        )
    return tuple(dict.fromkeys(_checked(str(rid)) for rid in rids))


def _checked(rid: str) -> str:
    """Refuse what is certainly no RID, and say which was meant."""
    if _RID.fullmatch(rid):
        return rid
    last = re.split(r"[/=#?]", rid.strip().rstrip("/"))[-1].strip().upper()
    meant = f"; did you mean {last!r}?" if _RID.fullmatch(last) else ""
    raise UsageError(f"expected a RID like '1-A2BC', found {rid[:80]!r}{meant}")


def versions_of(rows: object) -> dict[str, str]:
    """Return the versions of rows as the caller saw them, where it has them.

    Rows of a claim are not as they were listed: their holder has written since.
    """
    if hasattr(rows, "unfinished"):
        return {}
    items = _items(getattr(rows, "picked", rows)) or ()
    seen = [(i["RID"], i.get("RMT")) for i in items if isinstance(i, Mapping)]
    # NULL of a frame is not equal to itself
    return {str(rid): _version(rmt) for rid, rmt in seen if rmt and rmt == rmt}


def _items(rows: Any) -> Iterable[object] | None:
    """Return rows one by one: RIDs, row dicts or what has a RID."""
    if isinstance(rows, str | Mapping):
        return [rows]
    for name in ("selected", "rows", "rids"):
        found = getattr(rows, name, None)
        if isinstance(found, tuple | list):
            return found
    if hasattr(rows, "itertuples"):
        return _frame_items(rows)
    return list(rows) if isinstance(rows, Iterable) else None


def _frame_items(frame: Any) -> list[object]:
    if frame.index.name == "RID":
        frame = frame.reset_index()
    if "RID" not in frame.columns:
        raise UsageError(
            "expected a frame with a RID column, found the columns "
            f"{list(frame.columns)[:12]}"
        )
    if list(frame.columns).count("RID") > 1:
        raise UsageError(
            "expected a frame with one RID column, found more; choose the rows of one, "
            "as in frame.iloc[:, [0]], or give a list of RIDs"
        )
    items: list[object] = frame.filter(["RID", "RMT"]).to_dict("records")
    return items


def _rid_of(item: object) -> str | None:
    if isinstance(item, Mapping):
        item = item.get("RID")
    elif not isinstance(item, str):
        item = getattr(item, "rid", None)
    return None if item is None else str(item)


def _version(value: object) -> str:
    # a frame has it as a time
    return time_text(value) if isinstance(value, datetime) else str(value)

"""The table these tests claim from, and what they ask of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ermpoll
from ermpoll.sandbox import Box
from tests.helpers.tables import add

COLUMNS = {
    "name": "text",
    "state": "text",
    "owner": "text",
    "note": "text",
    "data": "jsonb",
}
UPDATE = "attributegroup/Ops:Job/RID;state"


def query(limit: int | None = None) -> str:
    return "entity/Ops:Job/state=new@sort(RID)" + (f"?limit={limit}" if limit else "")


def claim(row: Any) -> dict[str, Any]:
    return {"RID": row["RID"], "state": "claimed"}


def written(box: Box, catalog: ermpoll.Catalog) -> list[str]:
    """The RIDs of Ops:Job that were written to, once for each write."""
    number = catalog.url.rpartition("/")[2]
    return [
        change.rid
        for write in box.log
        if write.catalog == number and write.method == "PUT"
        for change in write.rows
    ]


def touching(
    somebody: ermpoll.Catalog, times: int = 1
) -> Callable[[Any], dict[str, Any]]:
    """A transform during whose first calls somebody writes to another table."""
    left = [times]

    def transform(row: Any) -> dict[str, Any]:
        if left[0]:
            left[0] -= 1
            add(somebody, {"text": "touched"}, table="Other")
        return claim(row)

    return transform

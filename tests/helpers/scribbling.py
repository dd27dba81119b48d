"""Work that changes in place what it was handed; it can travel to a process."""

from __future__ import annotations

from typing import Any


def in_place(row: dict[str, Any]) -> dict[str, Any]:
    """Change json and a list in place, and return both."""
    row["data"]["deep"][0]["n"] = 2
    row["tags"].append("b")
    return {"data": row["data"], "tags": row["tags"]}


def scribble(row: dict[str, Any]) -> dict[str, Any]:
    """Scribble on a row and return something else; its neighbour writes tags."""
    if row["name"] == "second":
        return {"tags": ["new"]}
    row["data"]["deep"][0]["n"] = 9
    row["tags"].append("mine")
    return {"result": "something else"}

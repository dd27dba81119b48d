"""The table that the storm is about, and the queue on it."""

from __future__ import annotations

from typing import Any

SCHEMA, NAME = "Chaos", "Job"
TABLE = f"{SCHEMA}:{NAME}"
COLUMNS = {
    "state": "text",
    "owner": "text",
    "error": "text",
    "attempts": "int4",
    "retry_at": "timestamptz",
    "number": "int4",
    "human": "boolean",
    "note": "text",
    "code": "text",
    "result": "jsonb",
}
#: What a table that has only a state column lacks of them.
NO_OWNER = ("owner", "attempts", "retry_at")
#: The options of the queue.
QUEUE: dict[str, Any] = {
    "state": "state",
    "ready": "new",
    "claimed": "claimed",
    "done": "done",
    "failed": "failed",
    "owner": "owner",
    "error": "error",
    "attempts": "attempts",
    "retry_at": "retry_at",
    "max_attempts": 8,
}


def columns(*, owner: bool) -> dict[str, str]:
    """The table's columns, with or without those that say whose a row is."""
    return {n: kind for n, kind in COLUMNS.items() if owner or n not in NO_OWNER}


def options(*, owner: bool) -> dict[str, Any]:
    """The options of a queue on it."""
    lacks = () if owner else (*NO_OWNER, "max_attempts")
    return {name: word for name, word in QUEUE.items() if name not in lacks}

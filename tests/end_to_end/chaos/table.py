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

"""The table that tests of writes write to."""

from __future__ import annotations

from typing import Any

from tests.helpers.sandbox_client import Client

COLUMNS = {
    "id": "int4",
    "state": "text",
    "owner": "text",
    "no": "int2",
    "doc": "jsonb",
    "tags": "text[]",
    "at": "timestamptz",
    "local": "timestamp",
    "f": "float4",
    "ok": "boolean",
}
JOBS = [{"id": 1, "state": "new", "no": 5}, {"id": 2, "state": "new"}, {"id": 3}]


def make(client: Client) -> Client:
    """Make the table with its three rows."""
    client.table("Job", COLUMNS, keys=(("id",),), required=("id",))
    assert client.post("/entity/Job", JOBS).status == 200
    return client


def state(jobs: Client) -> list[tuple[Any, ...]]:
    rows = jobs.rows("/attribute/Job/id,state,owner,no@sort(id)")
    return [tuple(row.values()) for row in rows]


AS_MADE = [(1, "new", None, 5), (2, "new", None, None), (3, None, None, None)]

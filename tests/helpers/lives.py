"""Rows of the past for tests that decide by plain calls: versions, steps, machines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from ermpoll.catalog import paths
from ermpoll.catalog.clock import time_text
from ermpoll.catalog.model import Table
from ermpoll.history import DeclaredMachine, PastPeriod, Version, Versions
from ermpoll.history.versions import version_of
from ermpoll.queue.definition import QueueDefinition

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
#: A token of ten minutes, of the form that doesn't say its ready word.
TOKEN = "worker~" + "a" * 16 + "~600"
OTHER = "other~" + "b" * 16 + "~600"


def at(seconds: float) -> datetime:
    """A moment so long after the begin."""
    return BEGIN + timedelta(seconds=seconds)


def machine(**options: Any) -> DeclaredMachine:
    return DeclaredMachine.of(declared(**options))


def declared(**options: Any) -> QueueDefinition:
    """A queue with every optional column, unless told otherwise."""
    table = Table(
        schema="Ops", name="Job", columns={}, keys=(), references=(), may_update=True
    )
    told: dict[str, Any] = {
        "table": table,
        "state": "state",
        "ready": ("actionable",),
        "claimed": "claimed",
        "done": "complete",
        "failed": "failed",
        "order": paths.Order("RID"),
        "owner": "owner",
        "error": "error",
        "attempts": "attempts",
        "retry_at": "retry_at",
    }
    return QueueDefinition(**{**told, **options})


def life(*versions: tuple[float, dict[str, Any]], rid: str = "1-A") -> Versions:
    """A row's versions: (seconds, what changed), a first one at 0; ``by`` is who."""
    row: dict[str, Any] = {"RID": rid, "RCT": time_text(BEGIN), "state": "actionable"}
    row |= dict.fromkeys(("owner", "error", "retry_at", "priority", "result"))
    row |= {"attempts": 0, "RMB": "ada"}
    found: list[Version] = []
    for seconds, changes in ((0, {}), *versions):
        row = {**row, "RMT": time_text(at(seconds)), "RMB": "ada", **changes}
        found.append(version_of(MappingProxyType(row)))
    period = PastPeriod(since=at(-1), until=at(100_000))
    return Versions(period=period, by_rid={rid: tuple(found)})


def claimed(token: str | None = TOKEN, **more: Any) -> dict[str, Any]:
    return {"state": "claimed", "owner": token, "attempts": 1, **more}

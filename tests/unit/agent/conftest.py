"""The definition of a queue, for what decides without a catalog."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ermpoll.catalog.model import Column, Table
from ermpoll.catalog.paths import Order
from ermpoll.queue.definition import QueueDefinition

TYPES = {
    "RID": "ermrest_rid",
    "RMT": "ermrest_rmt",
    "state": "text",
    "owner": "text",
    "error": "text",
    "attempts": "int4",
    "retry_at": "timestamptz",
    "priority": "int4",
    "name": "text",
}


@pytest.fixture
def spec_of() -> Callable[..., QueueDefinition]:
    """A queue with every optional column, or with other options."""
    table = Table(
        schema="Ops",
        name="Job",
        columns={n: Column(name=n, typename=t, base=t) for n, t in TYPES.items()},
        keys=(("RID",),),
        references=(),
        may_update=True,
    )

    def make(**options: Any) -> QueueDefinition:
        whole = {
            "owner": "owner",
            "error": "error",
            "attempts": "attempts",
            "retry_at": "retry_at",
            **options,
        }
        return QueueDefinition(
            table=table,
            state="state",
            ready=("actionable",),
            claimed="claimed",
            done="complete",
            failed="failed",
            order=Order("RID"),
            **whole,
        )

    return make


@pytest.fixture
def spec(spec_of: Callable[..., QueueDefinition]) -> QueueDefinition:
    return spec_of()

"""Work that can travel to other processes, for tests with a process pool."""

from __future__ import annotations

import os
from typing import Any

import ermpoll


def where(row: dict[str, Any]) -> dict[str, Any]:
    return {"result": f"pid {os.getpid()}"}


def fail(row: dict[str, Any]) -> None:
    raise ValueError("no such series")


def write(row: dict[str, Any]) -> dict[str, Any]:
    """Write to the catalog from within, by a connection of its own."""
    catalog = ermpoll.connect(os.environ["ERMPOLL_TEST_CATALOG"])
    catalog.put("attributegroup/Ops:Job/RID;name", [{"RID": row["RID"], "name": "x"}])
    return {"result": "wrote"}

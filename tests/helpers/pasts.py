"""What tests of the past do to a catalog, and what its own record says of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import ermpoll
from ermpoll.history import Past, TablePast
from tests.helpers.tables import add, edit, queue


def table_past(jobs: ermpoll.Queue, **reading: Any) -> TablePast:
    """A reading of a queue's table, as fast as it goes."""
    return TablePast(Past(jobs.catalog, **{"rate": None, **reading}), jobs.definition)


def alter(catalog: ermpoll.Catalog, path: str, document: object) -> None:
    """Change an element of the model."""
    send(catalog, "PUT", path, document)


def send(catalog: ermpoll.Catalog, method: str, path: str, body: object = None) -> None:
    """Send what is no write of rows."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if data else {}
    catalog._transport.request(method, path, headers=headers, data=data)


def capture(catalog: ermpoll.Catalog, on: bool) -> None:
    """Switch the history of Ops:Job on or off."""
    tag = quote("tag:isrd.isi.edu,2020:history-capture", safe="")
    alter(catalog, f"schema/Ops/table/Job/annotation/{tag}", on)


def rename(catalog: ermpoll.Catalog, column: str, name: str) -> None:
    """Give a column of Ops:Job another name."""
    alter(catalog, f"schema/Ops/table/Job/column/{column}", {"name": name})


def recorded(
    box: ermpoll.sandbox.Box, catalog: ermpoll.Catalog
) -> list[Mapping[str, Any]]:
    """Each row of Ops:Job as each write left it, in order, by the sandbox's record."""
    number = catalog.url.rpartition("/")[2]
    return [
        row.after
        for write in box.log
        if write.catalog == number
        for row in write.rows
        if row.after is not None and row.table == "Ops:Job"
    ]


def work_on(
    catalog: ermpoll.Catalog, rounds: int = 3
) -> tuple[ermpoll.Queue, list[str]]:
    """Some history: batches, single writes, a release, a failure."""
    jobs = queue(catalog)
    rids = add(catalog, *[{"state": "actionable"}] * 6)
    for number in range(rounds):
        add(catalog, *[{"state": "actionable"}] * 2)
        claim = jobs.claim(3)
        edit(catalog, claim.rids[0], priority=number)
        jobs.renew(claim)
        jobs.fail(claim, {claim.rids[0]: "no disk"})
        jobs.release(claim, claim.rids[1:2])
        jobs.complete(claim)
    return jobs, rids

"""Three agents as people have written them to deriva-py's PollingErmrestCatalog.

They know nothing of ermpoll: the tests run them with either class. Each works until
nothing is left, and then ends the poll the only way deriva-py knows, by raising.
"""

from __future__ import annotations

from typing import Any


class NothingLeft(Exception):
    """What these agents end the poll with."""


class ImageDaemon:
    """One row at a time: NULL -> ``in progress`` -> ``success`` or ``error: ...``."""

    def __init__(self, catalog: Any) -> None:
        self.catalog = catalog
        self.idle_etag: str | None = None

    def look_for_work(self) -> bool:
        self.idle_etag, batch = self.catalog.state_change_once(
            "/entity/Ops:Job/state::null::@sort(RID)?limit=1",
            "/attributegroup/Ops:Job/RID;state",
            lambda row: {"RID": row["RID"], "state": "in progress"},
            self.idle_etag,
        )
        for row, _claim in batch:
            try:
                state = self.convert(row)
            except ValueError as error:
                state = f"error: {error}"
            self.catalog.put(
                "/attributegroup/Ops:Job/RID;state",
                json=[{"RID": row["RID"], "state": state}],
            )
            # the field's way around rows that are "no new state" beyond the limit
            self.idle_etag = None
        if not batch:
            raise NothingLeft
        return True

    def convert(self, row: dict[str, Any]) -> str:
        if row["name"] is None:
            raise ValueError("no name")
        return "success"

    def run(self) -> None:
        self.catalog.blocking_poll(self.look_for_work, polling_seconds=1)


class ModelReader:
    """Reads the model, and reads and writes rows by path builder beside the poll."""

    def __init__(self, catalog: Any) -> None:
        self.catalog = catalog
        model = catalog.getCatalogModel()
        columns = model.schemas["Ops"].tables["Job"].column_definitions
        self.names = [column.name for column in columns]
        self.jobs = catalog.getPathBuilder().schemas["Ops"].tables["Job"]

    def look_for_work(self) -> bool:
        waiting = (
            self.jobs.filter(self.jobs.state == "new").entities().sort(self.jobs.RID)
        )
        claimed = 0
        for found in waiting.fetch(limit=2):
            _, batch = self.catalog.state_change_once(
                f"/entity/Ops:Job/RID={found['RID']}&state=new",
                "/attributegroup/Ops:Job/RID;state",
                lambda row: {"RID": row["RID"], "state": "in progress"},
            )
            for row, _claim in batch:
                assert set(row) == set(self.names)
                row["note"] = f"{row['name']} read"
                row["state"] = "success"
                self.jobs.update([row], targets=["note", "state"])
                claimed += 1
        if not claimed:
            raise NothingLeft
        return True

    def run(self) -> None:
        self.catalog.blocking_poll(self.look_for_work, polling_seconds=1)


class JoinedQuery:
    """Takes rows of released batches only, more than one state word, in steps."""

    STEPS = (("new", "submitted"), ("submitted", "success"))

    def __init__(self, catalog: Any) -> None:
        self.catalog = catalog
        self.idle_etags: dict[str, str | None] = {}

    def look_for_work(self) -> bool:
        moved = [self.move(before, after) for before, after in self.STEPS]
        if not any(moved):
            raise NothingLeft
        return any(moved)

    def move(self, before: str, after: str) -> int:
        etag, batch = self.catalog.state_change_once(
            f"/entity/M:=Ops:Job/state={before}/B:=(batch)=(Ops:Batch:name)"
            "/released=true/$M@sort(RID)",
            "/attributegroup/Ops:Job/RID;state",
            lambda row: {"RID": row["RID"], "state": after},
            self.idle_etags.get(before),
        )
        self.idle_etags[before] = etag
        return len(batch)

    def run(self) -> None:
        self.catalog.blocking_poll(self.look_for_work, polling_seconds=1)

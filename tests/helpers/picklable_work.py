"""Work that can travel to other processes, for tests with a process pool."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ermpoll
from tests.helpers.conditions import let_pass, wait_until


def report_pid(row: dict[str, Any]) -> dict[str, Any]:
    return {"result": f"pid {os.getpid()}"}


def fail(row: dict[str, Any]) -> None:
    raise ValueError("no such series")


def write_to_catalog(row: dict[str, Any]) -> dict[str, Any]:
    """Write to the catalog from within, by a connection of its own."""
    catalog = ermpoll.connect(os.environ["ERMPOLL_TEST_CATALOG"])
    catalog.put("attributegroup/Ops:Job/RID;name", [{"RID": row["RID"], "name": "x"}])
    return {"result": "wrote"}


def die(row: dict[str, Any]) -> dict[str, Any]:
    """End the whole process at a row of that name, as a crash in C does."""
    if row["name"] == "deadly":
        os._exit(1)
    return {"result": "done"}


class TwoArguments(Exception):
    """What pickle can't make again from its text alone."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{what} in {where}")


class Unpacks:
    """A value that pickle packs, and fails to unpack."""

    def __reduce__(self) -> tuple[Any, ...]:
        return TwoArguments, ("one",)


def cant_travel(row: dict[str, Any]) -> dict[str, Any]:
    """Raise or return, by the row's name, what does not survive the way back."""
    if row["name"] == "raises":
        raise TwoArguments("no such series", "here")
    if row["name"] == "unpacks":
        return {"result": Unpacks()}
    if row["name"] == "packs":
        return {"result": lambda: None}
    if row["name"] == "interrupted":
        raise KeyboardInterrupt
    return {"result": "done"}


def refuse_to_begin() -> None:
    raise RuntimeError("no licence")


def slow(row: dict[str, Any]) -> dict[str, Any]:
    let_pass(0.3)
    return {"result": "done"}


def tells_its_job(row: dict[str, Any]) -> dict[str, Any]:
    """Write down what the job knows of itself."""
    job = ermpoll.current_job()
    assert job is not None
    job.progress(0.5)
    known = {
        "rid": job.rid, "token": job.token, "attempt": job.attempt,
        "left": job.time_left_s, "cancelled": job.cancelled, "mine": job.still_mine(),
    }  # fmt: skip
    return {"data": known}


def mark(row: dict[str, Any]) -> dict[str, Any]:
    """Write down in the folder that the row names who works on it, since when.

    Then wait for a file ``go`` there: 30 s at most.
    """
    folder = Path(row["data"]["folder"])
    with (folder / f"begun-{row['RID']}").open("a") as begun:
        begun.write(f"{os.getpid()}\n")
    wait_until((folder / "go").exists, 30)
    return {"result": "done"}


def megabytes(row: dict[str, Any]) -> dict[str, Any]:
    """Return a json document of about so many MB as the row says."""
    return {"data": {"text": "x" * (row["priority"] * 1_000_000)}}

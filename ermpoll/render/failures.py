"""Failed rows as HTML: one in full, those that failed alike, what is beside them."""

# ruff: noqa: D102 - the members of a shape are told where it is made.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Protocol

from ermpoll.records import Doubt, KeptEdit, Row
from ermpoll.render.charts import took
from ermpoll.render.groups import ErrorGroup
from ermpoll.render.page import fill
from ermpoll.render.shapes import JobsLike
from ermpoll.render.tables import rid_of
from ermpoll.render.values import Cell, block, cell, clean, clock, joined

#: Rows of a list beside the table.
_SHOWN = 20


class AttemptLike(Protocol):
    """A time that the work of a row failed."""

    @property
    def at(self) -> datetime: ...
    @property
    def reason(self) -> str: ...
    @property
    def attempt(self) -> int | None: ...
    @property
    def worked_s(self) -> float: ...
    @property
    def traceback(self) -> str: ...


def drawer(
    jobs: JobsLike,
    row: Row,
    *,
    error: str,
    why: str,
    owner: str | None,
    attempts: Sequence[AttemptLike],
    columns: Sequence[str],
    zone: tzinfo = UTC,
) -> str:
    """All that there is to tell of a row that failed.

    Its error in full, why it is not taken, the attempts with their times and the last
    traceback, who had it, and the row.
    """
    now = datetime.now(UTC)
    tracebacks = [one.traceback for one in attempts if one.traceback]
    names = [*columns, *(["RMB"] if "RMB" in row and "RMB" not in columns else [])]
    return fill(
        "drawer.html",
        error=block(error),
        why=why,
        attempts=[
            {
                "at": clock(one.at, now, zone),
                "attempt": "" if one.attempt is None else f"{one.attempt}",
                "took": took(one.worked_s),
                "reason": one.reason,
            }
            for one in attempts
        ],
        traceback=block(tracebacks[-1]) if tracebacks else "",
        who=_who(row, owner),
        cells=[
            (
                clean(name, 40),
                cell(row.get(name), jobs.types.get(name, ""), limit=400, zone=zone),
            )
            for name in names[:60]
        ],
    )


def group(shown: ErrorGroup, zone: tzinfo = UTC) -> str:
    """Rows that failed alike: how many, since when, which."""
    newest, oldest = shown.rows[0], shown.rows[-1]
    return fill(
        "group.html",
        text=shown.text or "no error",
        number=f"{len(shown.rows):,}",
        rids=joined(map(rid_of, shown.rows), 5),
        first=cell(oldest.get("RMT"), "datetime64[us, UTC]", zone=zone),
        last=cell(newest.get("RMT"), "datetime64[us, UTC]", zone=zone),
    )


def groups(shown: Sequence[ErrorGroup], zone: tzinfo = UTC) -> str:
    """The errors of a table with their numbers, the most frequent first."""
    lines = [
        {
            "number": f"{len(one.rows):,}",
            "text": one.text or "no error",
            "first": cell(one.rows[-1].get("RMT"), "datetime64[us, UTC]", zone=zone),
            "last": cell(one.rows[0].get("RMT"), "datetime64[us, UTC]", zone=zone),
        }
        for one in shown[:_SHOWN]
    ]
    return fill("groups.html", lines=lines, left=max(0, len(shown) - _SHOWN))


def beside(
    jobs: JobsLike,
    refused: Mapping[str, str],
    doubts: Sequence[Doubt],
    edits: Sequence[KeptEdit],
    zone: tzinfo = UTC,
) -> str:
    """Rows that did not fail, and want to be known of all the same.

    Those that the catalog refuses to write, those of which nobody can tell whether
    they are claimed, and those that keep a person's edit.
    """
    now = datetime.now(UTC)
    parts: list[tuple[str, str, list[tuple[str, Cell | None, str]]]] = [
        (
            f"Refused by the catalog, left alone for now: {len(refused):,}",
            "warn",
            [(rid, None, reason) for rid, reason in refused.items()],
        ),
        (
            f"Maybe claimed, the answer was lost: {len(doubts):,}",
            "warn",
            [
                (one.rid, clock(one.at, now, zone), "rescue() frees it by hand")
                for one in doubts
            ],
        ),
        (
            f"Done, and keeping a person's edit: {len(edits):,}",
            "mut",
            [
                (
                    one.rid,
                    clock(one.at, now, zone),
                    f"not overwritten: {joined(one.columns)}",
                )
                for one in edits
            ],
        ),
    ]
    return fill(
        "beside.html",
        parts=[
            {
                "caption": caption,
                "tone": tone,
                "lines": [
                    {"rid": rid, "link": jobs.link(rid) or "", "at": at, "why": why}
                    for rid, at, why in lines[:_SHOWN]
                ],
            }
            for caption, tone, lines in parts
            if lines
        ],
    )


def _who(row: Row, owner: str | None) -> str:
    token = str(row.get(owner) or "") if owner else ""
    parts = [
        token and f"claimed last by {token.split('~')[0]}",
        row.get("RMB") and f"changed last by {row['RMB']}",
    ]
    return ", ".join(str(part) for part in parts if part)

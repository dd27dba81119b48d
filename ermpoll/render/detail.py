"""Single rows opened, what work returned, and how two plans differ: HTML parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any, TypeAlias

from ermpoll.records import JSON, Row
from ermpoll.render.page import Caps, Line, fill
from ermpoll.render.shapes import JobsLike, PlanLike
from ermpoll.render.tables import Grid, rid_of, rows_grid
from ermpoll.render.values import Cell, cell, clean, pair

_MISSING = object()
_UNTOUCHED = Cell(text="left as it is", kind="empty")
_Key: TypeAlias = tuple[str, str]


def records(
    jobs: JobsLike,
    rows: Sequence[Row],
    columns: Sequence[str],
    said: Mapping[str, str],
    zone: tzinfo = UTC,
) -> str:
    """Some rows opened: what is said of each, and all that was read of it."""
    found = {rid_of(row): row for row in rows}
    opened = [
        {
            "rid": rid,
            "link": jobs.link(rid) or "",
            "why": why,
            "text": "",
            "cells": [
                (
                    clean(name, 40),
                    cell(
                        found[rid].get(name),
                        jobs.types.get(name, ""),
                        limit=400,
                        zone=zone,
                    ),
                )
                for name in columns[:60]
                if rid in found
            ],
        }
        for rid, why in said.items()
    ]
    return fill("record.html", records=opened)


def delta(before: PlanLike, now: PlanLike) -> str:
    """The diff of two diffs: the cells that this plan would write differently."""
    old, new = _cells(before), _cells(now)
    types = now.jobs.types
    lines = [
        {"rid": rid, "column": clean(name, 40), "pair": _told(old, new, key, types)}
        for key in dict.fromkeys([*new, *old])
        if old.get(key, _MISSING) != new.get(key, _MISSING)
        for rid, name in [key]
    ]
    return fill("delta.html", lines=lines)


def _cells(plan: PlanLike) -> dict[_Key, JSON]:
    return {
        (change.rid, name): after
        for change in plan.changes
        if change.kind == "changed"
        for name, (_, after) in change.diff.items()
    }


def _told(
    old: Mapping[_Key, JSON],
    new: Mapping[_Key, JSON],
    key: _Key,
    types: Mapping[str, str],
) -> tuple[Cell, Cell]:
    dtype = types.get(key[1], "")
    if key in old and key in new:
        return pair(old[key], new[key], dtype, limit=60)
    return (
        cell(old[key], dtype, limit=60) if key in old else _UNTOUCHED,
        cell(new[key], dtype, limit=60) if key in new else _UNTOUCHED,
    )


def results(
    made: Mapping[str, Any], errors: Mapping[str, str], jobs: JobsLike, caps: Caps
) -> str:
    """What a dry run of the work itself returned, a line a row; errors first."""
    columns = sorted({name for changes in made.values() for name in changes or {}})
    rows = [{"RID": rid, **(changes or {})} for rid, changes in made.items()]
    grid = rows_grid("What work returned", jobs, rows, columns, caps=caps)
    failed = [
        Line(rid=rid, link=jobs.link(rid) or "", reason=text, tone="ermpoll-bad")
        for rid, text in list(errors.items())[: caps.rows]
    ]
    if not grid.lines and not failed:
        return ""
    grid = Grid(label=grid.label, heads=grid.heads, lines=[*failed, *grid.lines])
    return fill("rows.html", grid=grid, caption="What work returned")

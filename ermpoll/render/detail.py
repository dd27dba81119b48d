"""Single rows opened, and what work returned: HTML parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any

from ermpoll.records import Change, Row
from ermpoll.render.page import Caps, Line, fill
from ermpoll.render.shapes import JobsLike, PlanLike
from ermpoll.render.tables import Grid, meanwhile_of, reason_of, rid_of, rows_grid
from ermpoll.render.values import block, cell, clean, pair


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


def change(
    plan: PlanLike, shown: Change, columns: Sequence[str], zone: tzinfo = UTC
) -> str:
    """What a plan would do to one row, or did, and all that was read of it."""
    types, before = plan.jobs.types, shown.before
    changed = [
        (clean(name, 40), *pair(old, new, types.get(name, ""), limit=400, zone=zone))
        for name, (old, new) in shown.diff.items()
    ]
    others = [
        (clean(n, 40), cell(before[n], types.get(n, ""), limit=400, zone=zone))
        for n in columns[:60]
        if n in before and n not in shown.after
    ]
    return fill(
        "change.html",
        reason=reason_of(plan, shown) or shown.reason,
        meanwhile=meanwhile_of(plan, shown.rid, zone),
        traceback=block(shown.traceback),
        changed=changed,
        others=others,
    )


def results(
    made: Mapping[str, Any], errors: Mapping[str, str], jobs: JobsLike, caps: Caps
) -> str:
    """What a dry run of the work itself returned, a line a row; errors first."""
    columns = sorted({name for changes in made.values() for name in changes or {}})
    # one whose work failed stands among the failed
    rows = [
        {"RID": r, **(changes or {})} for r, changes in made.items() if r not in errors
    ]
    grid = rows_grid("What work returned", jobs, rows, columns, caps=caps)
    failed = [
        Line(rid=rid, link=jobs.link(rid) or "", reason=text, tone="ermpoll-bad")
        for rid, text in list(errors.items())[: caps.rows]
    ]
    if not grid.lines and not failed:
        return ""
    grid = Grid(label=grid.label, heads=grid.heads, lines=[*failed, *grid.lines])
    return fill("rows.html", grid=grid, caption="What work returned")

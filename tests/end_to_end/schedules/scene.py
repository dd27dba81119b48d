"""A seed's rows in the theatre of the lessons: who wrote what to them, in order.

Shows what was committed and when work was called; requests that failed or wrote
nothing are not in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from ermpoll.render.page import standalone
from ermpoll.teach.scenes import SceneLine, scene
from tests.helpers.stepping import BEGUN
from tests.helpers.virtual_world import Worked, World

#: More lines nobody reads.
LONGEST = 300
_RID = re.compile(r"[0-9A-Z]+(?:-[0-9A-Z]{4})*")


def seed_page(
    seed: int, world: World, broken: Sequence[str], rids: Iterable[str]
) -> str:
    """Return a seed as a page: those of its rows that broken promises name, or all."""
    named = {word for line in broken for word in _RID.findall(line)}
    shown = named & set(rids) or set(rids)
    lanes = list(dict.fromkeys([*(one.name for one in world.agents), "person"]))
    events = [*_writes(world, shown), *_works(world, shown)]
    events.sort(key=lambda event: event["at"])
    rows: dict[str, dict[str, Any]] = {}
    lines = []
    for number, event in enumerate(events[:LONGEST], 1):
        rows[event["rid"]] = event.get("row") or rows.get(event["rid"], {})
        lines.append(_line(number, event, lanes, rows[event["rid"]]))
    left = f", the first {LONGEST} of {len(events)}" if len(events) > LONGEST else ""
    return standalone(
        scene(
            f"Seed {seed}",
            lanes,
            lines,
            summary=f"{len(shown)} rows: {', '.join(sorted(shown))}",
            caption=f"What was written to them, and when work was called{left}",
            end="; ".join(broken[:10]) or "nothing was broken",
        )
    )


def _writes(world: World, shown: set[str]) -> list[dict[str, Any]]:
    return [
        {
            "at": BEGUN.fromtimestamp(at / 1e6, BEGUN.tzinfo),
            "who": who,
            "rid": rid,
            "act": _change(rid, old, new),
            "request": f"{method} {path.partition('/catalog/')[2].partition('/')[2]}",
            "row": new or {"state": "deleted"},
        }
        for _, at, _, method, path, who, _, rows in world.store.read_log(1, 1_000_000)
        for _, rid, old, new in rows
        if rid in shown
    ]


def _works(world: World, shown: set[str]) -> list[dict[str, Any]]:
    return [_work(world, one) for one in world.ledger if one.rid in shown]


def _work(world: World, one: Worked) -> dict[str, Any]:
    passed = timedelta(seconds=one.at - world.time.begun)
    took = f"works on {one.rid} for {one.until - one.at:g} s"
    return {
        "at": BEGUN + passed,
        "who": one.agent,
        "rid": one.rid,
        "act": f"{took}, attempt {one.attempt}",
        "request": one.code,
    }


def _change(rid: str, old: Any, new: Any) -> str:
    states = [row["state"] if row else "none" for row in (old, new)]
    if states[0] == states[1]:
        return f"{rid}: stays {states[0]}"
    return f"{rid}: {states[0]} to {states[1]}"


def _line(
    number: int, event: dict[str, Any], lanes: list[str], row: dict[str, Any]
) -> SceneLine:
    who, passed = event["who"], event["at"] - BEGUN
    return SceneLine(
        number=number,
        lane=lanes.index(who) if who in lanes else -1,
        act=event["act"],
        request=event["request"],
        answer=f"after {passed.total_seconds():.2f} s",
        state=str(row.get("state", "")),
        version=str(row.get("RMT", "")).partition("T")[2].partition("+")[0],
        token=str(row.get("owner") or ""),
    )

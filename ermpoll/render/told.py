"""What became of an act, in a sentence: the rows left out by name, and why.

Sentences are plain text, which the templates escape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo

from ermpoll.audit import AuditedAct
from ermpoll.records import Status
from ermpoll.render.page import fill
from ermpoll.render.shapes import OutcomeLike
from ermpoll.render.values import clock, counted, joined, line


def told(outcome: OutcomeLike, done: str) -> str:
    """Say how many rows were written, and name the others.

    Parameters
    ----------
    done
        What was done to the rows: ``released {rows}``, ``{rows} ready again``.
    """
    parts = [done.format(rows=counted(len(outcome.won), "row"))]
    for rids, word in ((outcome.lost, "left alone"), (outcome.unknown, "not known")):
        if rids:
            parts.append(f"{len(rids):,} {word}: {named(rids, outcome.reasons)}")
    return ", ".join(parts)


def named(rids: Sequence[str], reasons: Mapping[str, str]) -> str:
    """Name rows with their reasons: ``AB, CD: is gone; EF: is not failed``."""
    alike: dict[str, list[str]] = {}
    for rid in rids:
        alike.setdefault(line(reasons.get(rid, ""), 160), []).append(rid)
    return "; ".join(
        f"{joined(group, 20)}: {reason}" if reason else joined(group, 20)
        for reason, group in alike.items()
    )


def left(before: Status, after: Status) -> str:
    """Say what a stop finished, gave back and still holds; "" for a mere poller."""
    if not after.workers:
        return ""
    finished = after.completed + after.failed - before.completed - before.failed
    parts = [f"finished {finished:,}", f"released {after.released - before.released:,}"]
    if after.held:
        rids = joined(one.rid for one in after.running)
        parts.append(f"still holds {after.held:,}" + (f" ({rids})" if rids else ""))
    return "stopping " + ", ".join(parts)


def abandoning(status: Status) -> str:
    """Say what giving up what still runs gives back."""
    rids = joined(one.rid for one in status.running)
    rows = counted(status.held, "row")
    return (
        f"Gives back {rows}{f' ({rids})' if rids else ''}: others may take them at "
        "once. The jobs go on here until they end, and what they return is not "
        "written."
    )


def acts_table(
    done: Sequence[AuditedAct], *, now: datetime, zone: tzinfo = UTC, limit: int = 50
) -> str:
    """What was done, by whom, and what came of it."""
    lines = [
        {
            "at": clock(act.at, now, zone),
            "event": act.event.replace("_", " "),
            "who": act.who,
            "subject": act.subject,
            "came": act.came,
            "rids": joined(act.rids, 5),
        }
        for act in done[:limit]
    ]
    older = f", {len(done) - limit:,} older" if len(done) > limit else ""
    return fill("acts.html", lines=lines, caption=f"Acts (newest first{older})")

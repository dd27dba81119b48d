"""What became of an act, in a sentence: the rows left out by name, and why.

Returns plain text; the templates escape it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ermpoll.render.shapes import OutcomeLike
from ermpoll.render.values import counted, joined, line


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

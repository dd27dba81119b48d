"""A race as static HTML: time downwards, the row between those who write to it.

Knows no catalog; what is shown was played before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ermpoll.render.page import fill
from ermpoll.teach.script import (
    WORKERS,
    End,
    Heard,
    Move,
    Played,
    RowNow,
    order_in_words,
)

_TONES = {
    Heard.WON: "ermpoll-ok",
    Heard.TOO_LATE: "ermpoll-warn",
    Heard.NOTHING: "ermpoll-warn",
    Heard.DOUBT: "ermpoll-bad",
}
_END_TONES = {
    End.OPEN: "ermpoll-mut",
    End.BOTH: "ermpoll-bad",
    End.STALE: "ermpoll-bad",
    End.NOBODY: "ermpoll-warn",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneLine:
    """One step of somebody, and the row after it."""

    number: int
    #: Whose column it stands in; -1: nobody's.
    lane: int
    act: str
    request: str = ""
    answer: str = ""
    word: str = ""
    tone: str = ""
    state: str
    version: str
    token: str


def scene(
    title: str,
    lanes: Sequence[str],
    lines: Sequence[SceneLine],
    *,
    summary: str = "",
    caption: str = "",
    end: End | str = "",
    orders: Sequence[Played] = (),
) -> str:
    """Return steps as HTML, without the style: a column for each who made some.

    Parameters
    ----------
    lanes
        Their names; the row stands after the first.
    end
        How it ended, in a word.
    orders
        All orders that were played, by the first two lanes.
    """
    return fill(
        "race.html",
        title=title,
        summary=summary,
        caption=caption,
        lanes=lanes,
        lines=lines,
        end=end.value if isinstance(end, End) else end,
        end_tone=_tone(end) if isinstance(end, End) else "ermpoll-bad",
        orders=[
            {
                "told": order_in_words(one, lanes),
                "end": one.end.value,
                "tone": _tone(one.end),
            }
            for one in orders
        ],
        orders_title=tally(orders),
        open=True,
    )


def race_scene(
    played: Played, names: Sequence[str], orders: Sequence[Played] = ()
) -> str:
    """Return a race as HTML, without the style."""
    stories = ", ".join(
        f"{name} {story.value}"
        for name, story in zip(names, played.stories, strict=True)
    )
    begun = _line(0, None, played.begun)
    steps = [_line(n, step, step.after) for n, step in enumerate(played.steps, 1)]
    return scene(
        f"{names[0]} and {names[1]} at row {played.rid}",
        names,
        [begun, *steps],
        summary=f"guard: {played.guard.value} · {stories}",
        caption="Requests as they were sent, and the row after each",
        end=played.end,
        orders=orders,
    )


def tally(orders: Sequence[Played]) -> str:
    """``All 6 orders: both believe they hold it (4), exactly one wins (2)``."""
    counts = Counter(one.end.value for one in orders)
    told = ", ".join(f"{word} ({n})" for word, n in counts.most_common())
    return f"All {len(orders)} orders: {told}"


def _tone(end: End) -> str:
    return _END_TONES.get(end, "ermpoll-ok")


def _line(number: int, step: Move | None, row: RowNow) -> SceneLine:
    shown = row.version.partition("T")[2].partition("+")[0] or row.version
    facts = {"state": row.state, "version": shown, "token": row.token}
    if step is None:
        return SceneLine(number=number, lane=-1, act="", **facts)
    return SceneLine(
        number=number,
        lane=WORKERS.index(step.who),
        act=step.act.value,
        request=step.request,
        answer=step.answer,
        word=step.heard.value,
        tone=_TONES.get(step.heard, "ermpoll-mut"),
        **facts,
    )

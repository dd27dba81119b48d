"""Drawings with axes as SVG of our templates: lines over time, bars of durations.

Numbers come in, pixels and words come out; the words stand beside each drawing, since
an untrusted notebook drops it. Knows no record.
"""

# ruff: noqa: D102 - the members of a shape are told where it is made.

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Protocol

from ermpoll.render.values import clean, duration

#: The colour of each phase of a row, by the phase's word.
PHASE_TONES = {"ready": "mut", "claimed": "accent", "done": "ok", "failed": "bad"}
#: Lines that share a colour differ in these.
_DASHES = ("", "5 3", "2 2", "8 3 2 3")
#: The drawing, its margins left out, in pixels.
_WIDTH, _HEIGHT, _LEFT, _TOP = 632, 150, 72, 10
_STEPS = (1, 2, 5, 10)
#: Points of one line at most: more can't be told apart.
_POINTS = 320
#: Ticks of an axis of durations: round ones.
_ROUND_S = (
    0.001, 0.01, 0.1, 1, 10, 60, 600, 3600, 36_000, 86_400, 864_000, 8_640_000,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A line of a chart; None where a value is not known."""

    word: str
    values: Sequence[float | None]
    tone: str
    dash: str = ""


class BarLike(Protocol):
    """So many took from so long to so long."""

    @property
    def from_s(self) -> float: ...
    @property
    def to_s(self) -> float: ...
    @property
    def n(self) -> int: ...


def dashed(series: Iterable[Series]) -> list[Series]:
    """Give lines of one colour different dashes."""
    made: list[Series] = []
    for one in series:
        alike = sum(other.tone == one.tone for other in made)
        dash = _DASHES[alike % len(_DASHES)]
        made.append(
            Series(word=one.word, values=one.values, tone=one.tone, dash=dash),
        )
    return made


def lines(
    label: str, at: Sequence[datetime], series: Sequence[Series], zone: tzinfo = UTC
) -> Mapping[str, Any]:
    """Return lines, ticks and words of a chart over time, in its own pixels."""
    numbers = [n for one in series for n in one.values if n is not None]
    top, step = _scale(max(numbers, default=0))
    whole = (at[-1] - at[0]).total_seconds() or 1.0

    def x(moment: datetime) -> float:
        return _LEFT + _WIDTH * (moment - at[0]).total_seconds() / whole

    def y(number: float) -> float:
        return _TOP + _HEIGHT * (1 - number / top)

    def points(values: Sequence[float | None]) -> str:
        pairs = zip(at, values, strict=True)
        known = _thinned([(x(a), y(n)) for a, n in pairs if n is not None])
        return " ".join(f"{a:.1f},{b:.1f}" for a, b in known)

    ticks = [at[0] + (at[-1] - at[0]) * n / 4 for n in range(5)]
    words = [_words(one) for one in series]
    return {
        "label": label,
        "series": [
            {**told, "tone": one.tone, "dash": one.dash, "points": points(one.values)}
            for one, told in zip(series, words, strict=True)
        ],
        "ys": [{"y": f"{y(n):.1f}", "text": f"{n:,}"} for n in range(0, top + 1, step)],
        "xs": [
            {"x": f"{x(a):.1f}", "text": _tick(a, at[-1] - at[0], zone)} for a in ticks
        ],
        **_frame(", ".join(f"{told['word']} {told['last']}" for told in words)),
    }


def bars(label: str, found: Sequence[BarLike]) -> Mapping[str, Any]:
    """Return bars, ticks and words of a histogram over durations, side by side."""
    top, step = _scale(max((bar.n for bar in found), default=0))
    wide = _WIDTH / max(len(found), 1)
    low, high = (found[0].from_s, found[-1].to_s) if found else (0.0, 0.0)
    low = max(low, found[0].to_s / 2 if found else 0.0)

    def x(seconds: float) -> float:
        return _LEFT + _WIDTH * math.log(seconds / low) / math.log(high / low)

    return {
        "label": label,
        "bars": [
            {
                "x": f"{_LEFT + n * wide + 1:.1f}",
                "width": f"{max(wide - 2, 1):.1f}",
                "y": f"{_TOP + _HEIGHT * (1 - bar.n / top):.1f}",
                "height": f"{_HEIGHT * bar.n / top:.1f}",
                "words": f"{bar.n:,} from {took(bar.from_s)} to {took(bar.to_s)}",
            }
            for n, bar in enumerate(found)
            if bar.n
        ],
        "ys": [
            {"y": f"{_TOP + _HEIGHT * (1 - n / top):.1f}", "text": f"{n:,}"}
            for n in range(0, top + 1, step)
        ],
        "xs": [
            {"x": f"{x(s):.1f}", "text": took(s)} for s in _ticks_s(low, high) if found
        ],
        **_frame(f"{sum(bar.n for bar in found):,} measured"),
    }


def took(seconds: float) -> str:
    """Put seconds into words; of a few, the part of one counts."""
    if seconds < 1:
        return f"{seconds * 1000:.2g} ms" if seconds < 0.0995 else f"{seconds:.2g} s"
    return f"{seconds:.2g} s" if seconds < 10 else duration(seconds)


def _frame(summary: str) -> dict[str, Any]:
    return {
        "left": _LEFT,
        "right": _LEFT + _WIDTH,
        "bottom": _TOP + _HEIGHT,
        "height": _TOP + _HEIGHT + 24,
        "width": _LEFT + _WIDTH + 40,
        "summary": summary,
    }


def _words(one: Series) -> dict[str, str]:
    known = [n for n in one.values if n is not None]
    last = f"{known[-1]:,.4g}" if known else "not known"
    if known and known[-1] == int(known[-1]):
        last = f"{int(known[-1]):,}"
    return {"word": clean(one.word, 60), "last": last}


def _thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    every = -(-len(points) // _POINTS) or 1
    return [*points[:-1:every], *points[-1:]]


def _scale(most: float) -> tuple[int, int]:
    """Return the top of an axis and the step of its ticks, both round numbers."""
    if most < 4:
        return max(math.ceil(most), 1), 1
    power = 10 ** int(math.log10(most / 4))
    step = next(one * power for one in _STEPS if one * power * 5 > most)
    return math.ceil(most / step) * step, step


def _ticks_s(low: float, high: float) -> list[float]:
    within = [s for s in _ROUND_S if low <= s <= high]
    return within if len(within) > 1 else [low, high]


def _tick(at: datetime, whole: timedelta, zone: tzinfo) -> str:
    local = at.astimezone(zone)
    if whole < timedelta(minutes=10):
        return f"{local:%H:%M:%S}"
    return f"{local:%H:%M}" if whole < timedelta(hours=36) else f"{local:%m-%d %H:%M}"

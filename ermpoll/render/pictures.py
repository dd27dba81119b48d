"""An agent's life in numbers: drawings, and the same numbers as tables beside them."""

# ruff: noqa: D102 - the members of a shape are told where it is made.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Protocol

from ermpoll.render import charts
from ermpoll.render.page import fill, standalone
from ermpoll.render.plain import plain
from ermpoll.render.values import clean, duration, line

#: Of what was not measured.
_NONE = "-"


class CountedLike(Protocol):
    """What was counted at one moment."""

    @property
    def at(self) -> datetime: ...
    @property
    def counts(self) -> Mapping[str, int]: ...


class FlowLike(Protocol):
    """How much was done between two moments."""

    @property
    def until(self) -> datetime: ...
    @property
    def completed(self) -> int: ...
    @property
    def failed(self) -> int: ...
    def per_min(self, n: int) -> float: ...


class DurationsLike(Protocol):
    """Seconds that something took."""

    @property
    def n(self) -> int: ...
    @property
    def p50_s(self) -> float | None: ...
    @property
    def p95_s(self) -> float | None: ...
    @property
    def p99_s(self) -> float | None: ...
    @property
    def longest_s(self) -> float | None: ...
    def bars(self) -> Sequence[charts.BarLike]: ...


class MetricsLike(Protocol):
    """An agent's life in numbers."""

    @property
    def name(self) -> str: ...
    @property
    def since(self) -> datetime: ...
    @property
    def until(self) -> datetime: ...
    @property
    def depth(self) -> Sequence[CountedLike]: ...
    @property
    def flow(self) -> Sequence[FlowLike]: ...
    @property
    def phases(self) -> Mapping[str, str]: ...
    @property
    def waiting(self) -> DurationsLike: ...
    @property
    def working(self) -> DurationsLike: ...


def metrics(shown: MetricsLike) -> str:
    """An agent's life: rows per state, jobs a minute, how long rows waited and took."""
    return standalone(metrics_body(shown))


def metrics_body(shown: MetricsLike, zone: tzinfo = UTC) -> str:
    """The same without the style."""
    flow = shown.flow
    ends = [shown.since, *(part.until for part in flow)]
    speeds = [
        charts.Series(
            word=word,
            # what is not whole a minute is a part of one
            values=[
                None,
                *(round(part.per_min(getattr(part, word)), 1) for part in flow),
            ],
            tone=tone,
        )
        for word, tone in (("completed", "ok"), ("failed", "bad"))
    ]
    depth_at = [one.at for one in shown.depth]
    return fill(
        "metrics.html",
        title=line(shown.name, 80),
        summary=_period(shown, zone),
        depth=len(depth_at) > 1
        and charts.lines("rows per state", depth_at, _depth(shown), zone),
        states=[_state(word, shown.depth) for word in _words(shown)],
        flow=flow and charts.lines("jobs a minute", ends, speeds, zone),
        durations=[
            _durations("waiting, from ready to claimed", shown.waiting),
            _durations("working", shown.working),
        ],
    )


def metrics_text(shown: MetricsLike) -> str:
    """The numbers alone, in lines."""
    return plain(metrics_body(shown))


def _words(shown: MetricsLike) -> list[str]:
    met = dict.fromkeys(word for one in shown.depth for word in one.counts)
    return sorted(met, key=lambda word: [*shown.phases, word].index(word))


def _speed(word: str, tone: str, per_min: Sequence[float]) -> charts.Series:
    # nothing is known of the time before the first part
    values = [None, *(round(n, 1) for n in per_min)]
    return charts.Series(word=word, values=values, tone=tone)


def _depth(shown: MetricsLike) -> list[charts.Series]:
    return charts.dashed(
        charts.Series(
            word=word,
            values=[one.counts.get(word, 0) for one in shown.depth],
            tone=charts.PHASE_TONES.get(shown.phases.get(word, ""), "mut"),
        )
        for word in _words(shown)[:30]
    )


def _state(word: str, depth: Sequence[CountedLike]) -> Mapping[str, str]:
    numbers = [one.counts.get(word, 0) for one in depth]
    texts = (numbers[0], numbers[-1], min(numbers), max(numbers))
    names = ("first", "last", "least", "most")
    told = {name: f"{n:,}" for name, n in zip(names, texts, strict=True)}
    return {"word": clean(word, 60), **told}


def _durations(label: str, measured: DurationsLike) -> Mapping[str, Any]:
    numbers = {
        "p50": measured.p50_s,
        "p95": measured.p95_s,
        "p99": measured.p99_s,
        "longest": measured.longest_s,
    }
    return {
        "label": label,
        "n": f"{measured.n:,}",
        "chart": measured.n and charts.bars(label, measured.bars()),
        "numbers": [
            _NONE if seconds is None else charts.took(seconds)
            for seconds in numbers.values()
        ],
    }


def _period(shown: MetricsLike, zone: tzinfo) -> str:
    def moment(at: datetime) -> str:
        return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}"

    took = duration((shown.until - shown.since).total_seconds())
    name = "UTC" if zone is UTC else str(zone)
    return f"{moment(shown.since)} to {moment(shown.until)} ({name}), {took}"

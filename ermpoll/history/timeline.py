"""A queue over time: rows per state, what came, what was finished, how long it took.

Counts are exact, from the catalog as it was at each point. Times are of a sample of
rows, walked back from their ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from ermpoll import render
from ermpoll.catalog.clock import time_text
from ermpoll.catalog.transport import TIME_LIMIT
from ermpoll.errors import NoHistory, Unavailable, UsageError
from ermpoll.history.machine import DeclaredMachine, RowPhase
from ermpoll.history.model_then import TablePast
from ermpoll.history.past import Past, PastPeriod, When
from ermpoll.history.spreads import Spread, read_spreads, spread_of
from ermpoll.queue.reading.queries import Queries
from ermpoll.queue.table import QueueTable
from ermpoll.records import JSON
from ermpoll.shown import Shown

if TYPE_CHECKING:
    from ermpoll.render.frames import DataFrame

#: Moments at which rows are counted, unless told otherwise.
POINTS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline(Shown):
    """A queue over time, from the catalog alone.

    Examples
    --------
    >>> new = box.add(2, table=jobs.table)
    >>> timeline = jobs.timeline("1 min", rate=None)  # at once: it is ours
    >>> timeline.counts["new"][-1], list(timeline.frame.columns)[:1]
    (14, ['at'])
    """

    jobs: QueueTable = field(repr=False, compare=False)
    period: PastPeriod
    #: The moments at which rows were counted, the period's begin and end included.
    at: tuple[datetime, ...] = field(repr=False)
    #: Rows per state word at each of them; None where the catalog can't tell.
    counts: Mapping[str, tuple[int | None, ...]] = field(repr=False)
    #: What each word means to the queue.
    phases: Mapping[str, RowPhase] = field(repr=False)
    #: Rows that came, in the interval that ends at each moment, the first one being 0;
    #: None: there are too many rows for the catalog to tell.
    arrivals: tuple[int | None, ...] = field(repr=False)
    #: Rows that are done, failed, by the interval of their last change.
    completions: tuple[int | None, ...] = field(repr=False)
    failures: tuple[int | None, ...] = field(repr=False)
    #: Seconds from being ready to the claim, and from there to the end.
    waiting: Spread
    working: Spread
    #: What should be known of the reading, in sentences.
    told: tuple[str, ...] = ()
    requests: int = 0

    @property
    def frame(self) -> DataFrame:
        """One line a moment: at, a column per state word, and what the interval had.

        Those are ``arrivals``, ``completions`` and ``failures``.
        """
        from ermpoll.render import frames

        words = {f"rows {word}": found for word, found in self.counts.items()}
        what: dict[str, Sequence[int | None]] = {
            **words,
            "arrivals": self.arrivals,
            "completions": self.completions,
            "failures": self.failures,
        }
        rows = [
            {"at": time_text(at), **{name: found[n] for name, found in what.items()}}
            for n, at in enumerate(self.at)
        ]
        types = {"at": "datetime64[us, UTC]", **dict.fromkeys(what, "Int64")}
        return frames.frame(rows, ("at", *what), types)

    @property
    def svg(self) -> str:
        """The drawing alone: rows per state over time, with axes."""
        return render.timeline_svg(self)

    def _repr_html_(self) -> str:
        return render.timeline(self)


def read_timeline(
    jobs: QueueTable,
    since: When,
    until: When | None = None,
    *,
    points: int = POINTS,
    sample: int = 500,
    sample_requests: int = 25,
    **reading: Any,
) -> Timeline:
    """Tell of a queue over time; see `Queue.timeline`."""
    if points < 2:
        raise UsageError(f"points: expected 2 or more moments, found {points}")
    past = Past(jobs.catalog, **reading)
    period = past.period(since, until)
    table, machine = (
        TablePast(past, jobs.definition),
        DeclaredMachine.of(jobs.definition),
    )
    table.compare(period.since, period.until)
    at = (period.since, *period.cut(points - 1))
    counted = [_count(table, at, number) for number in range(points)]
    words = dict.fromkeys(word for found in counted if found for word in found)
    phases = {word: _phase(machine, word) for word in words}
    came, ended = (
        _in_time(past, "rows per interval", partial(_per_interval, table, period, *of))
        for of in (("RCT", points - 1), ("RMT", points - 1))
    )
    spreads = partial(read_spreads, table, machine, period, sample, sample_requests)
    nothing = spread_of([], 0)
    waiting, working = _in_time(past, "times", spreads) or (nothing, nothing)
    past.tell(
        "completions and failures are counted by each row's last change: a row that "
        "was touched, set back or deleted since is not among them"
    )
    return Timeline(
        jobs=jobs,
        period=period,
        at=at,
        counts={
            word: tuple(None if one is None else one.get(word, 0) for one in counted)
            for word in words
        },
        phases=phases,
        arrivals=_sums(machine, came, points, [*RowPhase]),
        completions=_sums(machine, ended, points, [RowPhase.DONE]),
        failures=_sums(machine, ended, points, [RowPhase.FAILED]),
        waiting=waiting,
        working=working,
        told=past.told,
        requests=past.requests,
    )


T = TypeVar("T")


def _in_time(past: Past, what: str, read: Callable[[], T]) -> T | None:
    """Read what the catalog can answer in its time; None, and told, where it can't."""
    try:
        return read()
    except Unavailable as error:
        if TIME_LIMIT not in error.detail:
            raise
        past.tell(f"{what}: a query took longer than the catalog allows; left open")
        return None


def _count(
    table: TablePast, at: Sequence[datetime], number: int
) -> dict[str, int] | None:
    """Count the rows per state at one moment; None: the catalog can't tell."""
    table.past.step(number, len(at), "rows per state, moment by moment")
    ask = partial(table.ask, at[number], lambda then: Queries(then.definition).counts())
    try:
        rows = _in_time(table.past, "rows per state", ask)
    except NoHistory as error:
        table.past.tell(str(error))
        return None
    if rows is None:
        return None
    counted: dict[str, int] = {}
    for row in rows:
        label = table.today.label(row.get("word"))
        counted[label] = counted.get(label, 0) + _number(row.get("n"))
    return counted


#: (state word, number of the interval) to rows.
_Parts: TypeAlias = dict[tuple[JSON, int], int]


def _per_interval(
    table: TablePast, period: PastPeriod, column: str, intervals: int
) -> _Parts:
    """Count rows by the interval that a time of theirs is in: one request."""
    bounds = period.since, period.until, intervals
    rows = table.ask(
        period.until,
        lambda then: Queries(then.definition).per_interval(column, *bounds),
    )
    parts: _Parts = {}
    for row in rows:
        part = row.get("part")
        if isinstance(part, list) and part:
            parts[row.get("word"), _number(part[0])] = _number(row.get("n"))
    return parts


def _number(value: JSON) -> int:
    return value if isinstance(value, int) else 0


def _sums(
    machine: DeclaredMachine,
    parts: _Parts | None,
    points: int,
    phases: Sequence[RowPhase],
) -> tuple[int | None, ...]:
    """Add up what the intervals had of some phases; before the first there is none."""
    if parts is None:
        return (None,) * points
    sums = [0] * points
    for (word, number), n in parts.items():
        if 1 <= number < points and machine.phase({machine.state: word}) in phases:
            sums[number] += n
    return tuple(sums)


def _phase(machine: DeclaredMachine, label: str) -> RowPhase:
    """Return what a word means that counts are listed by."""
    if label == machine.failed_label:
        return RowPhase.FAILED
    return machine.phase({machine.state: None if label == "NULL" else label})

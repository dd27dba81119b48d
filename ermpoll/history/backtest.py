"""What a transform would have done in a period of the past, beside what was done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ermpoll.catalog.clock import time_text
from ermpoll.errors import UsageError
from ermpoll.history.comparison import Comparison
from ermpoll.history.decide import Decider
from ermpoll.history.model_then import TablePast
from ermpoll.history.past import Past, PastPeriod, When
from ermpoll.history.periods import MOST_ROWS, read_versions
from ermpoll.history.versions import Version, version_of
from ermpoll.queue.reading import reach
from ermpoll.queue.reading.queries import Queries
from ermpoll.queue.table import QueueTable
from ermpoll.records import Transform


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest(Comparison):
    """What a transform would have done in a period of the past, beside what was done.

    Attributes
    ----------
    rows
        One `RowPair` per wait of a row, from when it could be taken until it was
        finished: the first is what was done, the second what would have been.

    Examples
    --------
    >>> with jobs.claim(1) as claim:
    ...     done = jobs.complete(claim)
    >>> tested = jobs.backtest(lambda row: {}, "1 min")
    >>> tested.exact
    True
    """

    period: PastPeriod
    #: Whether every version was read; else a sample.
    exact: bool = True
    requests: int = 0


def run_backtest(
    jobs: QueueTable,
    transform: Transform,
    since: When,
    until: When | None = None,
    *,
    most_rows: int = MOST_ROWS,
    **reading: Any,
) -> Backtest:
    """Hold a transform against a period of the past; see `Queue.backtest`."""
    check_transform(transform)
    past = Past(jobs.catalog, **reading)
    period = past.period(since, until)
    table = TablePast(past, jobs.definition)
    versions = read_versions(table, period, most_rows=most_rows, only=only_of(jobs))
    steps = versions.steps()
    waiting = [
        one
        for one in waiting_at(table, period.until, most_rows)
        if one.at <= period.since
        and one.rid not in versions.by_rid
        and not versions.sampled
    ]
    decider = Decider(jobs.definition, transform, period.since, most_open=2 * most_rows)
    with jobs.catalog.dry_run():
        decider.see(waiting)
        pairs = [*decider.feed(steps), *decider.open_pairs()]
    for sentence in told_of(jobs, decider):
        past.tell(sentence)
    return Backtest(
        jobs=jobs,
        rows=tuple(pairs),
        labels=LABELS,
        title=f"would have been, beside what was done, {_words(period)}",
        period=period,
        exact=versions.exact,
        names=past.names(pair.by for pair in pairs),
        told=past.told,
        requests=past.requests,
    )


#: What was done, and what would have been.
LABELS = ("done", "would")


def check_transform(transform: object) -> None:
    """Check that it can be called; UsageError if it can't."""
    if not callable(transform):
        raise UsageError(
            "transform: expected a function from a row to a dict of changes, "
            f"found {type(transform).__name__}"
        )


def only_of(jobs: QueueTable) -> str:
    """Return the filter of the queue's rows, as far as the past can be asked by it."""
    definition = jobs.definition
    if definition.path:
        return ""
    return reach.lasting(definition.where, set(definition.own_columns))


def waiting_at(table: TablePast, at: datetime, most: int) -> list[Version]:
    """Read the rows that could be taken at a moment, so many at most."""
    rows = table.ask(at, lambda then: Queries(then.definition).candidates(at, most))
    if len(rows) == most:
        table.past.tell(f"of the rows that wait, {most:,} were read")
    return [version_of(row) for row in rows]


def told_of(jobs: QueueTable, decider: Decider) -> Iterator[str]:
    """Say what who reads the decisions about rows should know, in sentences."""
    if decider.unknown:
        yield (
            f"{decider.unknown:,} times a row was finished that was not seen to wait "
            "in this period: not compared"
        )
    if decider.dropped:
        yield f"{decider.dropped:,} rows were too many to be followed"
    if jobs.definition.path:
        yield "rows count as waiting by their state: the path is not asked for"
    elif only := only_of(jobs):
        yield f"rows are those that match {only} at the end"


def _words(period: PastPeriod) -> str:
    since, until = (time_text(at)[:19] for at in (period.since, period.until))
    return f"{since} to {until} UTC"

"""What an agent's life came to in numbers: how much, how fast, for how long.

Kept in memory that does not grow with the life. The agent asks the catalog for none
of it: rows per state are those that somebody counted through the same queue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ermpoll import render
from ermpoll.agent.memory.durations import Durations
from ermpoll.catalog.clock import parse_time, time_text
from ermpoll.queue.definition import QueueDefinition
from ermpoll.queue.reading.course import Counted
from ermpoll.queue.writer import WriteResult
from ermpoll.records import Row
from ermpoll.shown import Shown

if TYPE_CHECKING:
    from ermpoll.render.frames import DataFrame

#: What is counted of an agent over time, by the fields of `Status`.
COUNTED = ("completed", "failed", "retried", "held")
#: Into how many parts a life is cut at most to tell how fast it went, and how many
#: seconds a part has at least.
PARTS, PART_S = 60, 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """How much was done between two moments."""

    since: datetime
    until: datetime
    #: Jobs that were completed, and that failed (for good, or to be tried again).
    completed: int
    failed: int

    def per_min(self, n: int) -> float:
        """Return how many a minute ``n`` are here."""
        return n * 60 / max((self.until - self.since).total_seconds(), 1e-3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics(Shown):
    """An agent's life so far, in numbers. Shown by a notebook it is drawn.

    Not promised: rows per state before somebody counted them (`Queue.counts`, or a
    panel while it is open), and what the process did before the agent was made.

    Examples
    --------
    ``agent.metrics`` at the end of a cell shows the drawings, and by code::

        waited = agent.metrics.waiting
        print(waited.n, waited.p50_s, waited.p99_s)
    """

    #: The agent's name.
    name: str
    since: datetime
    until: datetime
    #: ``completed``, ``failed``, ``retried`` (since the beginning) and ``held``.
    jobs: tuple[Counted, ...] = field(repr=False)
    #: Rows per state word of the table, as they were counted.
    depth: tuple[Counted, ...] = field(repr=False)
    #: What each word means to the queue: ready, claimed, done or failed.
    phases: Mapping[str, str] = field(repr=False)
    #: Seconds from a row's last change to its claim: mostly, how long it was ready.
    waiting: Durations
    #: Seconds that the work of a row took.
    working: Durations

    @property
    def flow(self) -> tuple[Flow, ...]:
        """How much was done in each part of the life, at most 60 of them."""
        return flow_of(self.jobs, self.since, self.until)

    @property
    def frame(self) -> DataFrame:
        """One line a moment at which something was counted.

        Columns: at (UTC), completed, failed, retried, held, and ``rows new`` and the
        like for each state word; NULL where that was not counted then.
        """
        from ermpoll.render import frames

        words = dict.fromkeys(word for one in self.depth for word in one.counts)
        rows: list[Row] = [
            {"at": time_text(one.at), **one.counts}
            for one in sorted(
                [*self.jobs, *map(_of_table, self.depth)], key=lambda one: one.at
            )
        ]
        names = (*COUNTED, *(f"rows {word}" for word in words))
        types = {"at": "datetime64[us, UTC]", **dict.fromkeys(names, "Int64")}
        return frames.frame(rows, ("at", *names), types)

    def __str__(self) -> str:
        return render.metrics_text(self)

    def _repr_html_(self) -> str:
        return render.metrics(self)


def flow_of(
    moments: Sequence[Counted], since: datetime, until: datetime
) -> tuple[Flow, ...]:
    """Cut a life into parts and tell what was done in each. Pure."""
    whole_s = (until - since).total_seconds()
    if whole_s <= 0:
        return ()
    parts = max(1, min(PARTS, int(whole_s / PART_S)))
    ends = [since + timedelta(seconds=whole_s * (n + 1) / parts) for n in range(parts)]
    made: list[Flow] = []
    before: Mapping[str, int] = dict.fromkeys(COUNTED, 0)
    left = list(moments)
    for at, end in zip([since, *ends], ends, strict=False):
        within = [one for one in left if one.at <= end]
        left = left[len(within) :]
        # moments are kept far more closely than parts: without one nothing was done
        now = within[-1].counts if within else before
        completed = now["completed"] - before["completed"]
        failed = _failed(now) - _failed(before)
        made.append(Flow(since=at, until=end, completed=completed, failed=failed))
        before = now
    return tuple(made)


def waits_s_of(done: WriteResult, now: datetime) -> list[float]:
    """Return for how long each of the rows was ready that a write has claimed. Pure."""
    ready = [step.change.rmt for step in done.written("claim").values()]
    # rows that were added together have one time
    at = {rmt: parse_time(rmt) for rmt in set(ready)}
    return [(now - t).total_seconds() for rmt in ready if (t := at[rmt]) is not None]


def phases_of(definition: QueueDefinition) -> dict[str, str]:
    """Name what each state word of a queue means to it, in the order of its life."""
    return {
        **{definition.label(word): "ready" for word in definition.ready},
        definition.claimed: "claimed",
        definition.done: "done",
        definition.failed_label: "failed",
    }


def _failed(counts: Mapping[str, int]) -> int:
    return counts["failed"] + counts["retried"]


def _of_table(one: Counted) -> Counted:
    counts = {f"rows {word}": n for word, n in one.counts.items()}
    return Counted(at=one.at, counts=counts)

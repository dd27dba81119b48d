"""How far a queue's work is: done of all, how fast, how much time is left. Pure.

In the words of tqdm. The time left comes with its spread: work that ends in bursts, or
of which little was seen, is told less closely.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ermpoll.records import Status
from ermpoll.render.page import fill
from ermpoll.render.values import counted, duration

#: Seconds of each of the spans that jobs were counted in.
SPAN_S = 5.0
#: Standard errors to either side: 19 of 20 times the true speed is within.
_SPREAD = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far it is, and when it may be over."""

    #: Jobs that ended, and rows that are ready or claimed.
    done: int
    left: int
    #: Jobs a second over the last minute.
    per_s: float = 0.0
    #: Seconds until nothing is left at this speed; None where there is no telling.
    left_s: float | None = None
    #: The least and the most that it may be; None: no end in sight.
    least_s: float | None = None
    most_s: float | None = None

    @property
    def part(self) -> float:
        """The part that is done, from 0 to 1; 1 where there is nothing to do."""
        whole = self.done + self.left
        return self.done / whole if whole else 1.0

    def __str__(self) -> str:
        whole = self.done + self.left
        # all but done is not done
        percent = math.floor(self.part * 100)
        return f"{percent}% {self.done:,}/{whole:,}{self._pace()}"

    def _pace(self) -> str:
        if not self.left:
            return ""
        if self.left_s is None:
            return ", no job ended in the last minute"
        return f", {_speed(self.per_s)}, {_clock(self.left_s)} left{self._range()}"

    def _range(self) -> str:
        if self.least_s is None:
            return ""
        most = f"to {_clock(self.most_s)}" if self.most_s is not None else "or more"
        return f" ({_clock(self.least_s)} {most})"


def progress_of(done: int, left: int, spans: Sequence[int]) -> Progress:
    """Tell how far it is from the jobs that ended in each of the last spans of 5 s.

    Examples
    --------
    >>> print(progress_of(132, 68, (10,) * 12))
    66% 132/200, 2.0 jobs/s, 00:34 left (00:34 to 00:34)
    """
    # what is before the first job is not yet its speed
    begun = next((at for at, n in enumerate(spans) if n), len(spans))
    counted = spans[begun:]
    if not counted:
        return Progress(done=done, left=left)
    per_s = statistics.fmean(counted) / SPAN_S
    error = _error(counted) / SPAN_S * _SPREAD
    slow, fast = per_s - error, per_s + error
    return Progress(
        done=done,
        left=left,
        per_s=per_s,
        left_s=left / per_s,
        least_s=left / fast,
        most_s=left / slow if slow > 0 else None,
    )


def progress(told: Progress) -> str:
    """The same as HTML: a bar with its words."""
    width = f"{100 * told.part:.2f}"
    return fill("progress.html", width=width, words=str(told))


def _error(counted: Sequence[int]) -> float:
    """Return the standard error of the mean; of one span, as if jobs came by chance."""
    if len(counted) < 2:
        return math.sqrt(sum(counted))
    return statistics.stdev(counted) / math.sqrt(len(counted))


def _speed(per_s: float) -> str:
    if per_s >= 1:
        return f"{per_s:,.1f} jobs/s" if per_s < 100 else f"{per_s:,.0f} jobs/s"
    return f"{1 / per_s:,.1f} s/job"


def _clock(seconds: float) -> str:
    """Return seconds as ``00:34``, ``1:02:03``, and days in words."""
    whole = round(seconds)
    if whole >= 86_400:
        return duration(min(whole, 1e9))
    hours, rest = divmod(whole, 3600)
    clock = f"{rest // 60:02d}:{rest % 60:02d}"
    return f"{hours}:{clock}" if hours else clock


def totals(statuses: Sequence[Status]) -> str:
    """What several agents come to together, in a line."""
    states = Counter(status.state for status in statuses)
    failed = sum(status.failed for status in statuses)
    # the minute before, or this one where it is ahead already
    pace = sum(max(status.jobs_per_min[-2:], default=0) for status in statuses)
    workers = sum(status.workers for status in statuses)
    busy = sum(len(status.running) for status in statuses)
    parts = [
        counted(len(statuses), "agent"),
        ", ".join(f"{n:,} {state}" for state, n in states.items()),
        f"{busy:,} of {counted(workers, 'worker')} at work",
        f"{sum(status.held for status in statuses):,} held",
        f"{sum(status.completed for status in statuses):,} completed",
        *([f"{failed:,} failed"] if failed else []),
        f"{pace:,} jobs/min",
    ]
    return " · ".join(parts)

"""How long things took: a histogram whose memory does not grow.

Pure. A bucket is wider than the one before by a fixed factor, so that a percentile is
right to within a tenth, from a millisecond to months.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

#: The end of the first bucket, in seconds; the last one has no end.
FIRST_S = 0.001
#: Buckets that a time of twice the length is further on.
PER_DOUBLING = 4
BUCKETS = 140


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """So many took from so long to so long."""

    from_s: float
    to_s: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """Seconds that something took, of all that was measured.

    Percentiles are right to within a tenth of their value; ``n``, the mean, the
    shortest and the longest are exact.

    Examples
    --------
    >>> measured = DurationCounts()
    >>> for seconds in (1, 1, 1, 8):
    ...     measured.add(seconds)
    >>> measured.of_now().longest_s
    8.0
    """

    n: int = 0
    total_s: float = 0.0
    #: None where nothing was measured.
    shortest_s: float | None = None
    longest_s: float | None = None
    #: How many are in each bucket that has some, by its number.
    buckets: Mapping[int, int] = field(default_factory=dict, repr=False)

    @property
    def mean_s(self) -> float | None:
        """The mean, or None where nothing was measured."""
        return self.total_s / self.n if self.n else None

    @property
    def p50_s(self) -> float | None:
        """Half took no longer, or None."""
        return self.percentile_s(50)

    @property
    def p95_s(self) -> float | None:
        """95 of 100 took no longer, or None."""
        return self.percentile_s(95)

    @property
    def p99_s(self) -> float | None:
        """99 of 100 took no longer, or None."""
        return self.percentile_s(99)

    def percentile_s(self, percent: float) -> float | None:
        """Return the seconds that so many of a hundred did not exceed, or None."""
        if self.shortest_s is None or self.longest_s is None:
            return None
        wanted, seen = max(1, math.ceil(self.n * percent / 100)), 0
        for number in sorted(self.buckets):
            seen += self.buckets[number]
            if seen >= wanted:
                low, high = _bounds_s(number)
                middle = math.sqrt(max(low, FIRST_S / 2) * high)
                return min(max(middle, self.shortest_s), self.longest_s)
        return self.longest_s

    def bars(self, most: int = 24) -> tuple[Bar, ...]:
        """Return the histogram: bars beside each other, ``most`` of them at most."""
        if not self.buckets:
            return ()
        first, last = min(self.buckets), max(self.buckets)
        width = 1
        while (last - first) // width + 1 > most:
            width *= 2
        # a bar begins at a multiple of its width, so that it stays where it is
        starts = range(first - first % width, last + 1, width)
        return tuple(
            Bar(
                from_s=_bounds_s(start)[0],
                to_s=_bounds_s(start + width - 1)[1],
                n=sum(self.buckets.get(start + k, 0) for k in range(width)),
            )
            for start in starts
        )


class DurationCounts:
    """Takes in durations, one by one. Not safe from several threads by itself."""

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self._n, self._total_s = 0, 0.0
        self._shortest_s, self._longest_s = math.inf, 0.0

    def add(self, seconds: float) -> None:
        """Take in one; less than none counts as none."""
        seconds = max(seconds, 0.0)
        number = _bucket(seconds)
        self._buckets[number] = self._buckets.get(number, 0) + 1
        self._n += 1
        self._total_s += seconds
        self._shortest_s = min(self._shortest_s, seconds)
        self._longest_s = max(self._longest_s, float(seconds))

    def of_now(self) -> Durations:
        """Return what was measured so far, frozen."""
        return Durations(
            n=self._n,
            total_s=self._total_s,
            shortest_s=self._shortest_s if self._n else None,
            longest_s=self._longest_s if self._n else None,
            buckets=dict(self._buckets),
        )


def _bucket(seconds: float) -> int:
    if seconds <= FIRST_S:
        return 0
    number = math.ceil(math.log2(seconds / FIRST_S) * PER_DOUBLING)
    return min(number, BUCKETS - 1)


def _bounds_s(number: int) -> tuple[float, float]:
    high = FIRST_S * 2 ** (number / PER_DOUBLING)
    return (FIRST_S * 2 ** ((number - 1) / PER_DOUBLING) if number else 0.0), high

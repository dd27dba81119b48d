"""Counts over time, in bounded memory: coarser the longer it goes on.

Pure but for its lock. Knows no queue and no catalog.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

#: Moments that are kept at most ...
MOST = 400
#: ... and seconds between two of them, at first.
EVERY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What was counted at one moment."""

    at: datetime
    #: The number of each thing, by its word.
    counts: Mapping[str, int] = field(default_factory=dict)


class Course:
    """How some counts went, from the first one to the last. Safe from any thread.

    The first and the newest moment are always there. Where there would be more than
    ``most``, every second one is dropped and from then on half as many are kept: an
    hour has a moment every ten seconds or so, a month one every few hours.
    """

    def __init__(self, most: int = MOST, every_s: float = EVERY_S) -> None:
        self._most = most
        self._every_s = every_s
        self._moments: list[Counted] = []
        self._lock = threading.Lock()

    def add(self, at: datetime, counts: Mapping[str, int]) -> None:
        """Take in what was counted at a moment, later than those before."""
        made = Counted(at=at, counts=dict(counts))
        with self._lock:
            kept = self._moments
            if len(kept) > 1 and self._is_near(kept[-2].at, at):
                kept.pop()
            kept.append(made)
            if len(kept) > self._most:
                self._every_s *= 2
                self._moments = [*kept[:-1:2], made]

    @property
    def moments(self) -> tuple[Counted, ...]:
        """What is kept, the oldest first."""
        with self._lock:
            return tuple(self._moments)

    def _is_near(self, before: datetime, at: datetime) -> bool:
        return (at - before).total_seconds() < self._every_s

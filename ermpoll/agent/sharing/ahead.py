"""Candidates that are read while a write goes on."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

from ermpoll.records import Page

#: What was read ahead is too old after so many seconds, and waited for so long.
AHEAD_S, AHEAD_WAIT_S = 2.5, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """Candidates that are read while a write goes on."""

    page: Future[Page | None]
    #: When that was begun, on the clock.
    at: float
    #: Rows that were asked for, those that are being written included.
    wanted: int
    without: frozenset[str]
    narrow: str
    #: The own seat on this machine when it was begun, and how many were taken.
    seats: tuple[int, int]

    def result(self, now: float) -> Page | None:
        """Return what was read, unless that is too old or takes too long."""
        if now > self.at + AHEAD_S:
            return None
        try:
            return self.page.result(AHEAD_WAIT_S)
        except Exception:  # noqa: BLE001 - whoever reads next meets it as well
            return None

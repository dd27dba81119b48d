"""The catalog's clock, as far as its answers tell it, and its ways to write a time.

Knows no HTTP: the door to the catalog reports what it heard.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

#: A ``Date`` header is whole seconds of another host's clock.
DATE_MARGIN = timedelta(seconds=2)


class ServerClock:
    """Estimate the catalog's time between its answers.

    The estimate never runs ahead of the catalog by more than the clocks drift
    apart since the last answer: it is the newest time heard plus what passed
    here, by the larger of the monotonic and the wall clock (a laptop that slept
    stops the first, a clock that was set back falsifies the second).
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._lock = threading.Lock()
        self._heard: datetime | None = None
        self._at = (monotonic(), wall())
        self._exact = False

    def heard_write(self, at: datetime) -> None:
        """Take the time of an own write: the database's own clock."""
        self._take(at, exact=True)

    def heard_read(self, at: datetime) -> None:
        """Take the time in the ETag of a read: the catalog is at least that far."""
        # it may be days old, and is then worth less than the clock here
        if at > self.now():
            self._take(at, exact=self._exact)

    def heard_date(self, at: datetime) -> None:
        """Take a ``Date`` header; passed over once a write told the real time."""
        if not self._exact:
            self._take(at - DATE_MARGIN, exact=False)

    def now(self) -> datetime:
        """Return the catalog's time, UTC."""
        with self._lock:
            return self._estimate()

    def _take(self, at: datetime, *, exact: bool) -> None:
        with self._lock:
            known = self._heard is not None and (self._exact or not exact)
            if not known or at > self._estimate():
                self._heard = at
                self._at = (self._monotonic(), self._wall())
            self._exact = self._exact or exact

    def _estimate(self) -> datetime:
        if self._heard is None:
            return datetime.fromtimestamp(self._wall(), UTC) - DATE_MARGIN
        monotonic, wall = self._at
        passed = max(self._monotonic() - monotonic, self._wall() - wall, 0.0)
        return self._heard + timedelta(seconds=passed)


def date_time(header: str | None) -> datetime | None:
    """Return the time in a ``Date`` header, UTC; None for none or a broken one."""
    try:
        at = parsedate_to_datetime(header or "")
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def parse_time(text: object) -> datetime | None:
    """Parse a timestamp with a zone as the catalog writes it; None if it is none."""
    if not isinstance(text, str):
        return None
    text = re.sub(r"([+-]\d\d)(\d\d)?$", lambda m: f"{m[1]}:{m[2] or '00'}", text)
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else None
    except (ValueError, OverflowError):  # the first or last hours of the calendar
        return None


def time_text(at: datetime) -> str:
    """Write a time as a value for the catalog (ISO, UTC, microseconds)."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")

"""The catalog's clock, as far as its answers tell it, and its ways to write a time.

Knows no HTTP: the door to the catalog reports what it heard.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

#: A ``Date`` header is whole seconds of another host's clock.
DATE_MARGIN = timedelta(seconds=2)
#: No server's time is before or behind these: further out Python can't count.
_EARLIEST, _LATEST = datetime(1980, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


def rising_s() -> float:
    """Return rising seconds that go on while this machine is suspended, if it can."""
    # macOS has no CLOCK_BOOTTIME, but a CLOCK_MONOTONIC that does the same
    for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"):
        if hasattr(time, name):
            return time.clock_gettime(getattr(time, name))
    return time.monotonic()


@dataclass(frozen=True, slots=True)
class _Told:
    """A time of the catalog, and when it was asked for and heard, by our clock."""

    at: datetime
    asked_at: float
    heard_at: float

    def now(self, rising: float) -> datetime:
        return self.at + timedelta(seconds=max(rising - self.heard_at, 0.0))


class ServerClock:
    """Estimate the catalog's time between its answers.

    An own write tells it: the database's own clock, which every row's version is of.
    What has passed since is counted by a clock that nobody sets; so the estimate is
    never ahead of the catalog by more than both drift apart. A newer own write
    corrects it forwards and backwards.

    Until there is one, ``Date`` headers, ETags of reads and this machine's time
    serve: well enough to show a time and to wake by, and for nothing else.

    Parameters
    ----------
    rising
        Rising seconds that count through a suspend and can't be set.
    wall
        Seconds since 1970, for as long as no answer has told a time.
    """

    def __init__(
        self,
        rising: Callable[[], float] = rising_s,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._rising = rising
        self._wall = wall
        self._lock = threading.Lock()
        self._own: _Told | None = None
        self._guess: _Told | None = None

    def reading(self) -> float:
        """Return our clock: when something is asked for that tells a time."""
        return self._rising()

    def heard_write(self, at: datetime, asked_at: float | None = None) -> None:
        """Take the time of an own write: the database's own clock.

        Parameters
        ----------
        asked_at
            When the write was sent, by `reading`; None: just now. Of two answers
            that of the later write counts, however late the other one comes.
        """
        told = self._told(at, asked_at)
        with self._lock:
            known = self._own
            if told and (known is None or told.asked_at >= known.asked_at):
                self._own = told

    def heard_read(self, at: datetime) -> None:
        """Take the time in the ETag of a read: the catalog is at least that far."""
        # it may be days old, and is then worth less than the clock here
        if at > self.now():
            self._take_guess(at)

    def heard_date(self, at: datetime) -> None:
        """Take a ``Date`` header, which says nothing once a write told the time."""
        self._take_guess(at, DATE_MARGIN)

    def now(self) -> datetime:
        """Return the catalog's time, UTC: to show, and to wake by."""
        with self._lock:
            told = self._own or self._guess
        if told is None:
            return datetime.fromtimestamp(self._wall(), UTC) - DATE_MARGIN
        return told.now(self._rising())

    def own_time(self, max_age_s: float) -> datetime | None:
        """Return the catalog's time as an own write told it; None: it is too old.

        Parameters
        ----------
        max_age_s
            Seconds since that write was sent, at most.
        """
        with self._lock:
            own = self._own
        rising = self._rising()
        if own is None or rising - own.asked_at > max_age_s:
            return None
        return own.now(rising)

    def _take_guess(self, at: datetime, margin: timedelta = timedelta()) -> None:
        if told := self._told(at):
            with self._lock:
                self._guess = _Told(told.at - margin, told.asked_at, told.heard_at)

    def _told(self, at: datetime, asked_at: float | None = None) -> _Told | None:
        heard_at = self._rising()
        asked_at = heard_at if asked_at is None else asked_at
        return _Told(at, asked_at, heard_at) if _EARLIEST < at < _LATEST else None


def date_time(header: str | None) -> datetime | None:
    """Return the time in a ``Date`` header, UTC; None for none or a broken one."""
    try:
        at = parsedate_to_datetime(header or "")
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


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

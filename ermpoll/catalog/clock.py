"""The catalog's clock, as far as its answers tell it, and its ways to write a time.

Knows no HTTP: the door to the catalog reports what it heard.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

#: A ``Date`` header is whole seconds of another host's clock.
DATE_MARGIN = timedelta(seconds=2)
#: No server's time is before or behind these: further out Python can't count.
_EARLIEST, _LATEST = datetime(1980, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
#: How far a write's time may be from what one before it lets expect.
_SAME = timedelta(seconds=2)
#: Of so many own writes the one that was answered soonest tells the finest time ...
_FINE = 30
#: ... which is that long before its answer, in seconds: measured on a real service.
_ANSWER_S = 0.006


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

    def agrees(self, before: _Told) -> bool:
        """Whether it tells the time that an earlier one lets expect."""
        took = timedelta(seconds=self.heard_at - self.asked_at)
        return abs(self.at - before.now(self.heard_at)) <= _SAME + took


class ServerClock:
    """Estimate the catalog's time between its answers.

    An own write tells it: the database's own clock, which every row's version is of.
    What has passed since is counted by a clock that nobody sets; so the estimate is
    never ahead of the catalog by more than both drift apart. A newer own write
    corrects it forwards and backwards. One that leaps is believed by `own_time` when
    the next one says the same: what made it up may be no database.

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
        #: The newest one that another confirms, or the first.
        self._sure: _Told | None = None
        #: The newest own writes, for the finest time and to know them again.
        self._recent: deque[_Told] = deque(maxlen=_FINE)
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
                before = [one for one in (self._sure, known) if one]
                if not before or any(map(told.agrees, before)):
                    self._sure = told
                else:
                    self._recent.clear()
                self._recent.append(told)
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

    def reached(self) -> datetime:
        """Return a time that the catalog has reached: what waits for one may begin.

        Where an own write leaps, and no other says the same, it is the earlier of
        both times: a row that comes late costs less than one before its time.
        """
        with self._lock:
            told = [one for one in (self._own, self._sure) if one]
        rising = self._rising()
        return min((one.now(rising) for one in told), default=self.now())

    @property
    def is_told(self) -> bool:
        """Whether an own write told the time."""
        with self._lock:
            return self._own is not None

    def own_time(self, max_age_s: float) -> datetime | None:
        """Return the catalog's time as an own write told it; None: can't be told.

        It is too old then, or it leapt, and no other write says the same.

        Parameters
        ----------
        max_age_s
            Seconds since that write was sent, at most.
        """
        with self._lock:
            own = self._own if self._own is self._sure else None
        rising = self._rising()
        if own is None or rising - own.asked_at > max_age_s:
            return None
        return own.now(rising)

    def is_others(self, at: datetime) -> bool:
        """Whether the catalog was changed at a time by somebody else, and lately."""
        with self._lock:
            own = [one.at for one in self._recent]
        return bool(own) and at > own[0] and at not in own

    def fine_s(self) -> float | None:
        """Return the catalog's time to some milliseconds, in seconds since 1970.

        For taking turns with other machines; None before the first own write.
        """
        with self._lock:
            ahead = [one.heard_at - one.at.timestamp() for one in self._recent]
        return self._rising() - min(ahead) + _ANSWER_S if ahead else None

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

"""The board: what a poller says of itself, and to whom it says it.

Safe from any thread. Knows neither when to look nor how: it keeps the state, the
log and the counts, makes the one frozen Status of them, and calls listeners after
the news is stored.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from ermpoll.records import (
    Event,
    EventKind,
    NoticesStatus,
    RunState,
    Status,
    Wake,
    WakeReason,
)
from ermpoll.redact import traceback_places

logger = logging.getLogger(__name__)

#: How many lines the log keeps.
LOG_LINES = 200
#: How many minutes the counts by minute go back.
MINUTES = 60

Listener: TypeAlias = Callable[[Event], None]
Decorate: TypeAlias = Callable[[Status], Status]


class PerMinute:
    """Counts of the last minutes. Not safe from several threads by itself."""

    def __init__(self, minutes: int = MINUTES) -> None:
        self._counts: deque[int] = deque([0], maxlen=minutes)
        self._minute: int | None = None

    def add(self, now: float, n: int = 1) -> None:
        """Count ``n`` at ``now``, seconds on any rising clock."""
        self._move(now)
        self._counts[-1] += n

    def counts(self, now: float) -> tuple[int, ...]:
        """Give the counts, oldest first, the running minute last."""
        self._move(now)
        return tuple(self._counts)

    def _move(self, now: float) -> None:
        minute = int(now // 60)
        gone = 0 if self._minute is None else max(0, minute - self._minute)
        self._counts.extend([0] * min(gone, MINUTES))
        self._minute = minute


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Seat:
    """One listener; compared by identity, so that leaving leaves once."""

    listener: Listener


class StatusBoard:
    """The status of one poller, and its listeners.

    Parameters
    ----------
    name
        What the status is called.
    notices
        Asked for the state of the notices whenever a status is made.
    decorate
        Fills in what only the owner knows (an agent's half). Called without any
        lock of the board; it must not wait.
    """

    def __init__(
        self,
        name: str,
        *,
        notices: Callable[[], NoticesStatus],
        decorate: Decorate | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self._notices = notices
        self._decorate = decorate
        self._base = Status(name=name)
        self._log: deque[Wake] = deque(maxlen=LOG_LINES)
        self._dropped = 0
        self._looks: Counter[str] = Counter()
        self._per_minute = PerMinute()
        self._seats: tuple[_Seat, ...] = ()
        # When the login ends, on the caller's clock, or None.
        self._login_ends: float | None = None

    def status(self, next_look_s: float | None, now: float) -> Status:
        """Make the status of this moment.

        Parameters
        ----------
        next_look_s
            Seconds until the next look at the latest, or None.
        now
            The clock that notices are counted by, in seconds.
        """
        wall = datetime.now(UTC)
        with self._lock:
            ends = self._login_ends
            status = replace(
                self._base,
                login_left_s=None if ends is None else max(0.0, ends - now),
                next_look_at=_after(wall, next_look_s),
                log=tuple(self._log),
                dropped=self._dropped,
                looks=dict(self._looks),
                notices_per_min=self._per_minute.counts(now),
            )
        status = replace(status, notices=self._notices())
        return status if self._decorate is None else self._decorate(status)

    @property
    def state(self) -> RunState:
        """The present state."""
        return self._base.state

    def enter(self, state: RunState, reason: str = "") -> bool:
        """Change the state; False when it was this state for this reason already."""
        with self._lock:
            if (self._base.state, self._base.reason) == (state, reason):
                return False
            since = self._base.since
            if self._base.state != state:
                since = datetime.now(UTC)
            self._base = replace(self._base, state=state, reason=reason, since=since)
        return True

    def log_in(self, login: str | None, left_s: float | None, now: float) -> None:
        """Store who is logged in, and for how many seconds more."""
        with self._lock:
            self._base = replace(self._base, login=login)
            self._login_ends = None if left_s is None else now + left_s

    def noticed(self, now: float) -> None:
        """Count a notice."""
        with self._lock:
            self._per_minute.add(now)

    def looked(
        self, outcome: str, reason: WakeReason, detail: str, ours: bool = False
    ) -> None:
        """Count a look and write it into the log."""
        with self._lock:
            self._looks[outcome] += 1
        self.write(Wake(at=datetime.now(UTC), reason=reason, detail=detail, ours=ours))

    def write(self, line: Wake) -> None:
        """Put a line on top of the log; the oldest goes when it is full."""
        with self._lock:
            self._dropped += len(self._log) == LOG_LINES
            self._log.appendleft(line)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with each event; returns what ends that."""
        seat = _Seat(listener=listener)
        with self._lock:
            self._seats = (*self._seats, seat)

        def leave() -> None:
            with self._lock:
                self._seats = tuple(s for s in self._seats if s is not seat)

        return leave

    def emit(
        self,
        status: Callable[[], Status],
        kind: EventKind,
        reason: str = "",
        rid: str | None = None,
    ) -> None:
        """Tell the listeners. One that raises is logged and told again next time."""
        seats = self._seats
        if not seats:
            return
        event = Event(
            kind=kind, at=datetime.now(UTC), rid=rid, reason=reason, status=status()
        )
        for seat in seats:
            try:
                seat.listener(event)
            except Exception as error:  # noqa: BLE001 - the edge: it can't hurt us
                logger.error(
                    "a listener of %s: %s", self._base.name, traceback_places(error)
                )


def _after(wall: datetime, seconds: float | None) -> datetime | None:
    if seconds is None:
        return None
    # A century is as good as never, and fits into a datetime.
    return wall + timedelta(seconds=min(max(seconds, 0.0), 3e9))

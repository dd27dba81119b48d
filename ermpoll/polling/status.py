"""The board: what a poller says of itself, and to whom it says it.

Safe from any thread. Knows neither when to look nor how: it keeps the state, the
login, the log and the counts, makes the one frozen Status of them, and calls
listeners after the news is stored.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from ermpoll.backoff import REAL, Clocks
from ermpoll.records import (
    Event,
    EventKind,
    NoticesStatus,
    RunState,
    Status,
    Wake,
    WakeReason,
)
from ermpoll.redact import redacted, traceback_places

logger = logging.getLogger(__name__)

#: What an event tells: its kind, its words, and the RID of the row, if it is of one.
News: TypeAlias = "tuple[EventKind, str, str | None]"

_LOGGED_OUT = "login expired: nobody is logged in, rows may be hidden; log in again"
#: How many lines the log keeps.
LOG_LINES = 200
#: How many minutes the counts by minute go back.
MINUTES = 60

Listener: TypeAlias = Callable[[Event], None]
Decorate: TypeAlias = Callable[[Status], Status]


class PerMinute:
    """Counts of the last minutes, or other spans. Not safe from several threads."""

    def __init__(self, spans: int = MINUTES, span_s: float = 60.0) -> None:
        self._counts: deque[int] = deque([0], maxlen=spans)
        self._span_s = span_s
        self._span: int | None = None

    def add(self, now: float, n: int = 1) -> None:
        """Count ``n`` at ``now``, seconds on any rising clock."""
        self._move(now)
        self._counts[-1] += n

    def counts(self, now: float) -> tuple[int, ...]:
        """Give the counts, oldest first, the running span last."""
        self._move(now)
        return tuple(self._counts)

    def _move(self, now: float) -> None:
        span = int(now // self._span_s)
        gone = 0 if self._span is None else max(0, span - self._span)
        self._counts.extend([0] * min(gone, MINUTES))
        self._span = span


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subscription:
    """One listener; compared by identity, so that leaving leaves once."""

    listener: Listener


class StatusBoard:
    """The status of one poller, its news, and its listeners.

    Parameters
    ----------
    name
        What the status is called.
    notices
        Asked for the state of the notices whenever a status is made.
    next_look_s
        Asked for the seconds until the next look at the latest.
    decorate
        Fills in what only the owner knows (an agent's half). Called without any
        lock of the board; it must not wait.
    """

    def __init__(
        self,
        name: str,
        *,
        notices: Callable[[], NoticesStatus],
        next_look_s: Callable[[], float],
        decorate: Decorate | None = None,
        clocks: Clocks = REAL,
    ) -> None:
        self._lock = threading.Lock()
        self._notices = notices
        self._next_look_s = next_look_s
        self._decorate = decorate
        self._clocks = clocks
        self.name = name
        self._base = Status(name=name)
        self._log: deque[Wake] = deque(maxlen=LOG_LINES)
        self._dropped = 0
        self._looks: Counter[str] = Counter()
        self._per_minute = PerMinute()
        self._subscriptions: tuple[Subscription, ...] = ()
        #: News of other threads; whoever calls `tell_news` tells the listeners.
        self._news: list[tuple[EventKind, str]] = []
        self._fresh = 0
        # Who was logged in last, also when nobody is any more; and until when.
        self._user: str | None = None
        self._login_ends: float | None = None
        #: What is wrong although the looks go well (an expired login), or "".
        self.complaint = ""
        #: Notices so far, and when the last one came on the clock, or None.
        self.heard = 0
        self.noticed_at: float | None = None
        #: What a listener raised to end its thread (a SystemExit), or None.
        self.left: BaseException | None = None

    def status(self) -> Status:
        """Make the status of this moment."""
        wall, now = self._clocks.utc(), self._clocks.monotonic()
        looks = self._base.state not in ("stopped", "stopping", "paused")
        next_look_s = self._next_look_s() if looks else None
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

    def enter(self, state: RunState, reason: str = "") -> None:
        """Change the state and tell the listeners."""
        if self._changed(state, reason):
            self.emit("state", reason or state)

    def note(self, state: RunState, reason: str = "") -> None:
        """Change the state; listeners hear of it by `tell_news`."""
        if self._changed(state, reason):
            self.post("state", reason or state)

    def _changed(self, state: RunState, reason: str) -> bool:
        with self._lock:
            if (self._base.state, self._base.reason) == (state, reason):
                return False
            since = self._base.since
            if self._base.state != state:
                since = self._clocks.utc()
            self._base = replace(self._base, state=state, reason=reason, since=since)
        return True

    def log_in(
        self, login: str | None, left_s: float | None = None, detail: str = ""
    ) -> None:
        """Store who is logged in, and for how many seconds more; post what is new.

        In the words of ``detail`` if there are any. A login that is gone stays the
        reason of the status until it is back.
        """
        with self._lock:
            known, before = self._user, self._base.login
            self._user = login or known
            self._base = replace(self._base, login=login)
            now = self._clocks.monotonic()
            self._login_ends = None if left_s is None else now + left_s
        news = redacted(detail)
        if not news and known is not None and login != before:
            news = f"logged in as {login}" if login else _LOGGED_OUT
        if login or news:
            self.complaint = "" if login else news
        if news:
            self.post("login", news)

    def noticed(self) -> None:
        """Count a notice."""
        now = self._clocks.monotonic()
        with self._lock:
            self._per_minute.add(now)
            self.heard += 1
            self._fresh += 1
            self.noticed_at = now

    def looked(
        self, outcome: str, reason: WakeReason, detail: str, ours: bool = False
    ) -> None:
        """Count a look and write it into the log."""
        with self._lock:
            self._looks[outcome] += 1
        at = self._clocks.utc()
        self._write(Wake(at=at, reason=reason, detail=detail, ours=ours))

    def post(self, kind: EventKind, reason: str) -> None:
        """Write news into the log; listeners hear of it by `tell_news`."""
        if kind in ("broker", "login"):
            self._write(Wake(at=self._clocks.utc(), reason=kind, detail=reason))
        with self._lock:
            self._news.append((kind, reason))

    def tell_news(self) -> None:
        """Tell the listeners what came up since the last time."""
        with self._lock:
            fresh, self._fresh = self._fresh, 0
            news, self._news = self._news, []
        if fresh:
            self.emit("notice", "a notice" if fresh == 1 else f"{fresh} notices")
        for kind, reason in news:
            self.emit(kind, reason)

    def _write(self, line: Wake) -> None:
        """Put a line on top of the log; the oldest goes when it is full."""
        with self._lock:
            self._dropped += len(self._log) == LOG_LINES
            self._log.appendleft(line)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with each event; returns what ends that."""
        mine = Subscription(listener=listener)
        with self._lock:
            self._subscriptions = (*self._subscriptions, mine)

        def leave() -> None:
            with self._lock:
                left = (one for one in self._subscriptions if one is not mine)
                self._subscriptions = tuple(left)

        return leave

    def emit(self, kind: EventKind, reason: str = "", rid: str | None = None) -> None:
        """Tell the listeners of one thing, as `tell` does."""
        self.tell([(kind, reason, rid)])

    def tell(self, news: Sequence[News]) -> None:
        """Tell the listeners. One that raises is logged and told again next time.

        What came at once has one status. What is more than an Exception is kept in
        `left`: whoever runs the looks ends then, but not in the middle of one.
        """
        subscriptions = self._subscriptions
        if not (subscriptions and news):
            return
        at, status = self._clocks.utc(), self.status()
        for kind, reason, rid in news:
            event = Event(kind=kind, at=at, rid=rid, reason=reason, status=status)
            for one in subscriptions:
                self._call(one.listener, event)

    def _call(self, listener: Listener, event: Event) -> None:
        try:
            listener(event)
        except BaseException as error:  # noqa: BLE001 - the edge: it can't hurt us
            if not isinstance(error, Exception):
                self.left = error
            logger.error(
                "a listener of %s: %s", self._base.name, traceback_places(error)
            )


def _after(wall: datetime, seconds: float | None) -> datetime | None:
    if seconds is None:
        return None
    # A century is as good as never, and fits into a datetime.
    return wall + timedelta(seconds=min(max(seconds, 0.0), 3e9))

"""Where the news "something changed" comes from: a hub that several pollers share.

A notice carries no data and may be lost, so it only shortens a wait. Knows no
broker (see ``amqp``) and no catalog.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeAlias

from ermpoll.records import NoticesStatus
from ermpoll.redact import traceback_places

logger = logging.getLogger(__name__)

#: Called once for each notice, on the source's own thread: it must be quick.
OnNotice: TypeAlias = Callable[[], None]
#: Called when notices begin or cease to come, on the source's own thread.
OnStatus: TypeAlias = Callable[[NoticesStatus], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Subscriber:
    """Two callbacks; compared by identity, so that leaving leaves once."""

    on_notice: OnNotice
    on_status: OnStatus | None


class Notices:
    """A source of notices that brings none: the timer does it all.

    The base of the others. The first subscriber opens the source, the last one
    to leave closes it, and after that it can be opened again.
    """

    #: What the status says once the source is open.
    _opened = NoticesStatus(state="off")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Held while opening and closing, so that the two never overlap.
        self._door = threading.RLock()
        self._subscribers: tuple[_Subscriber, ...] = ()
        self._status = NoticesStatus()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status.state}>"

    @property
    def status(self) -> NoticesStatus:
        """How notices come in, or why they don't."""
        with self._lock:
            return self._status

    def subscribe(
        self, on_notice: OnNotice, on_status: OnStatus | None = None
    ) -> Callable[[], None]:
        """Hear of each notice, and of each change of state.

        Parameters
        ----------
        on_notice
            Called without arguments, on the source's thread. What it raises is
            logged and goes no further.
        on_status
            Called with the new status when ``state`` or ``reason`` changes, not
            for each notice.

        Returns
        -------
        callable
            Ends the subscription; may be called twice, from any thread.
        """
        subscriber = _Subscriber(on_notice=on_notice, on_status=on_status)
        with self._door:
            with self._lock:
                first = not self._subscribers
                self._subscribers = (*self._subscribers, subscriber)
            if first:
                self._open()
        return lambda: self._leave(subscriber)

    def wrote(self) -> None:
        """Say that we just committed a write, so that a notice is due."""

    def missed(self) -> None:
        """Say that a look found a change that no notice had told of."""

    def close(self) -> None:
        """End all subscriptions and the source. It may be subscribed to again."""
        for subscriber in self._subscribers:
            self._leave(subscriber)

    def _leave(self, subscriber: _Subscriber) -> None:
        with self._door:
            with self._lock:
                left = tuple(s for s in self._subscribers if s is not subscriber)
                last = bool(self._subscribers) and not left
                self._subscribers = left
            if last:
                self._close()

    def _open(self) -> None:
        """Begin to listen. Must not wait for anything."""
        self._tell(self._opened)

    def _close(self) -> None:
        """Cease to listen, within 50 ms."""
        self._tell(NoticesStatus())

    def _tell(self, status: NoticesStatus) -> None:
        """Store a new state and reason, and tell those who asked."""
        with self._lock:
            before = self._status
            self._status = replace(
                status, last_at=before.last_at, received=before.received
            )
            status, subscribers = self._status, self._subscribers
        if (before.state, before.reason) == (status.state, status.reason):
            return
        for subscriber in subscribers:
            if subscriber.on_status is not None:
                _call(subscriber.on_status, status)

    def _received(self) -> None:
        """Count a notice and pass it on."""
        now = datetime.now(UTC)
        with self._lock:
            self._status = replace(
                self._status, last_at=now, received=self._status.received + 1
            )
            subscribers = self._subscribers
        for subscriber in subscribers:
            _call(subscriber.on_notice)


class LocalNotices(Notices):
    """Notices of this process: whoever calls :meth:`notify` brings one.

    For tests and demonstrations, and for a program that has its own way to hear
    of changes. ``fail`` and ``mend`` play a broker that goes and comes back.
    """

    _opened = NoticesStatus(state="push")

    def notify(self) -> None:
        """Bring a notice, unless the source has failed."""
        if self.status.state == "push":
            self._received()

    def fail(self, reason: str = "the source is down") -> None:
        """Bring no more notices, and say why."""
        self._tell(NoticesStatus(state="down", reason=reason))

    def mend(self) -> None:
        """Bring notices again."""
        self._tell(self._opened)


def _call(callback: Callable[..., None], *args: object) -> None:
    try:
        callback(*args)
    except Exception as error:  # noqa: BLE001 - the edge: it must not stop the source
        logger.error("a subscriber to notices: %s", traceback_places(error))

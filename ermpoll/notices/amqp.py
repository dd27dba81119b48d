"""Notices from a broker: connect again when it goes, find out when it is deaf.

One thread per broker, shared by all pollers of the process; the connection is
made, used and closed there only, so heartbeats are served while work runs.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal
from weakref import WeakValueDictionary

from ermpoll.arguments import seconds
from ermpoll.backoff import REAL, Clocks, jittered_s
from ermpoll.notices.amqp_connection import Link
from ermpoll.notices.amqp_url import Address
from ermpoll.notices.base import Notices
from ermpoll.records import NoticesStatus
from ermpoll.redact import Hidden, one_line, traceback_places

logger = logging.getLogger(__name__)

#: The exchange that ERMrest publishes to, if it is not configured otherwise.
EXCHANGE = "ermrest_changes"
#: A notice comes before the answer to the write; later than this it is missing.
ECHO_S = 5.0
#: The first wait before connecting again; it doubles with each failure ...
RECONNECT_S = 1.0
#: ... up to this, with full jitter.
MAX_RECONNECT_S = 60.0
#: A connection that lasted so long was a good one: the waits begin anew.
STEADY_S = 60.0

_DEAF = "deaf: something was written, but no notice came from {label}"
_UNPROVEN = "deaf: connected anew to {label}, no notice has come yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """Whether notices come in although there should be some; pure."""

    #: How long a notice may take, in seconds.
    echo_s: float = ECHO_S

    #: When the last notice came, seconds on the hub's clock.
    heard_at: float = float("-inf")
    #: Until when one has to come, or None when none is due.
    due_at: float | None = None

    def expecting(self, now: float) -> Hearing:
        """Expect a notice, unless it may be one that came just now."""
        if self.due_at is not None or now - self.heard_at < self.echo_s:
            return self
        return replace(self, due_at=now + self.echo_s)

    def heard(self, now: float) -> Hearing:
        """Take note of a notice."""
        return replace(self, heard_at=now, due_at=None)

    def is_deaf(self, now: float) -> bool:
        """Say whether a notice that was due did not come."""
        return self.due_at is not None and now >= self.due_at


class AmqpNotices(Notices):
    """Notices from the fanout exchange of an AMQP broker.

    What goes wrong later (refused, unknown host, wrong login, a lost connection,
    silence) is told by ``status`` with the time of the next try. It never raises.

    Parameters
    ----------
    url
        ``amqp[s]://[user:password@]host[:port][/virtual-host]``.
    ca
        File with the certificate authority to trust, for ``amqps``.
    exchange
        The exchange to listen to; declared as ERMrest does when it is not there.
    echo_s
        How long after a write its notice may come, in seconds; later, the
        connection counts as deaf and is made anew.
    clocks
        Time, chance and waiting: for tests.

    Raises
    ------
    NoticeError
        When the URL is none, or the CA file is not there.
    UsageError
        When ``echo_s`` is not above zero.
    """

    _opened = NoticesStatus(state="connecting")

    def __init__(
        self,
        url: str,
        ca: str | None = None,
        exchange: str = EXCHANGE,
        *,
        echo_s: float = ECHO_S,
        clocks: Clocks = REAL,
    ) -> None:
        super().__init__()
        url = Hidden(url)
        self.address = Address.parse(url, ca)
        self.exchange = exchange
        self._clocks = clocks
        self._echo_s = seconds("echo_s", echo_s)
        self._hearing = Hearing(echo_s=echo_s)
        self._deaf = False
        self._failures = 0
        self._link: Link | None = None
        self._thread: threading.Thread | None = None
        self._halt = threading.Event()

    def __repr__(self) -> str:
        return f"<AmqpNotices {self.address.label} {self.status.state}>"

    def wrote(self) -> None:
        """Say that we just committed a write, so that a notice is due."""
        with self._lock:
            before, link = self._hearing, self._link
            if link is None or self._status.state not in ("push", "deaf"):
                return
            self._hearing = before.expecting(self._clocks.monotonic())
            armed = self._hearing.due_at is not None and before.due_at is None
        if armed:
            link.after(self._echo_s, lambda: self._check(link))

    def missed(self) -> None:
        """Say that a look found a change that no notice had told of."""
        # Its notice may be on its way still, so it gets the same time as an echo.
        self.wrote()

    def _open(self) -> None:
        self._halt = halt = threading.Event()
        self._failures, self._deaf = 0, False
        self._hearing = Hearing(echo_s=self._echo_s)
        self._tell(self._opened)
        self._thread = threading.Thread(
            target=self._listen, args=(halt,), name="ermpoll-notices", daemon=True
        )
        self._thread.start()

    def _close(self) -> None:
        self._halt.set()
        with self._lock:
            link = self._link
        if link is not None:
            link.close()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(1.0)
        self._tell(NoticesStatus())

    def _listen(self, halt: threading.Event) -> None:
        """Connect again and again; the body of the thread."""
        while not halt.is_set():
            began_at = self._clocks.monotonic()
            why = self._one_life(halt)
            if halt.is_set():
                return
            if self._clocks.monotonic() - began_at >= STEADY_S and not self._deaf:
                self._failures = 0
            self._failures += 1
            rand = self._clocks.random()
            wait_s = jittered_s(self._failures, RECONNECT_S, MAX_RECONNECT_S, rand)
            self._tell_down(why, wait_s)
            self._clocks.wait(halt, wait_s)

    def _one_life(self, halt: threading.Event) -> str:
        """Run one connection to its end; return why it ended."""
        link = Link(self.address, self.exchange, on_up=self._up, on_notice=self._notice)
        with self._lock:
            self._link = link
        if halt.is_set():
            link.close()
        try:
            return link.run()
        except Exception as error:  # noqa: BLE001 - the edge: pika can't end the thread
            logger.error(
                "the connection to %s: %s", self.address.label, traceback_places(error)
            )
            return f"internal error: {one_line(error)}"
        finally:
            with self._lock:
                self._link = None
                self._hearing = replace(self._hearing, due_at=None)

    def _up(self) -> None:
        logger.info("notices from %s", self.address.label, extra={"event": "up"})
        if self._deaf:
            reason = _UNPROVEN.format(label=self.address.label)
            self._tell(NoticesStatus(state="deaf", reason=reason))
        else:
            self._tell(NoticesStatus(state="push"))

    def _tell_down(self, why: str, wait_s: float) -> None:
        at = self._clocks.utc() + timedelta(seconds=wait_s)
        deaf = self._deaf and why.startswith("deaf")
        if why != self.status.reason:
            extra = {"event": "down", "wait_s": wait_s}
            logger.warning("no notices: %s; again in %.0f s", why, wait_s, extra=extra)
        state: Literal["deaf", "down"] = "deaf" if deaf else "down"
        self._tell(NoticesStatus(state=state, reason=why, next_try_at=at))

    def _notice(self) -> None:
        with self._lock:
            self._hearing = self._hearing.heard(self._clocks.monotonic())
        self._failures = 0
        if self._deaf:
            self._deaf = False
            self._tell(NoticesStatus(state="push"))
        self._received()

    def _check(self, link: Link) -> None:
        with self._lock:
            deaf = link is self._link and self._hearing.is_deaf(
                self._clocks.monotonic()
            )
        if deaf:
            self._deaf = True
            link.close(_DEAF.format(label=self.address.label))


_hubs: WeakValueDictionary[tuple[str, str | None], AmqpNotices] = WeakValueDictionary()
_hubs_lock = threading.Lock()


def shared_notices(url: str, ca: str | None = None) -> AmqpNotices:
    """Return this process's hub for a broker, made when there is none yet.

    Raises
    ------
    NoticeError
        When the URL is none, or the CA file is not there.
    """
    url = Hidden(url)
    with _hubs_lock:
        hub = _hubs.get((url, ca))
        if hub is None:
            hub = _hubs[url, ca] = AmqpNotices(url, ca)
        return hub

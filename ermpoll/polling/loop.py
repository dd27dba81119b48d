"""One step of a poller: look if it is time to, and say what came of it.

Knows no thread and no source of notices; ``poller`` puts both around it. What it
is told from other threads (``ask``, ``noticed``, ``pushing``) is safe.
"""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from ermpoll.errors import Aborted, ErmpollError, PreconditionFailed, UsageError
from ermpoll.polling.schedule import Schedule
from ermpoll.polling.status import StatusBoard
from ermpoll.records import EventKind, LookResult, RunState, Status, Wake, WakeReason
from ermpoll.redact import one_line, redacted, traceback_places

logger = logging.getLogger(__name__)

Look: TypeAlias = Callable[[], "bool | LookResult | None"]

_LOGGED_OUT = "login expired: nobody is logged in, rows may be hidden; log in again"
#: A paused step waits to be woken, and for nothing else.
NEVER_S = 3600.0


def check_look(look: object) -> None:
    """Check that a look can be called and answers at once.

    Raises
    ------
    UsageError
        When it can't be called, or is ``async``: its answer would always be true.
    """
    if not callable(look):
        raise UsageError(
            f"look is a {type(look).__name__}: give a function without arguments "
            "that returns True when there may be more."
        )
    if inspect.iscoroutinefunction(look):
        raise UsageError("look is async: give a plain function; it has its own thread.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """What a step takes from outside."""

    #: Rising seconds.
    clock: Callable[[], float]
    #: A number in [0, 1).
    rng: Callable[[], float]
    #: Called when a timer look found a change that no notice had told of.
    missed: Callable[[], None]


class PollLoop:
    """The looks of one poller, one :meth:`tick` at a time.

    Parameters
    ----------
    look
        Never called twice at a time, as long as ``tick`` is not.
    schedule
        Its times are kept, the rest is begun anew by :meth:`restart`.
    """

    def __init__(
        self, look: Look, schedule: Schedule, board: StatusBoard, tools: Clocks
    ) -> None:
        check_look(look)
        self._look = look
        self._board = board
        self._tools = tools
        self._lock = threading.Lock()
        self._times = (schedule.poll_s, schedule.coalesce_s)
        self._schedule = schedule
        # News of other threads; the thread that ticks tells it to the listeners.
        self._news: list[tuple[EventKind, str]] = []
        self._fresh = 0
        # Notices so far, and how many they were when the ETag was last looked at.
        self._heard = 0
        self._heard_before = 0
        self._wrote = False
        self.paused = False
        #: What is wrong although the looks go well (an expired login), or "".
        self.complaint = ""
        # Who is logged in; and who was last, also when nobody is any more.
        self._login: str | None = None
        self._user: str | None = None
        #: Why the look that is going on was begun; None outside of a look.
        self.because: WakeReason | None = None
        #: When the last notice came, on the clock; None before the first.
        self.noticed_at: float | None = None

    def restart(self) -> None:
        """Forget the past: look at once, and by the first intervals."""
        poll_s, coalesce_s = self._times
        with self._lock:
            self._schedule = Schedule(
                poll_s=poll_s, coalesce_s=coalesce_s, now=self._tools.clock()
            )
        self.paused = False

    def ask(self, reason: WakeReason) -> None:
        """Want a look."""
        with self._lock:
            self._schedule = self._schedule.ask(reason, self._tools.clock())

    def noticed(self) -> None:
        """Count a notice, and want a look for it."""
        now = self._tools.clock()
        self._board.noticed(now)
        self.noticed_at = now
        with self._lock:
            self._heard += 1
            self._fresh += 1
            self._schedule = self._schedule.ask("notice", now)

    def pushing(self, push: bool) -> None:
        """Say whether notices come in now."""
        with self._lock:
            if push != self._schedule.push:
                self._schedule = self._schedule.pushing(self._tools.clock(), push)

    def log_in(self, login: str | None, detail: str, left_s: float | None) -> None:
        """Store who is logged in and for how many seconds more; tell what is new."""
        self._board.log_in(login, left_s, self._tools.clock())
        news = redacted(detail) or self._new_login(login)
        if login or news:
            self.complaint = "" if login else news
        if news:
            self.tell("login", news)

    def _new_login(self, login: str | None) -> str:
        """Put into words what is new about the login; "" for the first one."""
        known, before = self._user, self._login
        self._user, self._login = login or known, login
        if known is None or login == before:
            return ""
        return f"logged in as {login}" if login else _LOGGED_OUT

    def wrote(self) -> None:
        """Say that the next notice may be the echo of an own write."""
        self._wrote = True

    def tell(self, kind: EventKind, reason: str) -> None:
        """Write news into the log; listeners hear of it at the next tick."""
        if kind in ("broker", "login"):
            self._board.write(Wake(at=datetime.now(UTC), reason=kind, detail=reason))
        with self._lock:
            self._news.append((kind, reason))

    def status(self) -> Status:
        """Make the status of this moment."""
        now = self._tools.clock()
        with self._lock:
            next_look_s = self._schedule.next_look(now).at - now
        looks = self._board.state not in ("stopped", "stopping", "paused")
        return self._board.status(next_look_s if looks else None, now)

    @property
    def is_idle(self) -> bool:
        """True when the last look went well and nothing asks for another soon."""
        with self._lock:
            this = self._schedule
        return this.looked_at is not None and this.asked is None and this.due_at is None

    def enter(self, state: RunState, reason: str = "") -> None:
        """Change the state and tell the listeners."""
        if self._board.enter(state, reason):
            self._emit("state", reason or state)

    def end(self, why: str) -> None:
        """Change the state to stopped; listeners hear of it by `tell_news`."""
        if self._board.enter("stopped", why):
            with self._lock:
                self._news.append(("state", why or "stopped"))

    def tick(self) -> float:
        """Do what is due now: at most one look.

        Returns
        -------
        float
            Seconds until there is something to do again, unless something is asked
            for before; 0 when a look was made.
        """
        self.tell_news()
        if self.paused:
            self.enter("paused")
            return NEVER_S
        with self._lock:
            now = self._tools.clock()
            due = self._schedule.next_look(now)
            if due.at <= now:
                self._schedule = self._schedule.began(now)
            failing = self._schedule.failures > 0
        if due.at <= now:
            self._one_look(due.reason)
            return 0.0
        if not failing:
            self.enter("waiting", self.complaint)
        return due.at - now

    def _one_look(self, reason: WakeReason) -> None:
        self.enter("looking")
        ours, self._wrote = self._wrote and reason == "notice", False
        self.because = reason
        try:
            looked = _looked(self._look())
        except Exception as error:  # noqa: BLE001 - the edge: a look can't end the loop
            self._failed(reason, error)
            return
        finally:
            self.because = None
        with self._lock:
            now, rand = self._tools.clock(), self._tools.rng()
            self._schedule = self._schedule.ended(now, reason, looked, rand)
        self._board.looked(looked.outcome, reason, _words(looked), ours)
        self._check_heard(reason, looked)

    def _check_heard(self, reason: WakeReason, looked: LookResult) -> None:
        """Find out that something changed and no notice had told of it."""
        if not (looked.etag_moved or looked.outcome == "unchanged"):
            return
        unheard = self._heard == self._heard_before
        self._heard_before = self._heard
        if looked.etag_moved and unheard and reason in ("timer", "due"):
            self._tools.missed()

    def _failed(self, reason: WakeReason, error: Exception) -> None:
        lost_race = isinstance(error, (PreconditionFailed, Aborted))
        with self._lock:
            now, rand = self._tools.clock(), self._tools.rng()
            self._schedule = self._schedule.failed(
                now, reason, rand, lost_race=lost_race
            )
            wait_s = self._schedule.next_look(now).at - now
        detail = one_line(error)
        self._board.looked("error", reason, detail)
        self.enter("backing off", detail)
        _log_failure(error, detail, wait_s)

    def tell_news(self) -> None:
        """Tell the listeners what came up since the last time."""
        with self._lock:
            fresh, self._fresh = self._fresh, 0
            news = [*self._news]
            self._news.clear()
        if fresh:
            self._emit("notice", "a notice" if fresh == 1 else f"{fresh} notices")
        for kind, reason in news:
            self._emit(kind, reason)

    def _emit(self, kind: EventKind, reason: str) -> None:
        self._board.emit(self.status, kind, reason)


def _looked(answer: bool | LookResult | None) -> LookResult:
    if isinstance(answer, LookResult):
        return answer
    found = bool(answer)
    return LookResult(more=found, found=found, outcome="rows" if found else "empty")


def _words(looked: LookResult) -> str:
    if looked.detail:
        return looked.detail
    words = {
        "rows": "found some",
        "empty": "found nothing",
        "unchanged": "304, as before",
    }
    return words[looked.outcome]


def _log_failure(error: Exception, detail: str, wait_s: float) -> None:
    """Log it: a kind we know by its text, a stranger by its place only."""
    extra = {"event": "backing off", "wait_s": wait_s}
    if isinstance(error, (PreconditionFailed, Aborted)):
        logger.debug("lost a race, again in %.2f s", wait_s, extra=extra)
    elif isinstance(error, (ErmpollError, OSError)):
        logger.warning("%s; again in %.1f s", detail, wait_s, extra=extra)
    else:
        logger.error(
            "again in %.1f s: %s", wait_s, traceback_places(error), extra=extra
        )

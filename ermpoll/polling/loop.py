"""One step of a poller: look if it is time to, and say what came of it.

Knows no thread and no source of notices; ``poller`` puts both around it.
"""

from __future__ import annotations

import inspect
import logging
import math
import threading
from collections.abc import Callable
from typing import TypeAlias

from ermpoll.backoff import Clocks
from ermpoll.catalog.client_context import doing
from ermpoll.errors import (
    Aborted,
    ErmpollError,
    PreconditionFailed,
    Unavailable,
    UsageError,
)
from ermpoll.polling.schedule import Next, Schedule
from ermpoll.polling.status import StatusBoard
from ermpoll.records import LookResult, WakeReason
from ermpoll.redact import one_line, traceback_places

logger = logging.getLogger(__name__)

Look: TypeAlias = Callable[[], "bool | LookResult | None"]

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


class Timetable:
    """The schedule of one poller, which several threads move."""

    def __init__(self, schedule: Schedule, monotonic: Callable[[], float]) -> None:
        self._lock = threading.Lock()
        self._monotonic = monotonic
        self._schedule = schedule

    @property
    def schedule(self) -> Schedule:
        """The schedule of this moment."""
        return self._schedule

    def move(self, step: Callable[[Schedule, float], Schedule]) -> None:
        """Make the next schedule of the present one and the time."""
        with self._lock:
            self._schedule = step(self._schedule, self._monotonic())

    def begin(self) -> Next | None:
        """Begin the look that is due and return it; None when none is."""
        with self._lock:
            now = self._monotonic()
            due = self._schedule.next_look(now)
            if due.at > now:
                return None
            self._schedule = self._schedule.began(now)
            return due

    def next_look_s(self) -> float:
        """Return the seconds until the next look at the latest."""
        now = self._monotonic()
        return self._schedule.next_look(now).at - now


class PollLoop:
    """The looks of one poller, one :meth:`tick` at a time.

    Parameters
    ----------
    look
        Never called twice at a time, as long as ``tick`` is not.
    missed
        Called when a timer look found a change that no notice had told of.
    left_s
        After how many seconds what is held is lost, unless a look goes well before.
    """

    def __init__(
        self,
        look: Look,
        timetable: Timetable,
        board: StatusBoard,
        clocks: Clocks,
        missed: Callable[[], None],
        left_s: Callable[[], float] = lambda: math.inf,
    ) -> None:
        check_look(look)
        self._look = look
        self._timetable = timetable
        self._board = board
        self._clocks = clocks
        self._missed = missed
        self._left_s = left_s
        #: How many notices had come when the ETag was last looked at.
        self._heard = 0
        #: No look is made while it is set.
        self.paused = False
        #: The next notice may be the echo of an own write.
        self.echo_due = False
        #: Why the look that is going on was begun; None outside of a look.
        self.because: WakeReason | None = None

    def tick(self) -> float:
        """Do what is due now: at most one look.

        Returns
        -------
        float
            Seconds until there is something to do again, unless something is asked
            for before; 0 when a look was made.
        """
        self._board.tell_news()
        if self.paused:
            self._board.enter("paused")
            return NEVER_S
        due = self._timetable.begin()
        if due is not None:
            self._one_look(due.reason)
            return 0.0
        if not self._timetable.schedule.failures:
            self._board.enter("waiting", self._board.complaint)
        return max(0.0, self._timetable.next_look_s())

    def _one_look(self, reason: WakeReason) -> None:
        self._board.enter("looking")
        ours, self.echo_due = self.echo_due and reason == "notice", False
        self.because = reason
        try:
            with doing("look", self._board.name):
                looked = _looked(self._look())
        except Exception as error:  # noqa: BLE001 - the edge: a look can't end the loop
            self._failed(reason, error)
            return
        finally:
            self.because = None
        rand = self._clocks.random()
        self._timetable.move(lambda this, now: this.ended(now, reason, looked, rand))
        self._board.looked(looked.outcome, reason, _words(looked), ours)
        self._check_heard(reason, looked)

    def _check_heard(self, reason: WakeReason, looked: LookResult) -> None:
        """Find out that something changed and no notice had told of it."""
        if not (looked.etag_moved or looked.outcome == "unchanged"):
            return
        unheard = self._board.heard == self._heard
        self._heard = self._board.heard
        if looked.etag_moved and unheard and reason in ("timer", "due"):
            self._missed()

    def _failed(self, reason: WakeReason, error: Exception) -> None:
        lost_race = isinstance(error, (PreconditionFailed, Aborted))
        rand = self._clocks.random()
        asked_s = error.retry_after_s if isinstance(error, Unavailable) else 0.0
        left_s = self._left_s()
        self._timetable.move(
            lambda this, now: this.failed(
                now,
                reason,
                rand,
                lost_race=lost_race,
                retry_after_s=asked_s,
                left_s=left_s,
            )
        )
        detail = one_line(error)
        self._board.looked("error", reason, detail)
        self._board.enter("backing off", detail)
        _log_failure(error, detail, self._timetable.next_look_s())


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

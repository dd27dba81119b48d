"""The poller: one step as :meth:`Poller.tick`, and one thread around it.

It owns the status and the schedule, and knows when the thread begins and ends and
who wakes it. The step is ``loop``'s, what a look does is its owner's affair.
"""

from __future__ import annotations

import importlib
import itertools
import logging
import math
import threading
from collections.abc import Callable

from ermpoll import audit
from ermpoll.arguments import seconds
from ermpoll.backoff import REAL, Clocks
from ermpoll.notices import Notices, open_notices
from ermpoll.polling import registry
from ermpoll.polling.loop import Look, PollLoop, Timetable
from ermpoll.polling.schedule import Schedule
from ermpoll.polling.status import Decorate, Listener, StatusBoard
from ermpoll.polling.thread import ControlledThread
from ermpoll.records import LivePanel, NoticesStatus, Status, WakeReason
from ermpoll.redact import hidden, printable, traceback_places
from ermpoll.shown import Shown

logger = logging.getLogger(__name__)

#: How often a caller's stop event is asked for: nobody can wait for two events.
_STOP_SLICE_S = 0.02
_numbers = itertools.count(1)

#: What the package asks of a poller, and `dir` does not offer to users.
_INTERNAL = frozenset(("because", "board", "tick", "wake", "wrote"))


class Poller(Shown):
    """Call ``look`` whenever there might be something to find.

    Parameters
    ----------
    look
        Called without arguments, never twice at a time. True, or a LookResult with
        ``more``: there may be more, look again at once. What it raises is shown in
        the status and tried again after a back-off; it never ends the poller.
    notices
        None (the timer alone, soon after activity and ever more rarely after
        that), an address ``amqp://...`` or ``amqps://...``, or a Notices object.
    poll_s
        The longest time between two looks, in seconds (plus or minus a tenth).
    coalesce_s
        While notices come in, the shortest time between two looks, in seconds.
    name
        Under it the poller is listed by :func:`ermpoll.agents`, and replaces the
        running one of that name. Without a name it is not listed.
    clocks
        Time, chance and waiting: for tests.
    decorate
        For an owner (an agent): fills in its half of each Status.
    listed_as
        For an owner: what is listed under the name instead of the poller.
    left_s
        For an owner: after how many seconds what it holds is lost.

    Raises
    ------
    UsageError
        When ``look`` can't be called, or a time is not above zero.
    NoticeError
        When the address of the notices is none.

    Notes
    -----
    ``look`` is called on the poller's one thread, or by `run` on the caller's, with
    whatever login its catalog has. A coroutine function is refused: give a plain one.
    In a child of ``os.fork()`` no poller runs.

    Examples
    --------
    >>> looked = threading.Event()
    >>> poller = ermpoll.Poller(looked.set, notices=box.amqp_url)
    >>> leave = poller.subscribe(lambda event: None)
    >>> with poller:  # start() and stop()
    ...     looked.wait(10)
    ...     poller.pause(), poller.resume(), poller.look_now()
    True
    (None, None, None)
    >>> poller.status.state
    'stopped'
    >>> poller.run(until_idle=True)  # in the foreground
    >>> panel = poller.panel()
    >>> panel.close()
    >>> poller.start(), poller.stop(), leave()
    (<Poller ...>, True, None)
    """

    def __init__(
        self,
        look: Look,
        *,
        notices: str | Notices | None = None,
        poll_s: float = 600,
        coalesce_s: float = 0.1,
        name: str | None = None,
        clocks: Clocks = REAL,
        decorate: Decorate | None = None,
        listed_as: registry.Runs | None = None,
        left_s: Callable[[], float] = lambda: math.inf,
    ) -> None:
        notices = hidden(notices)
        schedule = Schedule(
            poll_s=seconds("poll_s", poll_s),
            coalesce_s=seconds("coalesce_s", coalesce_s),
        )
        self.notices = open_notices(notices)
        self.name = printable(name or "") or f"poller {next(_numbers)}"
        self._listed = name is not None
        self._entry: registry.Runs = listed_as or self
        self._clocks = clocks
        self._timetable = Timetable(schedule, clocks.monotonic)
        #: What it says of itself; an owner (an agent) says more there.
        self.board = StatusBoard(
            self.name,
            notices=lambda: self.notices.status,
            next_look_s=self._timetable.next_look_s,
            decorate=decorate,
            clocks=clocks,
        )
        self._loop = PollLoop(
            look, self._timetable, self.board, clocks, self.notices.missed, left_s
        )
        self._woken = threading.Event()
        self._thread = ControlledThread(
            wake=self._woken.set,
            begun=self._begun,
            ended=self._ended,
            may_run=lambda: not self._listed or registry.claim(self._entry),
            late=lambda: self.board.note("stopping", "a look is still going on"),
            told=self.board.tell_news,
        )

    def __dir__(self) -> list[str]:
        return [name for name in object.__dir__(self) if name not in _INTERNAL]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} {self.board.state}>"

    def _repr_html_(self) -> str:
        # Only who shows it pays for jinja2.
        from ermpoll import render

        return render.status(self.status)

    @property
    def status(self) -> Status:
        """All that it says of itself at this moment, frozen."""
        return self.board.status()

    @property
    def because(self) -> WakeReason | None:
        """Why the look that is going on was begun; None outside of a look."""
        return self._loop.because

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with each Event, after the status is stored.

        It is called on whichever thread brought the news, mostly the poller's own:
        a slow listener delays the looks. One that raises is logged, no more; one
        that exits (SystemExit) ends the poller after the look. Returns what ends
        the subscription.
        """
        return self.board.subscribe(listener)

    def wrote(self) -> None:
        """Say that a write of ours was committed: its echo is due (for an owner)."""
        self._loop.echo_due = True
        try:
            self.notices.wrote()
        except Exception as error:  # noqa: BLE001 - the edge: notices are only a hint
            logger.error("the notices of %s: %s", self.name, traceback_places(error))

    def wake(self, reason: WakeReason) -> None:
        """Ask for a look, from any thread.

        "more" and "manual" are looked at at once, "notice" within the gap.
        """
        self._timetable.move(lambda this, now: this.ask(reason, now))
        self._woken.set()

    def look_now(self) -> None:
        """Ask for a look at once, even in a back-off; when paused, at ``resume``."""
        self.wake("manual")

    def pause(self) -> None:
        """Look no more until :meth:`resume`; a look that is going on ends first."""
        self._loop.paused = True
        self._woken.set()

    def resume(self) -> None:
        """Look again, beginning at once. Without a :meth:`pause`: does nothing."""
        if self._loop.paused:
            self._loop.paused = False
            self.wake("manual")

    def tick(self) -> float:
        """Do what is due now, as `PollLoop.tick` does. Opens no notices."""
        return self._loop.tick()

    def start(self) -> Poller:
        """Look in the background, on one daemon thread, until :meth:`stop`.

        Twice is the same as once. A running one of the same name is stopped first;
        of two that start at the same time the later one runs.
        """
        if self._listed:
            registry.take(self._entry)
        started = self._thread.start(f"ermpoll-poller-{self.name}", self._run)
        if started == "resumed":
            self.wake("start")
        self._audit("start", started in ("begun", "resumed"))
        return self

    def stop(self, timeout_s: float = 30) -> bool:
        """Stop, and wait for a look that is going on.

        Returns
        -------
        bool
            True when it has stopped. False when a look was still going on after
            ``timeout_s`` seconds (the status says so; it stops when the look ends),
            or when called from within a look or a listener. May be called twice.
        """
        self._audit("stop", self._thread.running)
        stopped = self._thread.stop(timeout_s)
        self.board.tell_news()
        return stopped

    def __enter__(self) -> Poller:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run(
        self, stop: threading.Event | None = None, until_idle: bool = False
    ) -> None:
        """Look in the foreground until stopped. May be called again.

        Parameters
        ----------
        stop
            Ends it within 50 ms, as :meth:`stop` and a KeyboardInterrupt do.
        until_idle
            Also ends when a look found no more, nothing asked for another and no
            stored time is to come.

        Raises
        ------
        UsageError
            When it is running already.
        """
        if self._listed:
            registry.take(self._entry)
        try:
            self._thread.run(self.name, lambda halt: self._run(halt, stop, until_idle))
        except KeyboardInterrupt:
            logger.info("%s: interrupted", self.name)

    def panel(self) -> LivePanel:
        """Give the live view, for a notebook."""
        # by name: the widgets lie above
        made: LivePanel = importlib.import_module("ermpoll.widgets").monitor(self)
        return made

    def _begun(self) -> None:
        self._loop.paused, self.board.left = False, None
        self._timetable.move(Schedule.anew)
        self.board.note("starting")

    def _ended(self, why: str) -> None:
        self.board.note("stopped", why)
        if self._listed:
            registry.leave(self._entry)
        logger.info("%s: %s", self.name, why or "stopped", extra={"event": "stopped"})

    def _run(
        self,
        halt: threading.Event,
        stop: threading.Event | None = None,
        until_idle: bool = False,
    ) -> None:
        logger.info("%s: started", self.name, extra={"event": "started"})
        leave = self.notices.subscribe(self._on_notice, self._on_status)
        try:
            self._push(self.notices.status.state == "push")
            while True:
                # Cleared before the stop is asked for, or a stop could be lost.
                self._woken.clear()
                if halt.is_set() or (stop is not None and stop.is_set()):
                    return
                wait_s = self.tick()
                if self.board.left is not None:
                    raise self.board.left
                if until_idle and self._timetable.schedule.is_idle:
                    return
                self._wait(wait_s, stop)
        finally:
            leave()

    def _wait(self, wait_s: float, stop: threading.Event | None) -> None:
        """Wait to be woken, or for the caller's event, that long at most."""
        until = self._clocks.monotonic() + wait_s
        while (left_s := until - self._clocks.monotonic()) > 0:
            slice_s = left_s if stop is None else min(left_s, _STOP_SLICE_S)
            if self._clocks.wait(self._woken, slice_s) or (stop and stop.is_set()):
                return

    def _on_notice(self) -> None:
        self.board.noticed()
        self.wake("notice")

    def _on_status(self, status: NoticesStatus) -> None:
        self._push(status.state == "push")
        news = f"{status.state}: {status.reason}" if status.reason else status.state
        self.board.post("broker", news)
        self._woken.set()

    def _push(self, push: bool) -> None:
        """Say whether notices come in now."""
        if push != self._timetable.schedule.push:
            self._timetable.move(lambda this, now: this.pushing(push))

    def _audit(self, act: str, done: bool) -> None:
        if self._listed and done:
            audit.record(act, self.name)

"""How an agent runs and ends: when told, when idle, by an interrupt or an exit.

Whoever ends it, and wherever it runs, it ends the same way: the agent's own thread
gives back and writes what is to be written, look by look, and whoever waits only
waits. So an interrupt can cut off no write.
"""

from __future__ import annotations

import itertools
import logging
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from ermpoll.agent import execution, program_end
from ermpoll.agent.cycle import Cycle
from ermpoll.agent.dispatcher import Dispatcher
from ermpoll.agent.held_jobs import HeldJobs
from ermpoll.agent.verdict import Left
from ermpoll.backoff import REAL, Clocks, backoff_s
from ermpoll.catalog import write_permission
from ermpoll.catalog.client_context import doing
from ermpoll.errors import UsageError
from ermpoll.polling import Poller
from ermpoll.polling.status import Listener
from ermpoll.queue.transitions import Held
from ermpoll.records import Event, LookResult, WakeReason, rows
from ermpoll.redact import traceback_places

logger = logging.getLogger(__name__)

#: Seconds to give back what still runs, in a run in the foreground.
ABANDON_S = 5.0
#: With no work left and no write that gets through for so many seconds, a run in
#: the foreground that was to end does.
PATIENCE_S = 25.0
#: The first of the waits that one for a run is made of; each is twice as long as the
#: one before. A signal that comes while a wait begins is heard only when that ends.
FIRST_WAIT_S = 0.05
#: How long a run that ends when idle waits for a retry at most, in seconds, if it
#: was not told.
LONGEST_IDLE_WAIT_S = 60.0


class Phase(Enum):
    """What the looks of an agent do."""

    STOPPED = "stopped"
    #: Claim, and write what is finished.
    RUNNING = "running"
    #: Claim no more until resumed.
    PAUSED = "paused"
    #: Claim no more: it ends when all that is held is done.
    FINISHING = "finishing"
    #: Claim no more, give back what was not begun.
    DRAINING = "draining"
    #: Give back also what still runs.
    ABANDONING = "abandoning"


class Until(Enum):
    """How long a run is to go on by itself."""

    STOPPED = "stopped"
    IDLE = "idle"
    #: For one look, and the work that it begins.
    ONCE = "once"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """What a run that ends when idle waits for."""

    #: Seconds in which a row of the queue may become due.
    wait_s: float = 0.0
    #: Whether for the claims of others to end as well.
    for_all: bool = False

    def is_over(self, left: Left) -> bool:
        """Whether nothing is left that is worth the wait. Pure."""
        if left.unread or left.executor:
            return False
        soon = left.retry_s is not None and left.retry_s <= self.wait_s
        return not (soon or (self.for_all and left.lease_s is not None))


NO_WAIT = Patience()


def patience_of(wait_s: float | None, wait_for: str, longest_s: float) -> Patience:
    """Check what a run was told to wait for; see `Agent.run`. Pure.

    ``longest_s``: the longest wait of a retry.
    """
    if wait_for not in ("mine", "all"):
        raise UsageError(f"wait_for: expected 'mine' or 'all', found {wait_for!r}")
    if wait_s is not None and not wait_s >= 0:
        raise UsageError(f"wait_s: expected 0 or more seconds, found {wait_s!r}")
    if wait_s is None:
        wait_s = min(longest_s, LONGEST_IDLE_WAIT_S)
    return Patience(wait_s=wait_s, for_all=wait_for == "all")


#: The phases in which it ends once nothing is held any more.
ENDING = (Phase.FINISHING, Phase.DRAINING, Phase.ABANDONING)


class Lifecycle:
    """The runs of one agent.

    Parameters
    ----------
    driver
        Whose thread the looks are on.
    halt
        Set where a run is given up: no further write is tried.
    """

    def __init__(
        self,
        driver: Poller,
        cycle: Cycle,
        held: HeldJobs,
        dispatcher: Dispatcher,
        halt: threading.Event,
        clocks: Clocks = REAL,
    ) -> None:
        self._name = driver.name
        self._driver = driver
        self._cycle = cycle
        self._held = held
        self._dispatcher = dispatcher
        self._halt = halt
        self._clocks = clocks
        self._lock = threading.Lock()
        self.phase = Phase.STOPPED
        self._until = Until.STOPPED
        self._patience = NO_WAIT
        self._rids: Sequence[str] | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        #: What a listener or a transform raised to end its thread, or None.
        self._left: BaseException | None = None
        #: What the only look that claims has failed with, or None.
        self._claim_error: Exception | None = None
        #: What the looks fail with, and since when.
        self._failing: tuple[float, Exception] | None = None

    def begin(
        self,
        driver: Poller,
        until: Until = Until.STOPPED,
        rids: Sequence[str] | None = None,
        patience: Patience = NO_WAIT,
    ) -> None:
        """Begin to run on the driver's thread; a run that is ending goes on instead."""
        with self._lock:
            self._driver = driver
            self.phase, self._until, self._rids = Phase.RUNNING, until, rids
            self._patience = patience
            self._left = self._failing = self._claim_error = None
            self._halt.clear()
            self._ended.clear()
        self._dispatcher.begin()
        program_end.watch(self)
        driver.start()
        if driver.status.state == "stopped":
            # it has ended already, or another one of its name was started
            self._ended.set()

    @property
    def is_running(self) -> bool:
        """True from the beginning of a run to its end."""
        running = self._driver.status.state != "stopped"
        return running and not self._ended.is_set()

    def wake(self, reason: WakeReason) -> None:
        """Ask for a look, from any thread."""
        self._driver.wake(reason)

    def news_at(self) -> float:
        """Return when the news came that made it look: an answer since then will do."""
        noticed = self._driver.because == "notice" and self._driver.board.noticed_at
        return noticed or self._clocks.monotonic()

    def pause(self, paused: bool) -> None:
        """Claim no more, or again."""
        with self._lock:
            if self.phase in (Phase.RUNNING, Phase.PAUSED):
                self.phase = Phase.PAUSED if paused else Phase.RUNNING
        self.wake("more" if paused else "manual")

    def drain(self) -> None:
        """Claim no more, give back what was not begun, end when the rest is written."""
        self._go_to(Phase.DRAINING, unless=(Phase.STOPPED, Phase.ABANDONING))

    def abandon(self) -> None:
        """Also give back what still runs."""
        self._go_to(Phase.ABANDONING, unless=(Phase.STOPPED,))

    def _go_to(self, phase: Phase, unless: Sequence[Phase]) -> None:
        with self._lock:
            if self.phase not in unless:
                self.phase = phase
        self._held.wake()
        # a back-off is not waited out: who stops an agent is a person
        self.wake("manual")

    # what the agent's thread does

    def look(self) -> LookResult:
        """Do one look, and end the run where nothing is left to do.

        Raises
        ------
        BaseException
            What a listener or a transform left its thread with, once the run ends.
        """
        self._thread = threading.current_thread()
        looked = None
        try:
            # a dry run that begins beside a running agent does not hinder it
            name = self._name
            with (
                write_permission.real(),
                execution.acting_for(name),
                doing("look", name),
            ):
                looked = self._look()
            self._failing = None
        except Exception as error:
            self._failing = self._failing or (self._clocks.monotonic(), error)
            # also where the catalog does not answer: nothing may be left to write
            if not self._end_if_over(looked):
                raise
        except BaseException as error:  # noqa: BLE001 - told, and raised at the end
            self.leave(error)
        else:
            self._end_if_over(looked)
        if self._left is not None and self._ended.is_set():
            raise self._left
        return looked or LookResult(more=True)

    def _look(self) -> LookResult:
        phase = self.phase
        if phase in (Phase.DRAINING, Phase.ABANDONING):
            self._held.give_back(running=phase is Phase.ABANDONING)
        if phase is not Phase.RUNNING or self._until is not Until.ONCE:
            return self._cycle.look(
                claiming=phase is Phase.RUNNING,
                ending=phase in ENDING,
                conditional=self._driver.because in ("notice", "timer"),
            )
        with self._lock:
            # whatever comes of it, there is no second one
            if self.phase is Phase.RUNNING:
                self.phase = Phase.FINISHING
        try:
            return self._cycle.look(rids=self._rids)
        except Exception as error:
            # what it has claimed all the same is worked on first
            self._claim_error = error
            raise

    def _end_if_over(self, looked: LookResult | None) -> bool:
        if self._until is Until.IDLE and self._is_hindered(looked):
            self.drain()
        with self._lock:
            if not self._is_over(looked):
                return False
            self.phase = Phase.STOPPED
            self._ended.set()
        self._driver.stop(0)
        self._dispatcher.end(wait_for_work=not self._held.stuck)
        if self.phase is not Phase.STOPPED:
            # begun again meanwhile
            self._driver.start()
        return True

    def _is_hindered(self, looked: LookResult | None) -> bool:
        """Whether no work is done, or all that is held can't be written now."""
        if self._dispatcher.hopeless:
            return True
        waiting = self._cycle.waiting
        if not waiting or len(self._held) > waiting or looked is None or looked.more:
            return False
        return self._patience.is_over(self._cycle.left())

    def _is_over(self, looked: LookResult | None) -> bool:
        """Whether nothing is held, and nothing due or new that would be waited for."""
        if self._held or self.phase in ENDING:
            return not self._held
        to_end = self.phase is Phase.RUNNING and self._until is Until.IDLE
        if not to_end or looked is None:
            return False
        return not looked.more and self._patience.is_over(self._cycle.left())

    def leave(self, error: BaseException) -> None:
        """End the run, since somebody's function has left its thread; say so."""
        if self._left is None:
            text = "%s: ends, and what it holds goes back: %s"
            logger.error(text, self._name, traceback_places(error))
        self._left = error
        self.abandon()

    def guarded(self, listener: Listener) -> Listener:
        """Return a listener whose exit ends the run, once the look is done."""

        def told(event: Event) -> None:
            try:
                with execution.acting_for(self._name):
                    listener(event)
            except BaseException as error:
                if isinstance(error, Exception):
                    raise
                self.leave(error)

        return told

    # what others do: they wait

    def stop(self, timeout_s: float, abandon: bool) -> bool:
        """Drain, and wait that long; see `Agent.stop`."""
        if not self.is_running:
            return True
        self.drain()
        if execution.is_acting_for(self._name):
            # it waits for whoever calls: a listener, a transform, the work of a row
            return False
        ended = self._wait(timeout_s)
        if not ended and abandon:
            self.abandon()
            ended = self._wait(max(timeout_s, ABANDON_S))
        if not ended:
            logger.warning("%s: %s", self._name, still_worked_on(len(self._held)))
        return ended

    def run_here(self, begin: Callable[[], None], timeout_s: float | None) -> int:
        """Begin a run and wait for its end; returns how many interrupts came.

        The first one drains, the second abandons, the third gives up; so does a time
        that is over.

        Parameters
        ----------
        timeout_s
            Seconds for running jobs after an interrupt; None: as long as they take.
            The last few of them are for giving back what takes longer.
        """
        last_s = ABANDON_S if timeout_s is None else min(timeout_s / 2, ABANDON_S)
        drain_s = None if timeout_s is None else timeout_s - last_s
        stages = ((begin, None), (self.drain, drain_s), (self.abandon, last_s))
        interrupts = 0
        try:
            for act, seconds in stages:
                try:
                    act()
                    if self._wait(seconds):
                        break
                except KeyboardInterrupt:
                    interrupts += 1
            else:
                self._give_up()
        except BaseException:
            # a signal handler of the user's may raise an exit at any line
            self.abandon()
            self._wait(ABANDON_S)
            raise
        told = self._left or self._claim_error
        if self._failing and not self._ended.is_set():
            told = told or self._failing[1]
        if told is not None and not interrupts:
            raise told
        return interrupts

    def _wait(self, seconds: float | None) -> bool:
        """Wait until the run has ended; without a time, until it is to be given up."""
        left_s, ended = math.inf if seconds is None else seconds, False
        for nth in itertools.count(1):
            wait_s = min(backoff_s(nth, FIRST_WAIT_S, PATIENCE_S), left_s)
            ended = self._clocks.wait(self._ended, wait_s)
            left_s -= wait_s
            lost = seconds is None and (self._is_hopeless() or not self.is_running)
            if ended or lost or left_s <= 0:
                break
        if ended and self._thread is not None:
            self._thread.join(ABANDON_S)
        return ended

    def _is_hopeless(self) -> bool:
        """Whether a run that is to end has no work left, and can't write the rest."""
        if self._failing is None or self.phase not in ENDING or self._held.busy:
            return False
        return self._clocks.monotonic() - self._failing[0] >= PATIENCE_S

    def _give_up(self) -> None:
        """End a run that can't write what it holds, and say what that is."""
        if self._ended.is_set():
            return
        self._halt.set()
        self._driver.stop(0)
        self._dispatcher.end(wait_for_work=False)
        held, now = self._held.held(), self._clocks.monotonic()
        logger.warning("%s: gave up: %s", self._name, what_stays(held, now))


def what_stays(held: Sequence[Held], now: float) -> str:
    """Say which rows stay claimed, and for how long. Pure."""
    if not held:
        return "no row stays claimed"
    rids = " ".join(one.rid for one in held)
    left_s = max(one.deadline for one in held) - now
    until = "until somebody rescues them"
    if left_s < math.inf:
        until = f"for another {max(left_s, 0):.0f} s, then any agent rescues them"
    stay = "stays" if len(held) == 1 else "stay"
    return f"{rows(len(held))} {stay} claimed, {until}: {rids}"


def still_worked_on(n: int) -> str:
    """Say of so many rows that work goes on. Pure."""
    return f"{rows(n)} {'is' if n == 1 else 'are'} still worked on"

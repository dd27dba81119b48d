"""A circuit breaker: whether an executor is given work, as a value. Pure.

After a fault nothing is given until a trial call was answered. The waits between
trials grow with each fault in a row; only work that was done ends the row of them,
since an executor may answer a trial and still fail at the work.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from ermpoll.backoff import jittered_s

#: First and longest wait before a trial, in seconds, with full jitter.
TRIAL_FIRST_S, TRIAL_LONGEST_S = 1.0, 60.0
#: A trial without an answer for so long is asked anew, and told of, in seconds.
TRIAL_LIMIT_S = 10.0


class Circuit(Enum):
    """What an executor gets."""

    #: Work.
    CLOSED = "closed"
    #: Nothing, until it is time for a trial.
    OPEN = "open"
    #: A trial call, whose answer is awaited.
    TRYING = "trying"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """What is known of an executor; ``now`` is any rising reading in seconds."""

    circuit: Circuit = Circuit.CLOSED
    #: Faults in a row, without work that was done in between.
    faults: int = 0
    #: What the last fault was; "" while it gets work.
    reason: str = ""
    #: When the next trial is due, or the one that is asked is asked anew.
    at: float = 0.0
    #: Since when an answer is awaited.
    asked_at: float = 0.0

    def failed(self, now: float, rand: float, reason: str) -> Breaker:
        """Take note of a fault; those of one break, all at once, count as one."""
        if self.circuit is Circuit.OPEN:
            return self
        faults = self.faults + 1
        wait_s = jittered_s(faults, TRIAL_FIRST_S, TRIAL_LONGEST_S, rand)
        return Breaker(
            circuit=Circuit.OPEN, faults=faults, reason=reason, at=now + wait_s
        )

    def trying(self, now: float) -> Breaker:
        """Take note that a trial was begun, maybe in place of one without an answer."""
        since = self.asked_at if self.circuit is Circuit.TRYING else now
        at = now + TRIAL_LIMIT_S
        return replace(self, circuit=Circuit.TRYING, at=at, asked_at=since)

    def anew(self, now: float) -> Breaker:
        """Take note that an agent begins: it waits out no old back-off or answer."""
        awaited = self.circuit is Circuit.TRYING
        return replace(self, circuit=Circuit.OPEN if awaited else self.circuit, at=now)

    def silent_s(self, now: float) -> float:
        """Return for how many seconds no trial was answered; 0 while it may yet be.

        No fault, however long: a cluster may wait for hours for its first worker.
        """
        waited_s = now - self.asked_at if self.circuit is Circuit.TRYING else 0.0
        return waited_s if waited_s >= TRIAL_LIMIT_S else 0.0

    def answered(self) -> Breaker:
        """Take note that the trial was answered."""
        return Breaker(faults=self.faults)

    def worked(self) -> Breaker:
        """Take note that a job was done."""
        return Breaker() if self.circuit is Circuit.CLOSED else self

    def due_s(self, now: float) -> float | None:
        """Return the seconds until there is something to do, or None."""
        if self.circuit is Circuit.CLOSED:
            return None
        return max(self.at - now, 0.0)

"""How many rows to hold, and how long to wait for more to finish. Pure.

One write costs a catalog much more than one row more in it, so short jobs are
claimed and completed in large batches and long jobs one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

#: Rows in hand at most: one PUT finishes half of them and claims as many, while the
#: other half is worked on. More gains little and takes long to give back.
MOST = 500
#: How much a new measurement counts.
WEIGHT = 0.3
#: Longest wait for more jobs to finish before a write, in seconds.
LONGEST_BATCH_WAIT_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefetch:
    """What was measured so far, and what follows from it.

    Attributes
    ----------
    workers
        Jobs that run at a time.
    prefetch
        Rows to hold beyond the workers; None lets it adapt.
    lease_s
        Seconds that a claim counts.
    """

    workers: int
    lease_s: float
    prefetch: int | None = None
    #: Seconds a job takes; None before the first has finished.
    work_s: float | None = None
    #: Seconds from a look's first request to its last answer.
    cycle_s: float = 0.02
    #: Rows held at most now.
    hold: int = 0

    def worked(self, seconds: float) -> Prefetch:
        """Take in how long a job took."""
        known = self.work_s
        work_s = seconds if known is None else known + WEIGHT * (seconds - known)
        return replace(self, work_s=work_s)

    def cycled(self, seconds: float, ran_dry: bool) -> Prefetch:
        """Take in how long a look with a write took, and whether workers ran dry."""
        cycle_s = self.cycle_s + WEIGHT * (seconds - self.cycle_s)
        pace = replace(self, cycle_s=cycle_s)
        target = pace._target()
        hold = max(self.hold, self.workers)
        # doubling: one odd measurement must not take a whole table
        grown = min(target, hold * 2) if ran_dry else min(target, hold)
        return replace(pace, hold=grown)

    @property
    def capacity(self) -> int:
        """Rows to hold at most now."""
        if self.prefetch is not None:
            return self.workers + self.prefetch
        return max(self.hold, self.workers)

    @property
    def batch_wait_s(self) -> float:
        """How long a write waits for more jobs to finish, in seconds."""
        if self.work_s is None or self.work_s > self.cycle_s:
            return 0.0
        return min(self.cycle_s, LONGEST_BATCH_WAIT_S)

    def _target(self) -> int:
        """Rows that keep the workers busy during a look, within a quarter lease."""
        if self.work_s is None:
            return self.workers
        per_worker = 2 * self.cycle_s / max(self.work_s, 1e-4)
        within_lease = self.lease_s / 4 / max(self.work_s, 1e-4)
        if per_worker < 1:
            return self.workers
        rows = self.workers * min(1 + per_worker, max(within_lease, 1))
        return max(self.workers, min(int(rows), MOST))

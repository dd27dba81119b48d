"""How many rows to hold and to write at once, and how long to wait for more. Pure.

One write costs a catalog much more than one row more in it, so short jobs are
claimed and completed in large batches and long jobs one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ermpoll.catalog.slots import SHARE, SLOT_S
from ermpoll.queue.plan import BATCH

#: How much a new measurement counts.
WEIGHT = 0.3
#: Longest wait for more jobs to finish before a write, in seconds.
LONGEST_BATCH_WAIT_S = 0.05
#: What a write may take, in seconds: a longer one gains little, and others wait for it.
WRITE_S = 0.14
#: The same for one each of all that take turns, so that nobody's result waits long.
ROUND_S = 0.36
#: Longest wait for all jobs to finish while others have their turns.
OTHERS_S = 0.1
#: A write of fewer rows tells nothing of what a row costs, and this many always do.
LEAST_BATCH = 100
#: So many rows more are held for each job that was short: one that ends at once may be
#: an odd one, and must not take a whole table.
TRUST = 16


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
    #: Seconds a job takes; None before the first has finished. And how many have.
    work_s: float | None = None
    worked_n: int = 0
    #: Seconds from a look's first request to its last answer.
    cycle_s: float = 0.02
    #: Seconds a row of a write costs; None before a large one.
    row_s: float | None = None
    #: Who takes turns at writing, this one included.
    writers: int = 1
    #: Whether writes have to end within a slot of the catalog's time.
    slotted: bool = False
    #: Rows held at most now.
    hold: int = 0

    def worked(self, seconds: Sequence[float]) -> Prefetch:
        """Take in how long the jobs took that ended since the last look."""
        if not seconds:
            return self
        work_s = sum(seconds) / len(seconds)
        if self.work_s is not None:
            work_s = self.work_s + WEIGHT * (work_s - self.work_s)
        return replace(self, work_s=work_s, worked_n=self.worked_n + len(seconds))

    def wrote(self, rows: int, seconds: float) -> Prefetch:
        """Take in how long the answer to a write of so many rows took."""
        if rows < LEAST_BATCH:
            return self
        row_s = seconds / rows
        if self.row_s is not None:
            row_s = self.row_s + WEIGHT * (row_s - self.row_s)
        return replace(self, row_s=row_s)

    def cycled(self, seconds: float, ran_dry: bool) -> Prefetch:
        """Take in how long a look with a write took, and whether workers ran dry."""
        cycle_s = self.cycle_s + WEIGHT * (seconds - self.cycle_s)
        pace = replace(self, cycle_s=cycle_s)
        target = pace._target()
        hold = max(self.hold, self.workers)
        trusted = self.workers + TRUST * self.worked_n
        grown = min(target, max(hold, trusted)) if ran_dry else min(target, hold)
        return replace(pace, hold=grown)

    @property
    def capacity(self) -> int:
        """Rows to hold at most now."""
        if self.prefetch is not None:
            return self.workers + self.prefetch
        return max(self.hold, self.workers)

    @property
    def batch(self) -> int:
        """Rows of a write at most now: what finishes and what is claimed."""
        write_s = min(WRITE_S, ROUND_S / self.writers, self.lease_s / 8)
        if self.slotted:
            write_s = min(write_s, SHARE * SLOT_S)
        rows = BATCH if self.row_s is None else int(write_s / max(self.row_s, 1e-6))
        return max(LEAST_BATCH, min(rows, BATCH))

    @property
    def share(self) -> int:
        """Rows to claim at most in one write.

        Of short jobs half of what is held: they are worked on while the next write
        finishes the other half. Not while others have their turns: those do.
        """
        halves = self.is_short and self.is_alone
        return max(self.workers, self.capacity // 2 if halves else self.capacity)

    @property
    def is_alone(self) -> bool:
        """Whether nobody takes turns with this one."""
        return self.writers == 1 and not self.slotted

    @property
    def is_short(self) -> bool:
        """Whether jobs end while a look goes on."""
        return self.work_s is not None and self.work_s <= self.cycle_s

    @property
    def batch_wait_s(self) -> float:
        """How long a write waits for more jobs to finish, in seconds."""
        if self.work_s is None or not self.is_short:
            return 0.0
        # what runs has ended by then; others write meanwhile, where there are any
        return min(self.work_s, LONGEST_BATCH_WAIT_S) if self.is_alone else OTHERS_S

    def _target(self) -> int:
        """Rows that keep the workers busy during a look, within a quarter lease."""
        if self.work_s is None:
            return self.workers
        work_s = max(self.work_s, 1e-4)
        per_worker = 2 * self.cycle_s / work_s
        within_lease = (self.lease_s / 4 - self.cycle_s) / work_s
        if per_worker < 1:
            return self.workers
        rows = self.workers * min(1 + per_worker, max(within_lease, 1))
        most = self.batch if self.is_alone else self.batch // 2
        return max(self.workers, min(int(rows), most))

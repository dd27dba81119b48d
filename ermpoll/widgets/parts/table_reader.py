"""What a monitor shows of the table itself: rows per state, failures, stale claims.

Read on a thread of its own and sparingly: after a look that found the catalog
changed, at most every five seconds, and only while somebody may be looking.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ermpoll.errors import ErmpollError
from ermpoll.records import SYSTEM_COLUMNS, Status
from ermpoll.widgets.base import monotonic
from ermpoll.widgets.threads import CommandThread

if TYPE_CHECKING:
    from ermpoll.queue import Queue
    from ermpoll.queue.table import Candidates

#: The shortest time between two readings, in seconds.
EVERY_S = 5.0
#: Failed and stale rows that are read.
ROWS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One reading of the table."""

    #: Rows per state word.
    counts: dict[str, int] = field(default_factory=dict)
    #: The newest failed rows, as Candidates, or None before the first reading.
    failures: Candidates | None = None
    #: Claims that are overdue, as Candidates, or None.
    stale: Candidates | None = None
    #: Why the last reading failed, or "".
    error: str = ""


class TableReader:
    """Readings of a queue's table.

    Parameters
    ----------
    jobs
        The queue.
    lane
        Where the reading is done.
    changed
        Called after a reading.
    """

    def __init__(
        self, jobs: Queue, lane: CommandThread, changed: Callable[[], None]
    ) -> None:
        self._jobs, self._lane, self._changed = jobs, lane, changed
        self._seen: tuple[object, ...] | None = None
        self._read_at = float("-inf")
        self.now = Reading()

    def read(self) -> None:
        """Read now, in this thread; a failure is kept in words and not raised."""
        self._read_at = monotonic()
        try:
            self.now = Reading(
                counts=self._jobs.counts(),
                failures=self._jobs.failures(limit=ROWS),
                stale=self._jobs.stale(),
            )
        except ErmpollError as error:
            self.now = replace(self.now, error=f"{type(error).__name__}: {error}")
        self._changed()

    def follow(self, status: Status) -> float | None:
        """Have the table read where a status says that it changed.

        Returns
        -------
        float or None
            Seconds until a reading that had to wait is due; None: nothing waits.
        """
        seen = _seen(status)
        if seen == self._seen:
            return None
        wait_s = self._read_at + EVERY_S - monotonic()
        if self._seen is None and wait_s > 0:
            # It was read when the panel was made.
            self._seen = seen
            return None
        if wait_s > 0:
            return wait_s
        self._seen = seen
        self._lane.submit("read", self.read)
        return None


def _seen(status: Status) -> tuple[object, ...]:
    """What must change before the table is read again: looks that were no 304."""
    looks = sum(status.looks.get(word, 0) for word in ("rows", "empty"))
    return (looks, status.state == "stopped")


def reason_columns(jobs: Queue, rows: Candidates) -> list[str]:
    """Name the columns that say why and since when, before one that says what."""
    definition = jobs.definition
    if rows.kind == "failures":
        first = [definition.error or definition.state, definition.attempts, "RMT"]
    else:
        first = [definition.owner, "RMT", "RMB"]
    what = [name for name in jobs.columns if name not in SYSTEM_COLUMNS][:1]
    return [name for name in (*first, *what) if name]

"""One reading of a queue's table and of who works it, for all that a panel shows.

Read on a thread of its own, at most once a second, where the status says that
something changed; what an act changed is read at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ermpoll.errors import ErmpollError
from ermpoll.records import Row, Running, Status
from ermpoll.widgets.base import monotonic
from ermpoll.widgets.threads import CommandThread

if TYPE_CHECKING:
    from ermpoll.queue import Queue

#: The shortest time between two readings, in seconds.
EVERY_S = 1.0
#: Seconds between two readings of the overdue claims: those come with time alone.
STALE_EVERY_S = 5.0
#: How often the status is asked for around the counts, so that both are of one time.
_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One reading of the table."""

    #: When it was read; None: it was not.
    at: datetime | None = None
    #: What the agent or poller said of itself then.
    status: Status | None = None
    #: Rows per state word.
    counts: Mapping[str, int] = field(default_factory=dict)
    #: Rows that the next claim could take.
    waiting: int = 0
    #: Claims that are overdue.
    stale: tuple[Row, ...] = ()
    #: Rows that the catalog refuses to write, and why.
    refused: Mapping[str, str] = field(default_factory=dict)
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
    status
        What the agent or poller says of itself.
    also
        Called with each reading before it is shown, and whether to be sparing: reads
        what depends on it.
    """

    def __init__(
        self,
        jobs: Queue,
        lane: CommandThread,
        changed: Callable[[], None],
        status: Callable[[], Status],
        also: Callable[[Reading, bool], None] = lambda reading, sparing: None,
    ) -> None:
        self._jobs, self._lane, self._changed = jobs, lane, changed
        self._status, self._also = status, also
        self._seen: tuple[object, ...] | None = None
        self._read_at = self._stale_at = float("-inf")
        self.now = Reading()

    def read(self, *, sparing: bool = False) -> None:
        """Read now, in this thread; a failure is kept in words and not raised.

        ``sparing``: what takes long, or comes with time alone, is not read anew.
        """
        self._read_at = monotonic()
        try:
            made = self._made(sparing)
            self._also(made, sparing)
            self.now = made
        except ErmpollError as error:
            told = f"{type(error).__name__}: {error}"
            self.now = replace(self.now, status=self._status(), error=told)
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
        self._lane.submit("read", lambda: self.read(sparing=True))
        return None

    def shown(self, status: Status) -> Status:
        """Give the status that goes with the reading, its progress that of now."""
        if self.now.status is None:
            return status
        live = {one.rid: one for one in status.running}
        running = tuple(_brought(one, live) for one in self.now.status.running)
        return replace(self.now.status, running=running)

    def _made(self, sparing: bool) -> Reading:
        jobs, status = self._jobs, self._status()
        for _ in range(_TRIES):
            before, counts = status, jobs.counts()
            status = self._status()
            if _counted(before) == _counted(status):
                break
        at, refused = datetime.now(UTC), jobs.rights.set_aside
        return Reading(
            at=at,
            status=status,
            counts=counts,
            waiting=jobs.waiting(),
            stale=self._stale(counts, sparing),
            refused=jobs.refused().refused if len(refused) else {},
        )

    def _stale(self, counts: Mapping[str, int], sparing: bool) -> tuple[Row, ...]:
        if not counts.get(self._jobs.definition.claimed):
            return ()
        if sparing and monotonic() < self._stale_at + STALE_EVERY_S:
            return self.now.stale
        self._stale_at = monotonic()
        return tuple(self._jobs.stale().rows)


def _brought(one: Running, live: Mapping[str, Running]) -> Running:
    now = live.get(one.rid, one)
    return replace(one, progress=now.progress, doing=now.doing)


def _counted(status: Status) -> tuple[int, ...]:
    """What goes with the counts of the table."""
    return (
        status.claimed,
        status.completed,
        status.failed,
        status.retried,
        status.released,
        status.rescued,
        status.lost,
    )


def _seen(status: Status) -> tuple[object, ...]:
    """What must change before the table is read again: a 304 is no change."""
    looks = sum(status.looks.get(word, 0) for word in ("rows", "empty"))
    known = (status.refused, status.held, len(status.running))
    return (looks, *_counted(status), *known, status.state == "stopped")

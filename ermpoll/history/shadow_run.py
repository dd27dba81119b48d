"""A back-test that rolls on: a transform in the shadow of what works a queue today.

Looks when something was written, reads what became of the rows since the look before,
and lets the same `Decider` judge it that a back-test has. It only reads.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, TypeVar

from ermpoll import render
from ermpoll.backoff import Pace
from ermpoll.catalog import paths, write_permission
from ermpoll.catalog.client import Catalog
from ermpoll.catalog.clock import time_text
from ermpoll.catalog.conditional import ConditionalReader
from ermpoll.catalog.credentials import Session
from ermpoll.errors import ReadingStopped, UsageError
from ermpoll.history.backtest import check_transform, only_of, waiting_at
from ermpoll.history.model_then import TablePast
from ermpoll.history.past import RATE, Past, pace_of
from ermpoll.history.periods import BoundedGap, read_versions
from ermpoll.history.shadow_record import MOST_ROWS, ShadowComparison, ShadowRecord
from ermpoll.history.versions import Step
from ermpoll.polling.poller import Poller
from ermpoll.polling.status import Listener
from ermpoll.queue.queue import Queue, checked_queue
from ermpoll.queue.table import QueueTable
from ermpoll.records import JSON, LivePanel, LookResult, Page, Status, Transform
from ermpoll.redact import hidden
from ermpoll.shown import Shown

if TYPE_CHECKING:
    from ermpoll.notices.base import Notices
    from ermpoll.render.frames import DataFrame

T = TypeVar("T")
#: The shortest time between two looks that notices ask for, in seconds.
COALESCE_S = 1.0


class Shadow(Shown):
    """A transform in the shadow of what works a queue today; made by `shadow`.

    Nothing runs before `start`. A `with` block starts and stops it.

    Attributes
    ----------
    name
        Under it `ermpoll.agents` lists it while it runs.
    comparison
        A `ShadowComparison`, as of the last look.

    Notes
    -----
    Started again after `stop`, or when a catalog is back that was away, it goes on
    where it was: what was done meanwhile is read then.

    Examples
    --------
    >>> with ermpoll.shadow(jobs, lambda row: {"Priority": 1}) as shadow:
    ...     shadow.status.name
    'shadow of Imaging:...'
    """

    def __init__(
        self,
        jobs: QueueTable,
        transform: Transform,
        *,
        notices: str | Notices | None,
        poll_s: float,
        rate: float | None,
        name: str | None,
    ) -> None:
        self._jobs = jobs
        self._stop = threading.Event()
        # what waits longer for a catalog than a look is the poller, which says so
        self._pace = pace_of(rate, patience_s=0)
        self._record = ShadowRecord(jobs, transform)
        self.comparison: ShadowComparison = self._record.comparison()
        self._poller = Poller(
            self._look,
            notices=notices,
            poll_s=poll_s,
            coalesce_s=COALESCE_S,
            name=name or f"shadow of {jobs.title}",
            listed_as=self,
        )
        self.name: str = self._poller.name
        #: How many rows there were at the last look, and the newest version.
        self._met: list[dict[str, JSON]] | None = None
        #: How many rows there were up to where all is read; None: not known.
        self._size: int | None = None
        self._gate = ConditionalReader(
            _PacedCatalog(jobs.catalog, self._pace, self._stop),
            columns=("n", "last"),
            log_in=self._poller.board.log_in,
        )

    @property
    def status(self) -> Status:
        """What it says of itself at this moment, as a `Poller` does."""
        return self._poller.status

    @property
    def frame(self) -> DataFrame:
        """What `Comparison.frame` has of the last look: one line a cell."""
        return self.comparison.frame

    def start(self) -> Shadow:
        """Look in the background until `stop`; twice is once. Returns itself."""
        self._stop.clear()
        self._poller.start()
        return self

    def stop(self, timeout_s: float = 30) -> bool:
        """Stop, also in the middle of a reading; True when it has stopped in time."""
        self._stop.set()
        return self._poller.stop(timeout_s)

    def pause(self) -> None:
        """Look no more until `resume`."""
        self._poller.pause()

    def resume(self) -> None:
        """Look again, beginning at once."""
        self._poller.resume()

    def look_now(self) -> None:
        """Look at once, whenever the next look is due."""
        self._poller.look_now()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with each Event, as `Poller.subscribe` does."""
        return self._poller.subscribe(listener)

    def panel(self) -> LivePanel:
        """Give the live view, for a notebook."""
        # by name: the widgets lie above
        made: LivePanel = importlib.import_module("ermpoll.widgets").shadow(self)
        return made

    def __enter__(self) -> Shadow:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} {self.status.state}>"

    def __str__(self) -> str:
        return str(self.comparison)

    def _repr_html_(self) -> str:
        return render.shadow(self)

    # a look, on the poller's thread

    def _look(self) -> LookResult:
        try:
            # of this thread alone: what the user does in others goes on
            with write_permission.dry():
                return self._looked()
        except ReadingStopped:
            return LookResult(outcome="unchanged", detail="stopped")

    def _looked(self) -> LookResult:
        rows = paths.join(self._jobs.definition.table.path, only_of(self._jobs))
        page = self._gate.read(
            paths.join("aggregate", rows, "n:=cnt(RID),last:=max(RMT)"),
            unconditional=self._poller.because == "manual",
        )
        if page is None:
            return LookResult(outcome="unchanged", detail="304, nothing new")
        ended = self._read() if page.rows != self._met else 0
        # not before all was read: what fails is asked for again
        self._met = page.rows
        self._gate.keep(page.etag, None)
        return LookResult(
            found=ended > 0,
            outcome="rows" if ended else "empty",
            etag_moved=self._gate.moved,
            detail=f"looked, {ended:,} rows finished",
        )

    def _read(self) -> int:
        """Read what was written since the look before; how many rows ended."""
        past = Past(self._jobs.catalog, rate=self._pace, stop=self._stop)
        try:
            return self._read_on(past)
        finally:
            self._record.tell(past.told)
            self.comparison = self._record.comparison(self._pace.turns)

    def _read_on(self, past: Past) -> int:
        table, record = TablePast(past, self._jobs.definition), self._record
        if record.until is None:
            self._begin(table, past.last)
            return 0
        if record.until >= past.last:
            return 0
        period = past.period(record.until, past.last)
        # where nothing can be told it is not the time to go on
        table.definition(period.until)
        versions = read_versions(
            table,
            period,
            windows=1,
            gap=BoundedGap(),
            most_rows=MOST_ROWS,
            deleted=False,
            only=only_of(self._jobs),
        )
        if versions.sampled:
            past.tell(
                f"more than {MOST_ROWS:,} rows changed until "
                f"{time_text(period.until)[:19]} UTC: begun anew there"
            )
            self._begin(table, period.until)
            return 0
        steps = versions.steps()
        before, self._size = self._size, None
        ended = self._decide(steps)
        size = table.count(period.until, only_of(self._jobs))
        came = sum(step.before is None for step in steps)
        if before is None or size < before + came:
            self._forget_deleted(table, period.until)
        record.until, self._size = period.until, size
        record.names |= past.names(record.unnamed)
        return ended

    def _begin(self, table: TablePast, at: datetime) -> None:
        """Begin with what waits at a moment; a slow transform is left by a stop."""
        waiting = waiting_at(table, at, MOST_ROWS)
        self._size = table.count(at, only_of(self._jobs))
        self._record.begin(at, map(self._going_on, waiting))

    def _forget_deleted(self, table: TablePast, at: datetime) -> None:
        """Follow no rows that are gone: nobody will finish them."""
        waiting = self._record.waiting
        here = table.these(at, waiting, ["RID"])
        self._record.forget(rid for rid in waiting if rid not in here)

    def _decide(self, steps: Sequence[Step]) -> int:
        """Decide moment by moment, so that a stop between two loses nothing."""
        ended = 0
        for _, together in groupby(steps, lambda step: step.at):
            ended += len(self._record.follow(self._going_on(list(together))))
        return ended

    def _going_on(self, one: T) -> T:
        """Return what is to be decided about next, unless it is to stop."""
        if self._stop.is_set():
            raise ReadingStopped()
        return one


class _PacedCatalog:
    """A catalog that is read from in turns."""

    def __init__(self, catalog: Catalog, pace: Pace, stop: threading.Event) -> None:
        self.url = catalog.url
        self._catalog = catalog
        self._pace = pace
        self._stop = stop

    def get(self, path: str, *, etag: str | None = None) -> Page | None:
        self._pace.wait(self._stop)
        return self._catalog.get(path, etag=etag)

    def session(self) -> Session | None:
        self._pace.wait(self._stop)
        return self._catalog.session()


def shadow(
    jobs: Queue,
    transform: Transform,
    *,
    notices: str | Notices | None = None,
    poll_s: float = 60,
    rate: float | None = RATE,
    name: str | None = None,
) -> Shadow:
    """Watch what a transform would do, beside what is done today; never a write.

    It reads a queue that something else works: an agent, an old daemon, people.
    Each row that is finished is compared, cell by cell, with what the transform would
    have written, as `Queue.backtest` does: ``same``, ``other``, ``missed`` (only they
    wrote) or ``new`` (only the transform would have, so far).

    Parameters
    ----------
    jobs
        The queue, of a live catalog that keeps its history.
    transform
        A function from a row to a dict of changes, or None for leaving the row alone;
        the state that means done is added. Called on a thread of its own, once or
        more for each row, and without the right to write.
    notices
        Where notices come from: None (the timer alone), an AMQP address or a Notices
        object.
    poll_s
        The longest time between two looks, in seconds.
    rate
        Requests a second at most; None: as fast as they are answered.
    name
        Under it `agents` lists it, and it replaces the running one of that name. By
        default it names the table.

    Returns
    -------
    Shadow
        Not started yet: `Shadow.start`, `Shadow.stop`, `Shadow.comparison`,
        `Shadow.frame`, `Shadow.panel`.

    Raises
    ------
    UsageError
        The transform can't be called, a number is none, or the queue is of the past.

    Notes
    -----
    Where more is written than can be read at this rate, some changes are seen together
    with those after them, and that is told. A row that comes and goes between two
    looks leaves nothing to compare. Only writes that the transform sends on its own
    thread are refused: one that starts threads can write there.

    Examples
    --------
    >>> with ermpoll.shadow(jobs, transform) as shadow:  # doctest: +SKIP
    ...     shadow.panel()
    """
    jobs = checked_queue(jobs)
    check_transform(transform)
    if jobs.catalog.is_snapshot:
        raise UsageError(
            f"expected a queue of today, found one as of {jobs.catalog.now()}; "
            "backtest() holds a transform against the past"
        )
    return Shadow(
        jobs,
        transform,
        notices=hidden(notices),
        poll_s=poll_s,
        rate=rate,
        name=name,
    )

"""The failed rows of a queue: all of them, those that failed alike, one in a drawer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ermpoll.errors import ErmpollError, UsageError
from ermpoll.records import SYSTEM_COLUMNS, Row
from ermpoll.render import failures
from ermpoll.render.groups import ErrorGroup, grouped
from ermpoll.render.tables import rid_of
from ermpoll.widgets.base import monotonic
from ermpoll.widgets.parts.row_readers import QueueRows
from ermpoll.widgets.parts.row_table import RowTable, rows_drawn
from ermpoll.widgets.parts.sheet_traits import Chip

if TYPE_CHECKING:
    from ermpoll.queue import Queue
    from ermpoll.render.failures import AttemptLike

#: The newest failed rows that are grouped by their errors, and groups that are offered.
GROUPED, OFFERED = 10_000, 8
#: Rows of a page: what stands below is to be in sight as well.
PAGE = 20
#: For how many times as long as a reading took the next one waits.
_REST = 20.0


class FailedRows:
    """What failed, to search, tick, open and act on.

    Parameters
    ----------
    jobs
        The queue.
    later
        Has something done on another thread, as for `RowTable`.
    changed
        Called when it wants to be drawn.
    attempts
        What is remembered of how the work of a row failed.
    retry
        Retries what is ticked: the key ``r``.
    """

    def __init__(
        self,
        jobs: Queue,
        later: Callable[[str, Callable[[], object]], object],
        changed: Callable[[], None],
        attempts: Callable[[str], Sequence[AttemptLike]],
        retry: Callable[[], object],
    ) -> None:
        self.jobs = jobs
        self._attempts, self._later, self._changed = attempts, later, changed
        #: The column that says why, and what is shown of a row.
        self.column = jobs.definition.error or jobs.definition.state
        reader = QueueRows(jobs, failures=True, columns=_columns(jobs, self.column))
        self.table = RowTable(
            reader,
            drawn=rows_drawn(jobs, "Failed", lambda: reader.columns),
            changed=changed,
            later=later,
            opened=self.drawer,
            keys={"r": retry},
            size=PAGE,
        )
        #: Rows that failed alike, the largest group first.
        self.groups: tuple[ErrorGroup, ...] = ()
        #: How many failed when it was read; None: it was not read.
        self.count: int | None = None
        self._grouped, self._due_at = False, float("-inf")

    def close(self) -> None:
        """Close the table. Twice is once."""
        self.table.close()

    def follow(self, count: int, *, anew: bool) -> None:
        """Read the failed rows where there are others than before.

        The page comes at once. All errors are not grouped at each change: a grouping
        that takes long is followed by a longer rest, but for ``anew``, when an act has
        changed some.

        Raises
        ------
        ErmpollError
            They can't be read; what is shown stays.
        """
        first = self.count is None
        if anew or count != self.count:
            self.table.load()
            self.count, self._grouped = count, False
        if first:
            self.regroup_later()
        elif anew or self.due_s == 0:
            self._regroup()

    @property
    def due_s(self) -> float | None:
        """In how many seconds the errors are to be grouped anew; None: they are."""
        if self._grouped or self.count is None:
            return None
        return max(0.0, self._due_at - monotonic())

    def regroup_later(self) -> None:
        """Group the errors on another thread."""
        self._later("group", self._regroup)

    def _regroup(self) -> None:
        begun = monotonic()
        path = self.jobs.queries.failure_reasons(GROUPED)
        rows = self.jobs.catalog.rows(path, "RID") if self.count else []
        self.groups = grouped(rows, self.column)
        self.table.chips = [_chip(g, self.column) for g in self.groups[:OFFERED]]
        self._grouped = True
        self._due_at = monotonic() + _REST * (monotonic() - begun)
        self._changed()

    @property
    def group(self) -> ErrorGroup | None:
        """The group that is picked above the table, or None."""
        view = self.table.view
        pressed = {chip.key for chip in self.table.chips if chip.pressed(view)}
        return next((g for g in self.groups if g.text in pressed), None)

    def alike(self) -> tuple[Row, ...]:
        """Give the rows of the group that is picked, as they were read.

        Raises
        ------
        UsageError
            None is picked.
        """
        if self.group is None:
            raise UsageError("expected an error that was picked, found none; pick one")
        return tuple(self.group.rows)

    def open(self) -> str:
        """Open the ticked rows; returns their errors, a line each."""
        rows = self.table.picked
        if not rows:
            raise UsageError("expected a row to open, found none; tick one")
        for row in rows:
            self.table.tell(rid_of(row), self.drawer(row))
        return "\n".join(str(row.get(self.column) or "") for row in rows)

    def drawer(self, row: Row) -> str:
        """Tell all that there is to tell of a row that failed."""
        rid = rid_of(row)
        try:
            why = self.jobs.why(rid)
        except ErmpollError as error:
            # what is at hand is told all the same
            why = f"{type(error).__name__}: {error}"
        return failures.drawer(
            self.jobs,
            row,
            error=str(row.get(self.column) or ""),
            why=why,
            owner=self.jobs.definition.owner,
            attempts=self._attempts(rid),
            columns=self.jobs.shown_columns("failures"),
            zone=self.table.view.zone,
        )


def _columns(jobs: Queue, error: str) -> list[str]:
    """Name the columns that say why, how often and since when, before what it is."""
    what = [name for name in jobs.columns if name not in SYSTEM_COLUMNS][:2]
    first = [error, jobs.definition.attempts, "RMT"]
    return list(dict.fromkeys(name for name in (*first, *what) if name))


def _chip(group: ErrorGroup, column: str) -> Chip:
    """Offer a group as a filter: what all of its errors have in common."""
    text = group.text or "no error"
    short = text if len(text) <= 60 else text[:59] + "…"
    return Chip(
        key=group.text,
        text=f"{len(group.rows):,}: {short}",
        tone="bad",
        filters={column: group.piece or "empty"},
        title=text,
    )

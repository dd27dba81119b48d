"""One row's life in a drawer: read slowly, beside whatever else a panel does."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ermpoll.errors import UsageError
from ermpoll.records import Row
from ermpoll.render.pasts import history_body
from ermpoll.render.tables import rid_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ermpoll.queue import Queue
    from ermpoll.render.shapes import HistoryLike

#: Versions that are read at most, the newest; by code all can be had.
VERSIONS = 40


class RowHistory:
    """What became of the first ticked row, from the catalog alone."""

    def __init__(self, jobs: Queue) -> None:
        self.jobs = jobs
        #: What was read last, as HTML, or "".
        self.html = ""
        self._stop = threading.Event()

    def open(self, rows: Sequence[Row]) -> HistoryLike:
        """Read a row's life.

        Raises
        ------
        UsageError
            No row is ticked.
        ReadingStopped
            The panel was closed meanwhile.
        """
        if not rows:
            raise UsageError("expected a ticked row to tell of, found none; tick one")
        told = self.jobs.history(rid_of(rows[0]), most=VERSIONS, stop=self._stop)
        self.html = history_body(told)
        return told

    def close(self) -> None:
        """End a reading that is going on."""
        self._stop.set()

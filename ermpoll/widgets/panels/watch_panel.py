"""The watch: a poller over the candidates that only reads, with its live view."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import ipywidgets as W

from ermpoll import render
from ermpoll.polling import Poller
from ermpoll.polling.watcher import Query, QueryWatcher
from ermpoll.queue import transitions
from ermpoll.queue.table import Candidates
from ermpoll.records import LookResult
from ermpoll.widgets.base import html
from ermpoll.widgets.panels.monitor_panel import MonitorPanel

if TYPE_CHECKING:
    from ermpoll.notices.base import Notices
    from ermpoll.queue import Queue

_ROWS = 20


class CandidateWatch:
    """What a watch's poller does at each look: read the candidates, nothing else."""

    def __init__(self, jobs: Queue, notices: str | Notices | None) -> None:
        self.jobs = jobs
        #: The Candidates of the last look, or None before the first.
        self.candidates: Candidates | None = None
        #: When the last look began: what is no candidate then is the next to be one.
        self._now = jobs.catalog.now()
        self.poller = Poller(self.look, notices=notices, name=f"watch of {jobs.title}")
        self._watcher = QueryWatcher(
            jobs.catalog,
            Query(
                path=self._path,
                limit=_ROWS,
                noun="candidate",
                due_s=self._due_s,
            ),
            log_in=self.poller.board.log_in,
        )

    def look(self) -> LookResult:
        """Read the first candidates and say what is new about them."""
        conditional = self.poller.because in ("notice", "timer")
        looked = self._watcher.look(unconditional=not conditional)
        if looked.outcome != "unchanged":
            self.candidates = Candidates(
                jobs=self.jobs,
                rows=self._watcher.rows or [],
                more=self._watcher.more,
            )
        return looked

    def _path(self) -> str:
        self._now = self.jobs.catalog.now()
        return self.jobs.queries.candidates(self._now, _ROWS + 1)

    def _due_s(self) -> float | None:
        path = self.jobs.queries.next_retry(self._now)
        rows = self.jobs.catalog.rows(path, "RID") if path else []
        definition = self.jobs.definition
        return transitions.due_s(definition, rows[0], self._now) if rows else None


class WatchPanel(MonitorPanel):
    """Candidates as they come and go. Reads only: it never claims.

    Attributes
    ----------
    agent
        The Poller behind it, which Start starts.
    """

    def __init__(
        self,
        jobs: Queue,
        *,
        notices: str | Notices | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._watch = CandidateWatch(jobs, notices)
        poller = self._watch.poller
        super().__init__(poller, jobs=jobs, acts=False, changed=changed)

    @property
    def candidates(self) -> Candidates | None:
        """The Candidates of the last look, or None before the first."""
        return self._watch.candidates

    def close(self) -> None:
        """Stop the poller and close the view. Twice is once."""
        self.agent.stop(timeout_s=5)
        super().close()

    def _cells(self) -> list[W.Widget]:
        """The rows under the log, in sight together: one tells of the other."""
        self._rows = html(css="ermpoll-across")
        first, running, log, *others = super()._cells()
        return [first, running, log, self._rows, *others]

    def _draw(self) -> None:
        super()._draw()
        self._rows.value = self._rows_html()

    def _rows_html(self) -> str:
        if self.candidates is None:
            return ""
        return render.candidates_body(self.candidates, zone=self.zone, zoned=False)

    def _body(self) -> str:
        return super()._body() + self._rows_html()

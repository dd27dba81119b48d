"""The watch: a poller over the candidates that only reads, with its live view."""

from __future__ import annotations

from typing import Any

import ipywidgets as W

from ermpoll import render
from ermpoll.poller import Poller
from ermpoll.records import JSON, Looked
from ermpoll.render.values import counted
from ermpoll.results import Candidates
from ermpoll.widgets.monitoring import MonitorPanel
from ermpoll.widgets.panel import html

_ROWS = 20


class Watching:
    """What a watch's poller does at each look: read the candidates, nothing else."""

    def __init__(self, jobs: Any, notices: Any) -> None:
        self.jobs = jobs
        #: The Candidates of the last look, or None before the first.
        self.candidates: Any = None
        self.poller = Poller(self.look, notices=notices, name=f"watch of {jobs.title}")
        self._etag: str | None = None

    def look(self) -> Looked:
        """Read the first candidates and say what is new about them."""
        catalog = self.jobs.catalog
        if self.candidates is None:
            self.poller.log_in(catalog.whoami())
        path = self.jobs.queries.candidates(catalog.now(), _ROWS + 1)
        page = catalog.get(path, etag=self._etag if self._is_conditional() else None)
        if page is None:
            return Looked(outcome="unchanged", detail="304, nothing new")
        moved = page.etag != self._etag
        self._etag = page.etag
        return self._told(page.rows, moved)

    def _is_conditional(self) -> bool:
        """Whether "nothing was written" would do: no row may have come due by time."""
        because = self.poller.because
        return because == "notice" or (
            because == "timer" and not self.jobs.spec.retry_at
        )

    def _told(self, rows: list[dict[str, JSON]], moved: bool) -> Looked:
        before = self.candidates
        self.candidates = Candidates(
            jobs=self.jobs, rows=rows[:_ROWS], more=len(rows) > _ROWS
        )
        now, old = set(self.candidates.rids), set(before.rids if before else ())
        words = counted(len(now), "candidate") + " and more" * self.candidates.more
        if before is not None and now != old:
            words += f": {len(now - old):,} came, {len(old - now):,} went"
        return Looked(
            found=before is not None and now != old,
            outcome="rows" if now else "empty",
            etag_moved=before is not None and moved,
            detail=f"looked, {words}",
        )


class WatchPanel(MonitorPanel):
    """Candidates as they come and go. Reads only: it never claims.

    Attributes
    ----------
    agent
        The Poller behind it, which Start starts.
    """

    def __init__(self, jobs: Any, *, notices: Any = None) -> None:
        self._watching = Watching(jobs, notices)
        super().__init__(self._watching.poller, jobs=jobs, acts=False)

    @property
    def candidates(self) -> Any:
        """The Candidates of the last look, or None before the first."""
        return self._watching.candidates

    def close(self) -> None:
        """Stop the poller and close the view. Twice is once."""
        self.agent.stop(timeout_s=5)
        super().close()

    def _extra(self) -> list[W.Widget]:
        self._rows = html()
        return [self._rows]

    def _draw(self) -> None:
        super()._draw()
        self._rows.value = self._rows_html()

    def _rows_html(self) -> str:
        if self.candidates is None:
            return ""
        return render.candidates_body(self.candidates, zone=self.zone)

    def _body(self) -> str:
        return super()._body() + self._rows_html()

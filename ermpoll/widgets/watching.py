"""The watch: a poller over the candidates that only reads, with its live view."""

from __future__ import annotations

from typing import Any

import ipywidgets as W

from ermpoll import render
from ermpoll.poller import Poller
from ermpoll.records import Looked
from ermpoll.render.values import counted
from ermpoll.widgets.monitoring import MonitorPanel
from ermpoll.widgets.panel import html

_ROWS = 20


class Watching:
    """What a watch's poller does at each look: read the candidates, nothing else."""

    def __init__(self, jobs: Any) -> None:
        self.jobs = jobs
        #: The Candidates of the last look, or None before the first.
        self.candidates: Any = None

    def look(self) -> Looked:
        """Read the first candidates and say what is new about them."""
        before = set(self.candidates.rids) if self.candidates is not None else None
        self.candidates = self.jobs.candidates(limit=_ROWS)
        now = set(self.candidates.rids)
        words = counted(len(now), "candidate") + (" and more" * self.candidates.more)
        if before is not None and now != before:
            words += f": {len(now - before):,} came, {len(before - now):,} went"
        return Looked(
            found=before is not None and now != before,
            outcome="rows" if now else "empty",
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
        self._watching = Watching(jobs)
        poller = Poller(
            self._watching.look, notices=notices, name=f"watch of {jobs.title}"
        )
        super().__init__(poller, jobs=jobs, acts=False)

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

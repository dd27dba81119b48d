"""What was done to a queue and its agent in this process, and by whom."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime

from ermpoll.audit import AuditedAct, acts
from ermpoll.render.told import acts_table
from ermpoll.widgets.base import Panel, box, html

#: Seconds between two drawings while somebody looks.
EVERY_S = 2.0


class ActsPanel(Panel):
    """The audit of acts, the newest first. It reads no log and no catalog.

    Parameters
    ----------
    subjects
        The tables and agents whose acts are shown.
    watched
        Whether somebody looks at it: what nobody sees is not drawn.
    """

    def __init__(
        self, subjects: Collection[str], *, watched: Callable[[], bool] = lambda: True
    ) -> None:
        super().__init__("acts")
        self._subjects = frozenset(subjects)
        self._watched = watched
        self._table = html()
        self._show(self._error_line, box("ermpoll-body", self._table))

    @property
    def acts(self) -> tuple[AuditedAct, ...]:
        """The acts, the newest first."""
        return tuple(act for act in acts() if act.subject in self._subjects)

    def _draw(self) -> None:
        if self._watched():
            self._table.value = self._body()

    def _again_s(self) -> float | None:
        return EVERY_S if self._watched() else None

    def _body(self) -> str:
        return acts_table(self.acts, now=datetime.now(UTC), zone=self.zone)

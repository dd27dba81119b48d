"""What the page needs of the objects it draws: structural types, no code."""

# ruff: noqa: D102 - the members are those of the classes named, told there.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ermpoll.records import JSON, Change, PlannedPut, Row, Status


class JobsLike(Protocol):
    """A Queue."""

    @property
    def title(self) -> str: ...
    @property
    def columns(self) -> Sequence[str]: ...
    @property
    def types(self) -> Mapping[str, str]: ...
    def link(self, rid: str) -> str | None: ...


class CandidatesLike(Protocol):
    """Rows that were read."""

    @property
    def jobs(self) -> JobsLike: ...
    @property
    def kind(self) -> str: ...
    @property
    def rows(self) -> Sequence[Row]: ...
    @property
    def columns(self) -> Sequence[str]: ...
    @property
    def more(self) -> bool: ...
    @property
    def outside(self) -> Mapping[str, str]: ...
    @property
    def refused(self) -> Mapping[str, str]: ...


class ClaimLike(Protocol):
    """Rows that this worker owns."""

    @property
    def jobs(self) -> JobsLike: ...
    @property
    def rows(self) -> Sequence[Row]: ...


class OutcomeLike(Protocol):
    """What became of the rows of a write."""

    @property
    def jobs(self) -> JobsLike: ...
    @property
    def action(self) -> str: ...
    @property
    def won(self) -> Sequence[str]: ...
    @property
    def lost(self) -> Sequence[str]: ...
    @property
    def unknown(self) -> Sequence[str]: ...
    @property
    def reasons(self) -> Mapping[str, str]: ...
    @property
    def meanwhile(self) -> Mapping[str, Mapping[str, tuple[JSON, JSON]]]: ...
    @property
    def by(self) -> Mapping[str, str]: ...
    @property
    def edited(self) -> Sequence[str]: ...


class PlanLike(Protocol):
    """A guarded update that was not sent yet."""

    @property
    def jobs(self) -> JobsLike: ...
    @property
    def changes(self) -> Sequence[Change]: ...
    @property
    def columns(self) -> Sequence[str]: ...
    @property
    def puts(self) -> Sequence[PlannedPut]: ...
    @property
    def applied(self) -> OutcomeLike | None: ...


class DryRunLike(Protocol):
    """What an agent would do."""

    @property
    def plan(self) -> PlanLike: ...
    @property
    def would(self) -> Sequence[str]: ...
    @property
    def results(self) -> Mapping[str, Row | None]: ...
    @property
    def errors(self) -> Mapping[str, str]: ...


class RunnerLike(Protocol):
    """An agent or a poller."""

    @property
    def name(self) -> str: ...
    @property
    def status(self) -> Status: ...

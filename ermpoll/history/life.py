"""One row's life: each version, who wrote it, how long in which state, every claim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ermpoll import render
from ermpoll.catalog.clock import time_text
from ermpoll.history.follow import ClaimTold, StepKind, claims_of, follow
from ermpoll.history.machine import DeclaredMachine, RowPhase
from ermpoll.history.model_then import TablePast
from ermpoll.history.past import Past, PastPeriod, When
from ermpoll.history.versions import MOST_VERSIONS, Version, Versions, read_life
from ermpoll.queue.table import QueueTable
from ermpoll.records import JSON, SYSTEM_COLUMNS, same
from ermpoll.shown import Shown

if TYPE_CHECKING:
    from ermpoll.render.frames import DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionTold:
    """A version of a row, and what it changed."""

    at: datetime
    #: The login, an id.
    by: str
    kind: StepKind
    #: The row's state from then on, in words.
    word: str
    #: ``{column: (before, after)}``; of the first version, all that is set.
    changes: Mapping[str, tuple[JSON, JSON]] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSpan:
    """How long a row was in one state."""

    word: str
    phase: RowPhase
    since: datetime
    until: datetime

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.until - self.since).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class History(Shown):
    """What became of one row, from the catalog alone.

    Examples
    --------
    >>> claim = jobs.claim(1)
    >>> done = jobs.complete(claim)
    >>> life = jobs.history(claim.rids[0])
    >>> [span.word for span in life.states]
    ['new', 'in progress', 'success']
    """

    jobs: QueueTable = field(repr=False, compare=False)
    rid: str
    period: PastPeriod
    versions: tuple[VersionTold, ...] = field(repr=False)
    states: tuple[StateSpan, ...]
    claims: tuple[ClaimTold, ...] = field(repr=False)
    #: When the row was deleted; by whom the catalog doesn't keep.
    deleted_at: datetime | None = None
    #: Names of the logins, by id; one that can't be had is the id.
    names: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: What should be known of the reading, in sentences.
    told: tuple[str, ...] = ()
    requests: int = 0

    @property
    def seconds(self) -> dict[str, float]:
        """How long it was in each state, in seconds."""
        spent: dict[str, float] = {}
        for span in self.states:
            spent[span.word] = spent.get(span.word, 0.0) + span.seconds
        return spent

    @property
    def frame(self) -> DataFrame:
        """One line per changed cell: at, by, what, column, before, after.

        A version that changed none has one line, without a column.
        """
        from ermpoll.render import frames

        rows = [
            {
                "at": time_text(version.at),
                "by": self.names.get(version.by, version.by),
                "what": version.kind.value,
                "column": name,
                "before": before,
                "after": after,
            }
            for version in self.versions
            for name, (before, after) in _cells(version)
        ]
        types = dict.fromkeys(("by", "what", "column"), "string")
        types["at"] = "datetime64[us, UTC]"
        return frames.frame(
            rows, ("at", "by", "what", "column", "before", "after"), types
        )

    @property
    def claims_frame(self) -> DataFrame:
        """One line per claim: since, until, by, agent, token, lease_s, end, reason."""
        from ermpoll.render import frames

        rows = [
            {
                "since": time_text(one.since),
                "until": time_text(one.until) if one.until else None,
                "by": self.names.get(one.by, one.by),
                "agent": one.agent,
                "token": one.token,
                "lease_s": one.lease_s,
                "end": one.end.value,
                "reason": one.reason,
            }
            for one in self.claims
        ]
        types = dict.fromkeys(("by", "agent", "token", "end", "reason"), "string")
        types |= dict.fromkeys(("since", "until"), "datetime64[us, UTC]")
        types["lease_s"] = "Float64"
        columns = ("since", "until", "by", "agent", "token", "lease_s", "end", "reason")
        return frames.frame(rows, columns, types)

    def __str__(self) -> str:
        return render.history_text(self)

    def _repr_html_(self) -> str:
        return render.history(self)


def read_history(
    jobs: QueueTable,
    rid: str,
    since: When | None = None,
    until: When | None = None,
    *,
    most: int = MOST_VERSIONS,
    **reading: Any,
) -> History:
    """Tell one row's life; see `Queue.history`."""
    past = Past(jobs.catalog, **reading)
    end = past.now if until is None else past.moment(until)
    begin = None if since is None else past.period(since, end).since
    table = TablePast(past, jobs.definition)
    versions = read_life(table, rid, since=begin, until=end, most=most)
    names = past.names(
        version.by for found in versions.by_rid.values() for version in found
    )
    told = told_of(DeclaredMachine.of(jobs.definition), versions)
    [rid] = versions.by_rid
    return History(
        jobs=jobs,
        rid=rid,
        period=versions.period,
        versions=told[0],
        states=told[1],
        claims=told[2],
        deleted_at=versions.deleted.get(rid),
        names=names,
        told=past.told,
        requests=past.requests,
    )


def told_of(
    machine: DeclaredMachine, versions: Versions
) -> tuple[tuple[VersionTold, ...], tuple[StateSpan, ...], tuple[ClaimTold, ...]]:
    """Say what one row's versions were: each by itself, the states, the claims."""
    [(rid, found)] = versions.by_rid.items()
    steps = versions.steps()
    known = None if found and found[0].is_first else found[0] if found else None
    followed = list(follow(machine, steps, known))
    end = versions.deleted.get(rid, versions.period.until)
    told = [
        VersionTold(
            at=one.step.after.at,
            by=one.step.after.by,
            kind=one.kind,
            word=machine.word(one.step.after.row),
            changes=_changes(one.step.before, one.step.after),
        )
        for one in followed
        if one.step.after
    ]
    spans = tuple(_spans(machine, found, end))
    return tuple(told), spans, tuple(claims_of(machine, followed, end, known))


def _cells(version: VersionTold) -> list[tuple[str | None, tuple[JSON, JSON]]]:
    """Return what a version changed, and one nothing where it changed nothing."""
    return [*version.changes.items()] or [(None, (None, None))]


def _changes(before: Version | None, after: Version) -> dict[str, tuple[JSON, JSON]]:
    """Return what a version changed; a column that is gone is no change of it."""
    old, new = before.row if before else {}, after.row
    return {
        name: (old.get(name), value)
        for name, value in new.items()
        if name not in SYSTEM_COLUMNS and not same(old.get(name), value)
    }


def _spans(
    machine: DeclaredMachine, found: tuple[Version, ...], end: datetime
) -> list[StateSpan]:
    spans: list[StateSpan] = []
    for version in found:
        word, phase = machine.word(version.row), machine.phase(version.row)
        if spans and spans[-1].word == word:
            continue
        if spans:
            spans[-1] = _until(spans[-1], version.at)
        spans.append(StateSpan(word=word, phase=phase, since=version.at, until=end))
    return spans


def _until(span: StateSpan, at: datetime) -> StateSpan:
    return StateSpan(word=span.word, phase=span.phase, since=span.since, until=at)

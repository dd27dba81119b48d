"""What each step of a row was: a claim, a finish, an edit; and how each claim ended.

Follows a row from version to version by the declared machine. It takes what happened
as it is: whether it was right is for `proof`. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum

from ermpoll.history.machine import DeclaredMachine, RowPhase, mark_in
from ermpoll.history.versions import Step, Version
from ermpoll.records import JSON, Row, same


class StepKind(Enum):
    """What a step was, as far as versions tell."""

    BORN = "came to be"
    CLAIMED = "claimed"
    #: Of the holder, or an empty save: they look the same.
    RENEWED = "renewed"
    EDITED = "edited"
    COMPLETED = "completed"
    FAILED = "failed"
    LATER = "to be tried again"
    RELEASED = "released"
    RESCUED = "rescued"
    GIVEN_UP = "given up after the last attempt"
    RETRIED = "retried"
    #: Failed before anybody had claimed it.
    REJECTED = "failed unclaimed"
    #: Its owner column was given to another while it was claimed.
    OVERTAKEN = "overtaken"
    BY_HAND = "set by hand"
    DELETED = "deleted"


class ClaimEnd(Enum):
    """How a claim ended."""

    RUNNING = "still runs"
    COMPLETED = "completed"
    FAILED = "failed"
    LATER = "failed, to be tried again"
    RELEASED = "released"
    RESCUED = "rescued"
    GIVEN_UP = "given up"
    OVERTAKEN = "overtaken"
    BY_HAND = "ended by hand"
    #: Its lease is over, and nobody has freed the row.
    ORPHANED = "orphaned"
    DELETED = "the row was deleted"


_ENDS: Mapping[StepKind, ClaimEnd] = {
    kind: ClaimEnd[kind.name] for kind in StepKind if kind.name in ClaimEnd.__members__
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A claim under way."""

    #: The version that the claim wrote; of one from before the period, the first seen.
    claim: Version
    #: The version that was claimed; None: it was before the period.
    was: Version | None
    #: The newest version under the claim.
    last: Version
    #: The text that the claim itself put into the owner column; None: none. A daemon
    #: that knows no tokens leaves one of before as it is.
    token: str | None
    #: The login that claimed; None: not known, since that version was not read.
    by: str | None
    #: What others wrote meanwhile into columns that are not the claim's, by column.
    edits: Mapping[str, JSON] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A step and what it was."""

    step: Step
    kind: StepKind
    #: The claim that was under way before the step, and after it.
    before: Holding | None
    after: Holding | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimTold:
    """A claim of a row, from its begin to its end."""

    rid: str
    since: datetime
    #: None: it runs, or is orphaned.
    until: datetime | None
    #: The login, an id.
    by: str
    #: What the owner column said; None: nothing.
    token: str | None
    #: Whose token it is, for people.
    agent: str
    lease_s: float | None
    end: ClaimEnd
    #: Why it failed, where that is told.
    reason: str = ""
    #: False: it was claimed before what was read, so ``since`` and ``by`` are of the
    #: first version that was.
    whole: bool = True


def follow(
    machine: DeclaredMachine, steps: Iterable[Step], known: Version | None
) -> Iterator[Followed]:
    """Say what the steps of one row were, in the order of time.

    Parameters
    ----------
    known
        The version in force before the first step, if the row was there.
    """
    holding = _held_at(machine, known)
    for step in steps:
        kind = kind_of(machine, step, holding)
        after = _next(machine, step, kind, holding)
        yield Followed(step=step, kind=kind, before=holding, after=after)
        holding = after


def claims_of(
    machine: DeclaredMachine,
    followed: Iterable[Followed],
    until: datetime,
    known: Version | None,
) -> list[ClaimTold]:
    """Return the claims of one row by time, the one under way at the end as well."""
    told, holding = [], _held_at(machine, known)
    for one in followed:
        if one.before and (one.after is None or one.after.claim != one.before.claim):
            told.append(_ended(machine, one.before, one))
        holding = one.after
    if holding:
        over_s = machine.over_s(holding.last.row, until) if holding.token else None
        end = ClaimEnd.ORPHANED if over_s and over_s > 0 else ClaimEnd.RUNNING
        told.append(replace(_claim(holding), end=end))
    return told


def kind_of(machine: DeclaredMachine, step: Step, holding: Holding | None) -> StepKind:
    """Say what a step was."""
    if step.after is None:
        return StepKind.DELETED
    if step.before is None:
        return StepKind.BORN
    before, after = step.before.row, step.after.row
    was, now = machine.phase(before), machine.phase(after)
    if now is RowPhase.CLAIMED:
        return _into_claimed(machine, step, was)
    if was is RowPhase.CLAIMED:
        return _out_of_claimed(machine, step, now, holding)
    if same(before.get(machine.state), after.get(machine.state)):
        return StepKind.EDITED
    if (was, now) == (RowPhase.READY, RowPhase.FAILED):
        return StepKind.REJECTED
    if (was, now) == (RowPhase.FAILED, RowPhase.READY):
        return StepKind.RETRIED
    return StepKind.BY_HAND


def _into_claimed(machine: DeclaredMachine, step: Step, was: RowPhase) -> StepKind:
    before, after = _rows(step)
    if was is not RowPhase.CLAIMED:
        return StepKind.CLAIMED
    owner = machine.owner_of(after)
    if owner is not None and owner != machine.owner_of(before):
        return StepKind.OVERTAKEN
    changed = machine.changed(before, after)
    return StepKind.EDITED if changed else StepKind.RENEWED


def _out_of_claimed(
    machine: DeclaredMachine, step: Step, now: RowPhase, holding: Holding | None
) -> StepKind:
    before, after = _rows(step)
    kept = machine.owner_of(after) == machine.owner_of(before)
    if now is RowPhase.READY:
        return _given_back(machine, step, holding, kept=kept)
    if now is RowPhase.FAILED and machine.mark(before) and not machine.owner_of(after):
        return StepKind.GIVEN_UP
    if now is RowPhase.DONE:
        return StepKind.COMPLETED
    if now is RowPhase.FAILED:
        return StepKind.FAILED
    by = step.after.by if step.after else ""
    stranger = holding is not None and holding.by not in (None, by)
    # work may finish a row with a word of its own
    return StepKind.BY_HAND if stranger or not kept else StepKind.COMPLETED


def _given_back(
    machine: DeclaredMachine, step: Step, holding: Holding | None, *, kept: bool
) -> StepKind:
    before, after = _rows(step)
    if kept and machine.mark(before):
        return StepKind.BY_HAND
    over_s = machine.over_s(before, step.at)
    over = over_s is not None and over_s > 0
    tried, told = machine.tried(before), machine.tried(after)
    was = machine.tried(holding.was.row) if holding and holding.was else tried - 1
    if machine.attempts and tried != told:
        return StepKind.RELEASED if told in (was, tried - 1, 0) else StepKind.BY_HAND
    for name in (machine.retry_at, machine.error):
        if name and not same(before.get(name), after.get(name)):
            return StepKind.LATER
    if over:
        return StepKind.RESCUED
    if machine.attempts is None:
        # that of a holder; a rescue by force looks the same
        return StepKind.RELEASED
    silent = machine.retry_at is None and (
        machine.error is None or before.get(machine.error) is not None
    )
    return StepKind.LATER if silent else StepKind.RESCUED


def _rows(step: Step) -> tuple[Row, Row]:
    """Return a row before and after; of one that came or went, nothing."""
    before, after = step.before, step.after
    return (before.row if before else {}), (after.row if after else {})


def _held_at(machine: DeclaredMachine, version: Version | None) -> Holding | None:
    if version is None or machine.phase(version.row) is not RowPhase.CLAIMED:
        return None
    token = machine.owner_of(version.row)
    return Holding(claim=version, was=None, last=version, token=token, by=None)


def _next(
    machine: DeclaredMachine, step: Step, kind: StepKind, holding: Holding | None
) -> Holding | None:
    """Return the claim that is under way after a step."""
    after = step.after
    if after is None or machine.phase(after.row) is not RowPhase.CLAIMED:
        return None
    if holding is None or kind in (StepKind.CLAIMED, StepKind.OVERTAKEN):
        token, known = (machine.owner_of(row) for row in _rows(step)[::-1])
        own = token if token != known else None
        by = after.by if step.sure and step.before else None
        return Holding(claim=after, was=step.before, last=after, token=own, by=by)
    before = holding.last.row
    written = machine.changed(before, after.row)
    edits = {name: after.row.get(name) for name in written if not machine.is_own(name)}
    return replace(holding, last=after, edits={**holding.edits, **edits})


def _claim(holding: Holding) -> ClaimTold:
    mark = mark_in(holding.token)
    return ClaimTold(
        rid=holding.claim.rid,
        since=holding.claim.at,
        until=None,
        by=holding.claim.by,
        token=holding.token,
        agent=mark.name if mark else holding.token or "",
        lease_s=mark.lease_s if mark else None,
        end=ClaimEnd.RUNNING,
        whole=holding.was is not None or holding.claim.is_first,
    )


def _ended(machine: DeclaredMachine, holding: Holding, one: Followed) -> ClaimTold:
    told = _claim(holding)
    end = _ENDS.get(one.kind, ClaimEnd.BY_HAND)
    failed = end in (ClaimEnd.FAILED, ClaimEnd.LATER, ClaimEnd.GIVEN_UP)
    reason = _reason(machine, one.step) if failed else ""
    return replace(told, until=one.step.at, end=end, reason=reason)


def _reason(machine: DeclaredMachine, step: Step) -> str:
    row = step.after.row if step.after else {}
    error = row.get(machine.error) if machine.error else None
    return str(error if error is not None else row.get(machine.state) or "")

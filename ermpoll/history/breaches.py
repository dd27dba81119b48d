"""What of a row's steps the declared machine does not allow. Pure.

It shares nothing with the code that writes: steps are told apart by `follow`, tokens
are taken apart by `machine`. What versions can't tell it leaves alone, so that what it
names is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import TypeAlias

from ermpoll.catalog.clock import time_text
from ermpoll.history.follow import Followed, StepKind, follow, kind_of
from ermpoll.history.machine import DeclaredMachine, Mark, RowPhase, mark_in
from ermpoll.history.versions import Step, Version, Versions
from ermpoll.records import Row, same

#: How much earlier than allowed something must be to be early: the catalog's time was
#: estimated by who did it.
MARGIN = timedelta(seconds=1)


class Breach(Enum):
    """What the machine does not allow."""

    TWO_HOLDERS = "held by two at once"
    NO_TOKEN = "finished without the claim's token"
    NO_RIGHT = "left a state without a right"
    OVERWRITTEN = "edit overwritten"
    ORPHANED = "orphaned"
    ATTEMPTS = "attempts counted wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was not right."""

    breach: Breach
    rid: str
    at: datetime
    #: The login that wrote it, an id; of an orphan, the one that wrote it last.
    by: str
    #: What was expected and what was found; no values but of the queue's own columns.
    detail: str

    def __str__(self) -> str:
        at = time_text(self.at)[:19]
        return (
            f"{self.rid} at {at} UTC by {self.by}: {self.breach.value}: {self.detail}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What was found in a period."""

    findings: tuple[Finding, ...]
    #: Steps that were judged, and how many of them were claims.
    steps: int
    claims: int
    #: Rows that are held at the end by who wrote no token: no lease is over there.
    tokenless: frozenset[str] = frozenset()


#: What a rule names.
_Rule: TypeAlias = Iterator[tuple[Breach, str]]
_CLAIMS = (StepKind.CLAIMED, StepKind.OVERTAKEN)
_FINISHES = (StepKind.COMPLETED, StepKind.FAILED)
#: What only the holder does, under the guard of what it claimed.
_HOLDERS = (*_FINISHES, StepKind.LATER, StepKind.RELEASED)


def judge(machine: DeclaredMachine, versions: Versions) -> Judgement:
    """Hold all steps of a period against the machine; findings by time."""
    steps: dict[str, list[Step]] = {rid: [] for rid in versions.by_rid}
    for step in versions.steps():
        steps[step.rid].append(step)
    found: list[Finding] = []
    tokens: dict[str, tuple[str, set[str]]] = {}
    tokenless, claims = set(), 0
    for rid, known in versions.by_rid.items():
        begin = None if known[0].is_first else known[0]
        followed = list(follow(machine, steps[rid], begin))
        for one, named in _named(machine, followed, tokens):
            after = one.step.after or known[-1]
            found += [
                Finding(breach=breach, rid=rid, at=after.at, by=after.by, detail=told)
                for breach, told in named
            ]
        claims += sum(one.kind in _CLAIMS for one in followed)
        last = followed[-1].after if followed else None
        if last and last.token is None:
            tokenless.add(rid)
    return Judgement(
        findings=tuple(sorted(found, key=lambda one: (one.at, one.rid))),
        steps=sum(map(len, steps.values())),
        claims=claims,
        tokenless=frozenset(tokenless),
    )


def orphans(
    machine: DeclaredMachine, held: Iterable[Row], until: datetime
) -> list[Finding]:
    """Find the claims that nobody ended among the rows claimed at a moment."""
    found = []
    for row in held:
        mark, over_s = machine.mark(row), machine.over_s(row, until)
        if mark and machine.is_ours(mark) and over_s is not None and over_s > 0:
            told = (
                f"the lease of {mark.name} ended {over_s:.0f} s before; nobody freed it"
            )
            by, rid = str(row.get("RMB") or ""), str(row["RID"])
            found.append(
                Finding(breach=Breach.ORPHANED, rid=rid, at=until, by=by, detail=told)
            )
    return found


def may_miss(machine: DeclaredMachine, before: Version | None, after: Version) -> bool:
    """Whether a step is none of one write, so that versions between are missing."""
    if before is None:
        return not after.is_first
    step = Step(rid=after.rid, at=after.at, before=before, after=after)
    was, now = machine.phase(before.row), machine.phase(after.row)
    if was is not now:
        return not _is_one_write(machine, kind_of(machine, step, None), before, after)
    # what was claimed and given back leaves a ready row as it was
    changed = machine.changed(before.row, after.row)
    return was is RowPhase.READY or any(map(machine.is_own, changed))


def _is_one_write(
    machine: DeclaredMachine, kind: StepKind, before: Version, after: Version
) -> bool:
    """Whether a step from one phase to another is one that the machine knows."""
    was, now = before.row, after.row
    if kind is StepKind.CLAIMED:
        right = machine.phase(was) is RowPhase.READY
        return right and machine.tried(now) == _next_attempt(machine, was)
    if kind in _FINISHES:
        kept = machine.owner_of(was) == machine.owner_of(now)
        return kept and machine.tried(was) == machine.tried(now)
    return kind not in (StepKind.REJECTED, StepKind.BY_HAND)


def _named(
    machine: DeclaredMachine,
    followed: Iterable[Followed],
    tokens: dict[str, tuple[str, set[str]]],
) -> Iterator[tuple[Followed, list[tuple[Breach, str]]]]:
    """Name what was wrong with the steps of one row."""
    robbed: set[str | None] = set()
    for one in followed:
        before, after = one.step.before, one.step.after
        if before is None or after is None:
            continue
        if one.kind in _CLAIMS and one.after:
            mark = mark_in(one.after.token)
            rule = _overtaken if one.kind is StepKind.OVERTAKEN else _claim
            if mark and machine.is_ours(mark):
                twice = _used_twice(mark, after, tokens) if one.after.by else ()
                yield one, [*rule(machine, before.row, after), *twice]
        elif one.before and one.after is None:
            mark = mark_in(one.before.token)
            if mark is None and one.before.by not in (None, after.by):
                robbed.add(one.before.by)
            # a daemon without tokens that ends late what was taken from it is no part
            # of the machine, as its claims are none
            elif mark and machine.is_ours(mark) and after.by not in robbed:
                right = _right(machine, one, mark, after)
                yield one, [*right, *_kept(machine, one, before.row, after.row)]


def _overtaken(machine: DeclaredMachine, before: Row, after: Version) -> _Rule:
    over_s = machine.over_s(before, after.at)
    if over_s is not None and over_s > 0:
        yield Breach.NO_RIGHT, "claimed from another whose lease was over, not rescued"
    else:
        yield Breach.TWO_HOLDERS, f"claimed while another held it{_left(over_s)}"


def _claim(machine: DeclaredMachine, before: Row, after: Version) -> _Rule:
    if machine.phase(before) is not RowPhase.READY:
        word = machine.word(before)
        yield Breach.NO_RIGHT, f"claimed from {word!r}, which is not ready"
        return
    due = machine.time(before, machine.retry_at)
    if due and due > after.at + MARGIN:
        early_s = (due - after.at).total_seconds()
        yield Breach.NO_RIGHT, f"claimed {early_s:.0f} s before it was due again"
    right, found = _next_attempt(machine, before), machine.tried(after.row)
    if machine.attempts and found != right:
        yield Breach.ATTEMPTS, f"expected {right} at the claim, found {found}"
    elif machine.attempts and right > machine.max_attempts:
        yield Breach.NO_RIGHT, f"claimed for attempt {right} of {machine.max_attempts}"


def _right(
    machine: DeclaredMachine, one: Followed, mark: Mark, after: Version
) -> _Rule:
    """Who ends a claim has its token, or found it overdue."""
    assert one.step.before is not None
    over_s = machine.over_s(one.step.before.row, after.at)
    runs = over_s is not None and over_s <= 0
    owner, finished = machine.owner_of(after.row), one.kind in _FINISHES
    if finished and owner != mark.text:
        found = "none" if owner is None else "another"
        yield Breach.NO_TOKEN, f"expected that of {mark.name}, found {found}"
    elif runs and one.kind in (StepKind.RESCUED, StepKind.GIVEN_UP):
        yield Breach.NO_RIGHT, f"freed{_left(over_s)}; a rescue by force looks the same"
    elif runs and _is_strangers(machine, one, after):
        word = machine.word(after.row)
        yield Breach.NO_RIGHT, f"set to {word!r} by who did not hold it{_left(over_s)}"


def _is_strangers(machine: DeclaredMachine, one: Followed, after: Version) -> bool:
    """Whether somebody else finished a row or gave it back; to set it aside is free."""
    holder = one.before.by if one.before else None
    if machine.phase(after.row) is RowPhase.OTHER:
        return False
    return one.kind is StepKind.BY_HAND or holder not in (None, after.by)


def _kept(machine: DeclaredMachine, one: Followed, before: Row, after: Row) -> _Rule:
    """Who ends a claim leaves the attempts and the edits of others as they are."""
    was, found = machine.tried(before), machine.tried(after)
    counts = one.kind not in (StepKind.RELEASED, StepKind.BY_HAND)
    if machine.attempts and counts and was != found:
        yield Breach.ATTEMPTS, f"expected {was} to stay at the end, found {found}"
    edits = one.before.edits if one.before and one.kind in _HOLDERS else {}
    for name, value in edits.items():
        if name in after and not same(value, after[name]):
            yield Breach.OVERWRITTEN, f"of {name}, made while the row was held"


def _used_twice(
    mark: Mark, after: Version, tokens: dict[str, tuple[str, set[str]]]
) -> _Rule:
    """Find a token that was claimed with before; a PUT that was halved shares one."""
    by, rids = tokens.setdefault(mark.text, (after.by, set()))
    if by != after.by or after.rid in rids:
        yield Breach.TWO_HOLDERS, "its token had been used for another claim"
    rids.add(after.rid)


def _next_attempt(machine: DeclaredMachine, before: Row) -> int:
    """Return what a claim writes; a row set back by hand, token and all, is new."""
    return 1 + (0 if machine.mark(before) else machine.tried(before))


def _left(over_s: float | None) -> str:
    return "" if over_s is None else f", {-over_s:.0f} s before its lease ended"

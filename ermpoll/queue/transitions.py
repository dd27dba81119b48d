"""The steps a row can take, as guarded changes: claim, finish, give back. Pure.

Each step is a `Transition`: what to write, the version it relies on, and the token
by which it is known again when the answer was lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Literal, TypeAlias

from ermpoll.catalog.clock import parse_time, time_text
from ermpoll.queue.definition import QueueDefinition
from ermpoll.queue.tokens import Token, TokenSource, mark_of, parse_token
from ermpoll.records import JSON, Change, OnEdit, Row

TransitionKind: TypeAlias = Literal[
    "claim", "complete", "fail", "retry later", "release", "renew", "retry", "rescue",
    "apply", "undo",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A row under a claim, as its holder knows it."""

    rid: str
    #: The version of our own last write, as a guard; empty when it can't be had.
    rmt: str
    #: The text in the owner column that proves the claim; None without one.
    token: str | None
    #: The row as we left it.
    row: Row = field(repr=False)
    #: The ready word it came from.
    was: str | None
    #: Attempts before this claim, as read.
    attempts: JSON = None
    #: The version that the row was claimed at; empty where it is not known.
    read_at: str = ""
    #: When the claim ends unless renewed, on the monotonic clock.
    deadline: float = float("inf")
    #: On the same clock: no renewal is asked for before, as the last was refused.
    renew_at: float = -math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One step of one row."""

    kind: TransitionKind
    change: Change
    #: The token that proves our right to the row, or that claims it.
    token: str | None = None
    #: Why the row failed, whether or not a column takes it.
    reason: str = ""
    #: Of a finish: what becomes of columns that a person edited meanwhile, and the
    #: version that the row was claimed at.
    on_edit: OnEdit = "keep"
    read_at: str = ""

    @property
    def rid(self) -> str:
        """The row it is about."""
        return self.change.rid


def claim(definition: QueueDefinition, row: Row, extra: Row) -> Transition:
    """Take a candidate, with extra changes. Its token comes with its PUT: `stamp`."""
    after: dict[str, JSON] = {**extra, definition.state: definition.claimed}
    if definition.owner:
        after[definition.owner] = None
    if definition.attempts:
        after[definition.attempts] = attempts_before(definition, row) + 1
    return _of_row("claim", row, after)


def stamp(
    definition: QueueDefinition,
    transitions: Iterable[Transition],
    new_token: TokenSource,
    *,
    anew: bool = False,
) -> list[Transition]:
    """Give the claims of one PUT a token, by which it is known again.

    Rows that come from different ready words have it with the mark of their own.
    ``anew``: also those that have one, of a PUT which was refused.
    """
    owner, chosen = definition.owner, None
    tokens: dict[JSON, str] = {}
    stamped = []
    for one in transitions:
        if owner and one.kind == "claim" and (anew or one.token is None):
            chosen = chosen or new_token()
            word = one.change.before.get(definition.state)
            if word not in tokens:
                tokens[word] = _of_word(chosen, word)
            token = tokens[word]
            change, read_at = one.change, one.read_at
            after = {**change.after, owner: token}
            change = Change(
                rid=change.rid, rmt=change.rmt, before=change.before, after=after
            )
            one = Transition(kind="claim", change=change, token=token, read_at=read_at)
        stamped.append(one)
    return stamped


def _of_word(chosen: Token | str, word: JSON) -> str:
    return chosen if isinstance(chosen, str) else str(chosen.of(word))


def complete(
    definition: QueueDefinition, held: Held, changes: Row, on_edit: OnEdit = "keep"
) -> Transition:
    """Finish a row, with the changes its work asked for."""
    after: dict[str, JSON] = {definition.state: definition.done}
    if definition.error:
        after[definition.error] = None
    return _of_held("complete", held, {**after, **changes}, on_edit=on_edit)


def fail(definition: QueueDefinition, held: Held, error: str) -> Transition:
    """Mark a row as failed, with the reason."""
    return _of_held("fail", held, _failed(definition, error), error)


def retry_later(
    definition: QueueDefinition, held: Held, error: str, at: datetime
) -> Transition:
    """Make a failed row ready again, from a later time on; the attempt counts."""
    after = _given_back(definition, held.was)
    if definition.error:
        after[definition.error] = definition.error_text(error)
    if definition.retry_at:
        after[definition.retry_at] = time_text(at)
    return _of_held("retry later", held, after, error)


def release(definition: QueueDefinition, held: Held) -> Transition:
    """Give an unfinished row back; the attempt does not count."""
    after = _given_back(definition, held.was)
    if definition.attempts:
        after[definition.attempts] = held.attempts
    return _of_held("release", held, after)


def renew(definition: QueueDefinition, held: Held) -> Transition:
    """Make the lease begin anew: any write of the row does."""
    if definition.owner:
        return _of_held("renew", held, {definition.owner: held.token})
    return _of_held("renew", held, {definition.state: definition.claimed})


def retry(definition: QueueDefinition, row: Row) -> Transition:
    """Make a failed row ready again, at a person's word: attempts begin anew."""
    after = _given_back(definition, origin_of(definition, row).word)
    if definition.attempts:
        after[definition.attempts] = 0
    if definition.retry_at:
        after[definition.retry_at] = None
    return _of_row("retry", row, after)


def rescue(definition: QueueDefinition, row: Row) -> Transition:
    """Free a claim whose holder is gone; at the last attempt the row has failed."""
    after = _given_back(definition, origin_of(definition, row).word)
    tried, error = attempts_of(definition, row), ""
    if definition.attempts and tried >= definition.max_attempts:
        error = f"given up after {tried} attempts: its workers vanished"
        after.update(_failed(definition, error))
    return _of_row("rescue", row, after, error)


def reject(definition: QueueDefinition, change: Change) -> Transition:
    """Mark a candidate as failed that can't be worked on, with the reason."""
    after = _failed(definition, change.reason)
    return _of_row("fail", change.before, after, change.reason)


def undo(step: Transition, rmt: str, *, edited: bool) -> Transition:
    """Set back what a step wrote; not where somebody had edited the row before."""
    change = step.change
    back = Change(
        rid=step.rid,
        rmt=rmt,
        before={**change.before, **change.after},
        after={name: change.before.get(name) for name in change.after},
    )
    if edited:
        reason = "somebody edited it before that write: change it by hand"
        back = replace(back, kind="problem", reason=reason)
    return Transition(kind="undo", change=back)


def held_of(
    definition: QueueDefinition,
    transition: Transition,
    rmt: str,
    deadline: float,
    answered: Row | None = None,
) -> Held:
    """Return how a row is held that a claim has won.

    Parameters
    ----------
    answered
        What the claim's PUT answered: the catalog writes some values otherwise than
        they were sent. Never the row as read later, which may hold edits.
    """
    change = transition.change
    wrote = {n: v for n, v in (answered or {}).items() if n in change.after}
    was, attempts = change.before.get(definition.state), definition.attempts
    return Held(
        rid=transition.rid,
        rmt=rmt,
        token=transition.token,
        row={**change.before, **change.after, **wrote, "RMT": rmt},
        read_at=change.rmt,
        was=None if was is None else str(was),
        attempts=_read_attempts(definition, change.before) if attempts else None,
        deadline=deadline if definition.owner else float("inf"),
    )


def token_of(definition: QueueDefinition, row: Row) -> Token | None:
    """Return the ermpoll token that a row holds, or None."""
    return parse_token(row.get(definition.owner)) if definition.owner else None


class Whose(Enum):
    """Which queue a row was claimed by, as far as its token tells."""

    OURS = "ours"
    #: It came from a ready word that is none of this queue's.
    ANOTHERS = "another's"
    #: No token, none of ermpoll's, or an older one that doesn't say.
    UNTOLD = "untold"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a row came from when it was claimed."""

    whose: Whose
    #: The ready word that it goes back to.
    word: str | None


def origin_of(definition: QueueDefinition, row: Row) -> Origin:
    """Return where a row came from, by its token; else the queue's first word."""
    token = token_of(definition, row)
    if token is None or not token.mark:
        return Origin(Whose.UNTOLD, definition.first_ready)
    for word in definition.ready:
        if token.mark == mark_of(word):
            return Origin(Whose.OURS, word)
    return Origin(Whose.ANOTHERS, definition.first_ready)


def is_ours(definition: QueueDefinition, row: Row) -> bool:
    """Whether a claimed row is surely this queue's: only such are rescued by rule."""
    return origin_of(definition, row).whose is Whose.OURS


def due_s(definition: QueueDefinition, row: Row, now: datetime) -> float | None:
    """Return in how many seconds a row may be tried again; None for never."""
    value = row.get(definition.retry_at) if definition.retry_at else None
    if value in (None, "-infinity") or str(value).endswith(" BC"):
        return 0.0
    at = parse_time(value)
    return max((at - now).total_seconds(), 0.0) if at else None


def attempts_of(definition: QueueDefinition, row: Row) -> int:
    """Return how often a row was tried, 0 where nothing is known."""
    value = row.get(definition.attempts) if definition.attempts else None
    return value if isinstance(value, int) else 0


def attempts_before(definition: QueueDefinition, row: Row) -> int:
    """Return how often a candidate was tried since it was made ready.

    Each way back clears the token: one that still holds one was set back by hand,
    and begins anew.
    """
    return 0 if token_of(definition, row) else attempts_of(definition, row)


def _read_attempts(definition: QueueDefinition, row: Row) -> JSON:
    return 0 if token_of(definition, row) else row.get(definition.attempts or "")


#: How old, as a part of the lease, a write may be that tells the time of a rescue.
FRESH = 0.1


def lease_of(definition: QueueDefinition, row: Row) -> float:
    """Return the lease of a claimed row: its own token's, or the queue's."""
    token = token_of(definition, row)
    return token.lease_s if token else definition.lease_s


def overdue_s(
    definition: QueueDefinition, row: Row, now: datetime, lease_s: float | None = None
) -> float:
    """Return for how long a claimed row's lease is over; negative while it runs.

    The lease is the one in the row's own token, counted from its last write; for
    a row without a token it is ``lease_s``, or the queue's own.
    """
    if lease_s is None:
        lease_s = lease_of(definition, row)
    touched = parse_time(row.get("RMT")) or now
    return (now - touched).total_seconds() - lease_s


def surely_overdue_s(
    definition: QueueDefinition,
    row: Row,
    own_time: Callable[[float], datetime | None],
) -> float | None:
    """Return for how long a lease is over by the time that an own write told.

    None: no own write is younger than a tenth of the lease, so nobody can say. A
    live claim is not taken by the word of a front server or of this machine.

    Parameters
    ----------
    own_time
        The catalog's time by an own write of so many seconds ago at most.
    """
    now = own_time(FRESH * lease_of(definition, row))
    return None if now is None else overdue_s(definition, row, now)


def is_marked(
    definition: QueueDefinition, transition: Transition, row: Row
) -> bool | None:
    """Whether a row as it is now shows that the step was written; None: can't tell.

    Only asked once no copy of the write can be under way any more.
    """
    if not definition.owner:
        return None
    owner, state = row.get(definition.owner), row.get(definition.state)
    moved = parse_time(row.get("RMT")) != parse_time(transition.change.rmt)
    if transition.kind in ("apply", "undo"):
        token = transition.change.after.get(definition.owner)
        return owner == token if token else None
    if transition.kind in ("claim", "renew"):
        return moved and owner == transition.token and state == definition.claimed
    if transition.kind in ("complete", "fail"):
        # done and failed rows keep the token of the claim that finished them
        return (
            owner == transition.token
            and state == transition.change.after[definition.state]
            and not _is_left_out(transition.change, row)
        )
    # given back: the token was cleared, so all that was written has to be there
    after = transition.change.after.items()
    return moved and all(is_same(value, row.get(name)) for name, value in after)


def _is_left_out(change: Change, row: Row) -> bool:
    """Whether a value that a step changes still is what it was before.

    Who sets a state by hand leaves the token and the rest. Another value than ours
    shows nothing: the catalog may have written it in its own way.
    """
    before = change.before
    return any(
        is_same(before[name], row[name]) and not is_same(value, row[name])
        for name, value in change.after.items()
        if name in before and name in row
    )


def is_same(ours: JSON, theirs: JSON) -> bool:
    """Whether two values are equal, or one moment written in two ways."""
    if ours == theirs:
        return True
    at = parse_time(ours)
    return at is not None and at == parse_time(theirs)


def _given_back(definition: QueueDefinition, word: str | None) -> dict[str, JSON]:
    after: dict[str, JSON] = {definition.state: word}
    if definition.owner:
        after[definition.owner] = None
    return after


def _failed(definition: QueueDefinition, error: str) -> dict[str, JSON]:
    after: dict[str, JSON] = {definition.state: definition.failed_word(error)}
    if definition.error:
        after[definition.error] = definition.error_text(error)
    return after


def _of_row(kind: TransitionKind, row: Row, after: Row, reason: str = "") -> Transition:
    change = Change(rid=str(row["RID"]), rmt=str(row["RMT"]), before=row, after=after)
    return Transition(kind=kind, change=change, reason=reason)


def _of_held(
    kind: TransitionKind,
    held: Held,
    after: Row,
    reason: str = "",
    on_edit: OnEdit = "keep",
) -> Transition:
    return Transition(
        kind=kind,
        change=Change(rid=held.rid, rmt=held.rmt, before=held.row, after=after),
        token=held.token,
        reason=reason,
        on_edit=on_edit,
        read_at=held.read_at,
    )

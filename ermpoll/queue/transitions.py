"""The steps a row can take, as guarded changes: claim, finish, give back. Pure.

Each step is a `Move`: what to write, the version it relies on, and the mark by
which it is known again when the answer was lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from ermpoll.catalog import paths
from ermpoll.catalog.clock import parse_time, time_text
from ermpoll.queue.definition import QueueDefinition
from ermpoll.queue.plan import BATCH, body
from ermpoll.queue.tokens import parse_token
from ermpoll.records import JSON, Change, PlannedPut, Row

Act: TypeAlias = Literal[
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
    #: When the claim ends unless renewed, on the monotonic clock.
    deadline: float = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One step of one row."""

    act: Act
    change: Change
    #: The token that proves our right to the row, or that claims it.
    token: str | None = None
    #: Why the row failed, whether or not a column takes it.
    reason: str = ""

    @property
    def rid(self) -> str:
        """The row it is about."""
        return self.change.rid


def claim(spec: QueueDefinition, row: Row, token: str | None, extra: Row) -> Transition:
    """Take a candidate, with extra changes; ``token`` None without owner column."""
    after: dict[str, JSON] = {**extra, spec.state: spec.claimed}
    if spec.owner:
        after[spec.owner] = token
    if spec.attempts:
        after[spec.attempts] = attempts_of(spec, row) + 1
    return _move("claim", row, after, token)


def complete(spec: QueueDefinition, held: Held, changes: Row) -> Transition:
    """Finish a row, with the changes its work asked for."""
    after: dict[str, JSON] = {spec.state: spec.done}
    if spec.error:
        after[spec.error] = None
    return _held_move("complete", held, {**after, **changes})


def fail(spec: QueueDefinition, held: Held, error: str) -> Transition:
    """Mark a row as failed, with the reason."""
    after: dict[str, JSON] = {spec.state: spec.failed_word(error)}
    if spec.error:
        after[spec.error] = spec.error_text(error)
    return _held_move("fail", held, after, error)


def retry_later(
    spec: QueueDefinition, held: Held, error: str, at: datetime
) -> Transition:
    """Make a failed row ready again, from a later time on; the attempt counts."""
    after = _given_back(spec, held.was)
    if spec.error:
        after[spec.error] = spec.error_text(error)
    if spec.retry_at:
        after[spec.retry_at] = time_text(at)
    return _held_move("retry later", held, after, error)


def release(spec: QueueDefinition, held: Held) -> Transition:
    """Give an unfinished row back; the attempt does not count."""
    after = _given_back(spec, held.was)
    if spec.attempts:
        after[spec.attempts] = held.attempts
    return _held_move("release", held, after)


def renew(spec: QueueDefinition, held: Held) -> Transition:
    """Make the lease begin anew: any write of the row does."""
    if spec.owner:
        return _held_move("renew", held, {spec.owner: held.token})
    return _held_move("renew", held, {spec.state: spec.claimed})


def retry(spec: QueueDefinition, row: Row) -> Transition:
    """Make a failed row ready again, at a person's word: attempts begin anew."""
    after = _given_back(spec, spec.first_ready)
    if spec.attempts:
        after[spec.attempts] = 0
    if spec.retry_at:
        after[spec.retry_at] = None
    return _move("retry", row, after, None)


def rescue(spec: QueueDefinition, row: Row) -> Transition:
    """Free a claim whose holder is gone; at the last attempt the row has failed."""
    after = _given_back(spec, spec.first_ready)
    error = ""
    if spec.attempts and attempts_of(spec, row) >= spec.max_attempts:
        error = (
            f"given up after {attempts_of(spec, row)} attempts: its workers vanished"
        )
        after[spec.state] = spec.failed_word(error)
        if spec.error:
            after[spec.error] = spec.error_text(error)
    return _move("rescue", row, after, None, error)


def park(spec: QueueDefinition, change: Change) -> Transition:
    """Mark a candidate as failed that can't be worked on, with the reason."""
    after: dict[str, JSON] = {spec.state: spec.failed_word(change.reason)}
    if spec.error:
        after[spec.error] = spec.error_text(change.reason)
    return _move("fail", change.before, after, None, change.reason)


def held_of(spec: QueueDefinition, move: Transition, rmt: str, deadline: float) -> Held:
    """Return how a row is held that a claim has won."""
    change = move.change
    was = change.before.get(spec.state)
    return Held(
        rid=move.rid,
        rmt=rmt,
        token=move.token,
        row={**change.before, **change.after, "RMT": rmt},
        was=None if was is None else str(was),
        attempts=change.before.get(spec.attempts) if spec.attempts else None,
        deadline=deadline if spec.owner else float("inf"),
    )


def holder_of(spec: QueueDefinition, row: Row) -> str | None:
    """Return who holds a claimed row by an ermpoll token, or None."""
    token = parse_token(row.get(spec.owner)) if spec.owner else None
    return token.name if token else None


def due_s(spec: QueueDefinition, row: Row, now: datetime) -> float:
    """Return in how many seconds a row may be tried again."""
    at = parse_time(row.get(spec.retry_at)) if spec.retry_at else None
    return max((at - now).total_seconds(), 0.0) if at else 0.0


def attempts_of(spec: QueueDefinition, row: Row) -> int:
    """Return how often a row was tried, 0 where nothing is known."""
    value = row.get(spec.attempts) if spec.attempts else None
    return value if isinstance(value, int) else 0


def overdue_s(
    spec: QueueDefinition, row: Row, now: datetime, lease_s: float | None = None
) -> float:
    """Return for how long a claimed row's lease is over; negative while it runs.

    The lease is the one in the row's own token, counted from its last write; for
    a row without a token it is ``lease_s``, or the queue's own.
    """
    token = parse_token(row.get(spec.owner)) if spec.owner else None
    if token is not None and lease_s is None:
        lease_s = token.lease_s
    touched = parse_time(row.get("RMT")) or now
    lease = timedelta(seconds=spec.lease_s if lease_s is None else lease_s)
    return (now - touched - lease).total_seconds()


def is_marked(spec: QueueDefinition, move: Transition, row: Row) -> bool | None:
    """Whether a row as it is now shows that the move was written; None: can't tell.

    Only asked once no copy of the write can be under way any more.
    """
    if not spec.owner:
        return None
    owner, state = row.get(spec.owner), row.get(spec.state)
    moved = parse_time(row.get("RMT")) != parse_time(move.change.rmt)
    if move.act in ("apply", "undo"):
        token = move.change.after.get(spec.owner)
        return owner == token if token else None
    if move.act in ("claim", "renew"):
        return moved and owner == move.token and state == spec.claimed
    if move.act in ("complete", "fail"):
        # done and failed rows keep the token of the claim that finished them
        return owner == move.token and state == move.change.after[spec.state]
    # given back: the token was cleared, perhaps somebody else holds it already
    return moved and state != spec.claimed


def fence_puts(spec: QueueDefinition, moves: Iterable[Transition]) -> list[PlannedPut]:
    """Write moves of held rows guarded by token and state instead of the version.

    For rows that somebody edited while we held them: the claim still stands. Rows
    without a token get no PUT: a missing one would match every row without owner.
    """
    if not spec.owner:
        return []
    was, held = _free_alias(spec, "was"), _free_alias(spec, "held")
    keys = ("RID", f"{held}:={spec.owner}", f"{was}:={spec.state}")
    groups: dict[tuple[str, ...], list[Row]] = {}
    for move in moves:
        if move.token:
            guard = {"RID": move.rid, held: move.token, was: spec.claimed}
            columns = tuple(sorted(move.change.after))
            targets = body(spec.table, move.change.after)
            groups.setdefault(columns, []).append({**guard, **targets})
    return [
        PlannedPut(
            path=f"attributegroup/{spec.table.path}/"
            + paths.keys_and_targets(keys, columns),
            rows=tuple(rows[start : start + BATCH]),
        )
        for columns, rows in groups.items()
        for start in range(0, len(rows), BATCH)
    ]


def _given_back(spec: QueueDefinition, word: str | None) -> dict[str, JSON]:
    after: dict[str, JSON] = {spec.state: word}
    if spec.owner:
        after[spec.owner] = None
    return after


def _move(
    act: Act,
    row: Row,
    after: Mapping[str, JSON],
    token: str | None,
    reason: str = "",
) -> Transition:
    change = Change(
        rid=str(row["RID"]), rmt=str(row["RMT"]), before=row, after=dict(after)
    )
    return Transition(act=act, change=change, token=token, reason=reason)


def _held_move(
    act: Act, held: Held, after: Mapping[str, JSON], reason: str = ""
) -> Transition:
    change = Change(rid=held.rid, rmt=held.rmt, before=held.row, after=dict(after))
    return Transition(act=act, change=change, token=held.token, reason=reason)


def _free_alias(spec: QueueDefinition, name: str) -> str:
    # an alias that is also a column of the table is refused with 409
    while name in spec.table.columns:
        name += "_"
    return name

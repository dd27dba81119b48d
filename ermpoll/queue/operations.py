"""What a queue does at a person's word: claim, finish, give back, retry, rescue.

Each act is one INFO record on ``ermpoll.audit``: who, table, RIDs, counts; no values.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ermpoll.backoff import Deadline
from ermpoll.catalog.clock import time_text
from ermpoll.errors import Denied, TransformError, Unreadable, UsageError
from ermpoll.queue import plan as planning
from ermpoll.queue import transitions
from ermpoll.queue.definition import check_change_of_state
from ermpoll.queue.results import Claim, Outcome, rids_of
from ermpoll.queue.tokens import worker_name
from ermpoll.queue.transitions import Held, Transition
from ermpoll.queue.writer import WriteResult, by_then, read_rows, try_rows
from ermpoll.records import JSON, Change, Row, Transform
from ermpoll.redact import text_of, told

if TYPE_CHECKING:
    from ermpoll.queue.queue import Queue

audit = logging.getLogger("ermpoll.audit")

#: Seconds that an act by hand goes on asking for a certain answer.
PATIENCE_S = 30.0
#: Rounds of a claim that lost all its rows to others.
ROUNDS = 8


def claim(
    jobs: Queue,
    limit: int,
    rows: object,
    transform: Transform | None,
    token: str | None,
) -> Claim:
    """Claim candidates; see `Queue.claim`."""
    check_right(jobs)
    rids = rids_of(rows) if rows is not None else None
    pause = Deadline(math.inf)
    for _ in range(1 if token else ROUNDS):
        chosen = jobs.choose(limit, transform=transform, rids=rids, token=token)
        _check_chosen(chosen)
        sent_at = time.monotonic()
        done = jobs.writer().write(chosen, until=by_then(PATIENCE_S))
        if done.written.won or not done.written.missed:
            break
        # all went to others: the next rows may be contested less
        pause.wait()
    outcome = outcome_of(jobs, "claim", done, read=False)
    return Claim(jobs, held_rows(jobs, done, sent_at), outcome)


def carry_out(jobs: Queue, action: str, sent: Sequence[Transition]) -> Outcome:
    """Write the moves of a plan; see `Plan.apply`."""
    check_right(jobs)
    sent_at = time.monotonic()
    done = jobs.writer().write(sent, until=by_then(PATIENCE_S))
    outcome = outcome_of(jobs, action, done)
    return replace(outcome, held=held_rows(jobs, done, sent_at))


def held_rows(jobs: Queue, done: WriteResult, sent_at: float) -> dict[str, Held]:
    """Return the rows that a write claimed, as their holder knows them.

    Their lease counts from when the claim was sent: the catalog can't have written
    it earlier.
    """
    deadline = sent_at + jobs.spec.lease_s
    return {
        move.rid: transitions.held_of(
            jobs.spec, move, done.written.won[move.rid], deadline
        )
        for move in done.won("claim")
    }


def finish(
    jobs: Queue,
    action: str,
    claim: Claim,
    rids: Iterable[str],
    move: Callable[[Held], Transition],
) -> Outcome:
    """Write a finishing move for rows of a claim, but none whose lease is over."""
    check_right(jobs)
    rids = tuple(rids)
    holding = {rid: claim.holding(rid) for rid in rids}
    sent_at = time.monotonic()
    over = tuple(rid for rid in rids if holding[rid].deadline <= sent_at)
    chosen = [move(holding[rid]) for rid in rids if rid not in over]
    until = min((holding[m.rid].deadline for m in chosen), default=sent_at)
    until = min(until, by_then(PATIENCE_S))
    done = jobs.writer().write(chosen, until=until)
    if action == "renew":
        for one in done.won():
            old = holding[one.rid]
            # the version of a write by token covers an edit that we haven't seen
            rmt = "" if one.rid in done.edited else done.written.won[one.rid]
            held = replace(old, rmt=rmt, deadline=sent_at + jobs.spec.lease_s)
            claim.settle(held)
    else:
        claim.settle(None, *done.written.won)
    claim.settle(None, *done.written.missed, *over)
    return outcome_of(jobs, action, done, over=over, left=claim.unfinished)


def by_hand(
    jobs: Queue,
    action: str,
    rids: tuple[str, ...],
    *,
    rows: object = None,
    force: bool = False,
) -> Outcome:
    """Retry or rescue rows that nobody here holds."""
    check_right(jobs)
    now = read_rows(jobs.catalog, jobs.queries, rids)
    listed = _versions_of(rows)
    reasons = {}
    chosen = []
    for rid in rids:
        reason = _unfit(jobs, action, now.get(rid), force)
        if reason is None:
            # keyed by the version that was listed: what was touched since is left
            row = {**now[rid], "RMT": listed.get(rid, now[rid]["RMT"])}
            step = transitions.retry if action == "retry" else transitions.rescue
            chosen.append(step(jobs.spec, row))
        else:
            reasons[rid] = reason
    done = jobs.writer().write(chosen, until=by_then(PATIENCE_S))
    return outcome_of(jobs, action, done, unfit=reasons)


def outcome_of(
    jobs: Queue,
    action: str,
    done: WriteResult,
    *,
    read: bool = True,
    over: tuple[str, ...] = (),
    left: tuple[str, ...] = (),
    unfit: Mapping[str, str] = MappingProxyType({}),
) -> Outcome:
    """Say what became of the rows, and write the audit record.

    Parameters
    ----------
    unfit
        ``{RID: why}`` of rows that no write was sent for.
    """
    written = done.written
    reasons = {**written.refused, **unfit}
    reasons.update(dict.fromkeys(written.unsent, str(written.error)))
    reasons.update(dict.fromkeys(written.unknown, "the answer never came"))
    reasons.update(dict.fromkeys(over, "the lease was over; nothing was written"))
    # what was written is told in any case, so a read that fails costs a reason only
    found = try_rows(jobs.catalog, jobs.queries, written.missed) if read else None
    now = found or {}
    meanwhile = {}
    for rid in written.missed:
        meanwhile[rid] = _changed(done.moves[rid].change, now.get(rid))
        gone = found is not None and rid not in found
        reasons[rid] = "is gone" if gone else "changed meanwhile"
    outcome = Outcome(
        jobs=jobs,
        action=action,
        won=tuple(written.won),
        lost=(*written.missed, *written.refused, *written.unsent, *over, *unfit),
        unknown=written.unknown,
        still_claimed=left,
        edited=done.edited,
        reasons=reasons,
        meanwhile=meanwhile,
        by={rid: str(row.get("RMB") or "") for rid, row in now.items()},
        written={rid: done.moves[rid] for rid in written.won},
        versions=dict(written.won),
    )
    _audit(outcome)
    return outcome


def finishing(jobs: Queue, rid: str, changes: object) -> dict[str, JSON]:
    """Check the changes that finish a row.

    Raises
    ------
    UsageError
        They are no dict, name columns that aren't there, hold values that the
        catalog would refuse, or a state word that doesn't finish the row.
    """
    table = jobs.spec.table
    try:
        wanted = planning.changes_of(changes, {}, table)
    except Unreadable as error:
        raise UsageError(f"{rid}: {error}; nothing was written") from error
    reason = planning.first_refusal(wanted, table) or check_change_of_state(
        jobs.spec, wanted
    )
    if reason:
        raise UsageError(f"{rid}: {reason}; nothing was written")
    return wanted


def error_text(error: object) -> str:
    """Return an error as a line for people: an exception with its name."""
    return told(error) if isinstance(error, BaseException) else text_of(error)


def check_right(jobs: Queue) -> None:
    """Raise Denied where nothing can be written for want of a right."""
    if jobs.spec.table.may_update is False:
        raise Denied(
            f"expected the right to update {jobs.title}, but {jobs.why_not_writable}; "
            "log in as somebody who has it, or ask the catalog's owner"
        )


def _check_chosen(chosen: Iterable[Transition]) -> None:
    for move in chosen:
        change = move.change
        if change.kind == "failed":
            raise TransformError(
                f"the transform failed on {change.rid}: {change.reason}; "
                "nothing was written",
                rid=change.rid,
            )
        if change.kind == "problem":
            raise UsageError(f"{change.rid}: {change.reason}; nothing was written")


def _unfit(jobs: Queue, action: str, row: Row | None, force: bool) -> str | None:
    """Say why a row can't be retried or rescued."""
    spec = jobs.spec
    if row is None:
        return "is gone"
    state = row[spec.state]
    if action == "retry":
        if spec.is_failed(state):
            return None
        return f"is not failed: {spec.state} is {spec.label(state)!r}"
    if state != spec.claimed:
        return f"is not claimed: {spec.state} is {spec.label(state)!r}"
    left = -transitions.overdue_s(spec, row, jobs.catalog.now())
    if left > 0 and not force:
        return f"its lease runs for another {left:.0f} s; force=True frees it anyway"
    return None


def _versions_of(rows: object) -> dict[str, JSON]:
    """Return the versions of rows as the caller saw them, where it has them.

    Rows of a claim are not as they were listed: their holder has written since.
    """
    if isinstance(rows, Claim):
        return {}
    frame = rows if hasattr(rows, "index") and hasattr(rows, "columns") else None
    if frame is not None:
        return _versions_of_frame(frame)
    items = getattr(rows, "picked", getattr(rows, "rows", rows))
    if not isinstance(items, list | tuple):
        return {}
    return {
        str(item["RID"]): item["RMT"]
        for item in items
        if isinstance(item, Mapping) and "RID" in item and item.get("RMT")
    }


def _versions_of_frame(frame: Any) -> dict[str, JSON]:
    if "RMT" not in frame.columns:
        return {}
    rids = frame["RID"] if "RID" in frame.columns else frame.index
    return {
        str(rid): time_text(at) if isinstance(at, datetime) else str(at)
        for rid, at in zip(rids, frame["RMT"], strict=True)
        # NULL of a frame is not equal to itself
        if at is not None and at == at
    }


def _changed(change: Change, now: Row | None) -> dict[str, tuple[JSON, JSON]]:
    """Return which columns are not as they were read."""
    if now is None:
        return {}
    return {
        name: (value, now[name])
        for name, value in change.before.items()
        if name in now and name not in ("RMT", "RMB") and now[name] != value
    }


def _audit(outcome: Outcome) -> None:
    jobs = outcome.jobs
    audit.info(
        "%s on %s by %s: %d won, %d lost, %d unknown: %s",
        outcome.action,
        jobs.title,
        worker_name(),
        len(outcome.won),
        len(outcome.lost),
        len(outcome.unknown),
        " ".join((*outcome.won, *outcome.lost, *outcome.unknown)),
        extra={
            "event": outcome.action,
            "who": worker_name(),
            "table": jobs.title,
            "rids": outcome.won,
            "lost": outcome.lost,
            "unknown": outcome.unknown,
        },
    )

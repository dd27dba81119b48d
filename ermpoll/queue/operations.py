"""What a queue does at a person's word: plan, claim, finish, give back, retry, rescue.

Each act is one INFO record on ``ermpoll.audit``: who, table, RIDs, counts; no values.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from ermpoll import audit
from ermpoll.backoff import Deadline
from ermpoll.catalog import paths
from ermpoll.errors import BadRequest, TransformError, UsageError
from ermpoll.queue import edits, transitions
from ermpoll.queue.definition import QueueDefinition
from ermpoll.queue.guarded_put import Fate
from ermpoll.queue.plan import apart, batches, put_by_version
from ermpoll.queue.results import Acts, Claim, Outcome, Plan
from ermpoll.queue.rids import rids_of, versions_of
from ermpoll.queue.selection import Selector, learn_time
from ermpoll.queue.table import QueueTable
from ermpoll.queue.tokens import token_source, worker_name
from ermpoll.queue.transitions import Held, Transition
from ermpoll.queue.writer import HOLDING, GuardedWriter, WriteResult, by_then
from ermpoll.records import JSON, Change, PlannedPut, Row, Transform

#: Seconds that an act by hand goes on asking for a certain answer.
PATIENCE_S = 30.0
#: Rounds of a claim that won none of its rows.
ROUNDS = 8


def plan(table: QueueTable, action: str, steps: Sequence[Transition]) -> Plan:
    """Plan steps of rows: the PUTs as they will be sent, tokens of claims included."""
    definition = table.definition
    new_token = token_source(worker_name(definition.worker), definition.lease_s)
    by_rid = {step.rid: step for step in reversed(steps)}
    puts = []
    for batch in batches((step.change for step in steps), definition.table):
        sent = [by_rid[change.rid] for change in batch.changes]
        sent = transitions.stamp(definition, sent, new_token)
        # what is shown is apart from what is sent: it may be scribbled on
        changes = [apart(step.change) for step in sent]
        put = put_by_version(definition.table, batch.columns, changes)
        if reason := _too_long(table, put):
            sent = [_problem(step, reason) for step in sent]
        else:
            puts.append(put)
        by_rid.update((step.rid, step) for step in sent)
    return Plan(table, action, [by_rid[s.rid] for s in steps], puts, ACTS)


def _too_long(table: QueueTable, put: PlannedPut) -> str:
    """Say that an address is too long to be sent; or ""."""
    try:
        paths.check_size(f"{urlsplit(table.catalog.url).path}/{put.path}")
    except BadRequest as error:
        return error.detail
    return ""


def _problem(step: Transition, reason: str) -> Transition:
    change = replace(step.change, kind="problem", reason=reason)
    return replace(step, change=change)


def apply(table: QueueTable, action: str, steps: Sequence[Transition]) -> Outcome:
    """Write the steps of a plan; see `Plan.apply`."""
    table.check_right()
    sent_at = time.monotonic()
    done = GuardedWriter(table).write(steps, until=by_then(PATIENCE_S))
    return _outcome(table, action, done, sent_at)


def claim(
    table: QueueTable,
    limit: int,
    rows: object,
    transform: Transform | None,
    token: str | None,
) -> Claim:
    """Claim candidates; see `Queue.claim`."""
    table.check_right()
    rids = rids_of(rows) if rows is not None else None
    selector = Selector(table)
    writer = GuardedWriter(table, new_token=(lambda: token) if token else None)
    refused: dict[str, str] = {}
    pause, until, rounds = Deadline(math.inf), by_then(PATIENCE_S), ROUNDS
    while True:
        chosen = selector.choose(
            limit, transform=transform, rids=rids, without=refused.keys()
        )
        if learn_time(table, (step.change.before for step in chosen)):
            continue
        _check_chosen(chosen)
        sent_at = time.monotonic()
        done = writer.write(chosen, until=by_then(PATIENCE_S))
        _note_refused(table, done, refused)
        if done.error or not done.fates or done.fates & {Fate.WON, Fate.UNKNOWN}:
            break
        # a row that is refused is not tried again, so the next ones come in view
        rounds -= Fate.MISSED in done.fates
        if token or not rounds or sent_at > until:
            break
        if Fate.MISSED in done.fates:
            # all went to others: the next rows may be contested less
            pause.wait()
    for rid, change in selector.passed_over.items():
        refused.setdefault(rid, change.reason)
    named = [rid for rid in rids or () if rid not in {*done.rows, *refused}]
    lost = _not_taken(table, named)
    return Claim(
        _outcome(table, "claim", done, sent_at, refused=refused, lost=lost, read=False)
    )


def _not_taken(table: QueueTable, rids: Sequence[str]) -> dict[str, str]:
    """Say of rows that were asked for why none of them is a candidate."""
    now = table.try_rows(rids) if rids else {}
    if now is None:
        return {}
    state = table.definition.state
    return {
        rid: f"is no candidate: {state} is {table.definition.label(now[rid][state])!r}"
        if rid in now
        else "is not there"
        for rid in rids
    }


def _note_refused(
    table: QueueTable, done: WriteResult, refused: dict[str, str]
) -> None:
    """Take note of what a claim was refused, and of what it was not."""
    reasons = done.reasons(Fate.REFUSED)
    for rid, reason in reasons.items():
        table.rights.refused(rid, done.transitions[rid].change.rmt, reason)
    table.rights.set_aside.forget(done.rids(Fate.WON))
    refused.update(reasons)


def held_rows(
    definition: QueueDefinition, done: WriteResult, sent_at: float
) -> dict[str, Held]:
    """Return the rows that a write claimed, as their holder knows them.

    Their lease counts from when the claim was sent: the catalog can't have written
    it earlier.
    """
    deadline = sent_at + definition.lease_s
    return {
        rid: transitions.held_of(
            definition, step, done.rows[rid].rmt, deadline, done.rows[rid].answered
        )
        for rid, step in done.written("claim").items()
    }


def finish(
    table: QueueTable, kind: str, claim: Claim, steps: Sequence[Transition]
) -> Outcome:
    """Write steps of rows of a claim, but none whose lease is over."""
    table.check_right()
    sent_at = time.monotonic()
    holding = {step.rid: claim.holding(step.rid) for step in steps}
    over = [rid for rid, held in holding.items() if held.deadline <= sent_at]
    mine = [step for step in steps if step.rid not in over]
    until = min([by_then(PATIENCE_S), *(holding[one.rid].deadline for one in mine)])
    done = GuardedWriter(table).write(mine, until=until)
    claim.settle(*done.rids(Fate.WON), *done.rids(Fate.MISSED), *over)
    deadline = sent_at + table.definition.lease_s
    for rid in done.written("renew"):
        held = replace(holding[rid], rmt=done.rows[rid].rmt, deadline=deadline)
        claim.hold(held)
    lost = dict.fromkeys(over, "the lease was over; nothing was written")
    return _outcome(table, kind, done, sent_at, lost=lost, left=claim.unfinished)


def release(table: QueueTable, claim: Claim, rows: object = None) -> Outcome:
    """Give unfinished rows of a claim back, all or these."""
    held = map(claim.holding, claim.unfinished if rows is None else rids_of(rows))
    steps = [transitions.release(table.definition, one) for one in held]
    return finish(table, "release", claim, steps)


def retry_or_rescue(
    table: QueueTable, kind: str, rows: object, force: bool = False
) -> Outcome:
    """Retry or rescue rows that nobody here holds."""
    table.check_right()
    step = transitions.retry if kind == "retry" else transitions.rescue
    rids, listed = rids_of(rows), versions_of(rows)
    now = table.read_rows(rids)
    outside = table.outside(now.values())
    unfit = {
        rid: outside.get(rid) or _unfit(table, kind, now.get(rid), force)
        for rid in rids
    }
    # keyed by the version that was listed: what was touched since is left
    chosen = [
        step(table.definition, {**now[rid], "RMT": listed.get(rid, now[rid]["RMT"])})
        for rid in rids
        if not unfit[rid]
    ]
    sent_at = time.monotonic()
    done = GuardedWriter(table).write(chosen, until=by_then(PATIENCE_S))
    lost = {rid: reason for rid, reason in unfit.items() if reason}
    return _outcome(table, kind, done, sent_at, lost=lost)


def _outcome(
    table: QueueTable,
    action: str,
    done: WriteResult,
    sent_at: float,
    *,
    lost: Mapping[str, str] | None = None,
    refused: Mapping[str, str] | None = None,
    read: bool = True,
    left: tuple[str, ...] = (),
) -> Outcome:
    """Say what became of the rows, and write the audit record.

    ``lost``: why no step was sent for a row; ``refused``: those of earlier rounds as
    well; ``read``: look up what became of missed rows.
    """
    won, missed = done.written(), done.rids(Fate.MISSED)
    unsent, unknown = done.reasons(Fate.UNSENT), done.rids(Fate.UNKNOWN)
    refused = done.reasons(Fate.REFUSED) if refused is None else refused
    now = table.try_rows(missed) if read and missed else None
    versions = {rid: done.rows[rid] for rid in won}
    outcome = Outcome(
        jobs=table,
        action=action,
        won=tuple(won),
        lost=(*missed, *refused, *unsent, *(lost or ())),
        unknown=unknown,
        still_claimed=left,
        edited=tuple(rid for rid, row in versions.items() if row.edited),
        kept={rid: row.kept for rid, row in versions.items() if row.kept},
        reasons={
            **_why_missed(table, done, missed, now),
            **_failed_instead(action, won),
            **refused,
            **unsent,
            **dict.fromkeys(unknown, "the answer never came"),
            **(lost or {}),
        },
        meanwhile={
            rid: _changed(done.transitions[rid].change, (now or {}).get(rid))
            for rid in missed
        },
        by={rid: str(row.get("RMB") or "") for rid, row in (now or {}).items()},
        refused=refused,
        error=done.error,
        back=tuple(
            [
                transitions.undo(step, versions[rid].rmt, edited=versions[rid].edited)
                for rid, step in won.items()
            ]
        ),
        held=held_rows(table.definition, done, sent_at),
        acts=ACTS,
    )
    _audit(outcome)
    return outcome


def _failed_instead(action: str, won: Mapping[str, Transition]) -> dict[str, str]:
    """Say which rows failed where they were to be done, and why."""
    if action != "complete":
        return {}
    return {rid: f"failed: {one.reason}" for rid, one in won.items() if one.reason}


def _why_missed(
    table: QueueTable,
    done: WriteResult,
    missed: Iterable[str],
    now: Mapping[str, Row] | None,
) -> dict[str, str]:
    """Say why rows were not written, by what they are now, if that could be read."""
    if now is None:
        return dict.fromkeys(missed, "changed meanwhile")
    steps = {rid: done.transitions[rid] for rid in missed}
    return {
        rid: edits.why_lost(table.definition, step, now.get(rid))
        if step.kind in HOLDING
        else "changed meanwhile"
        if rid in now
        else "is gone"
        for rid, step in steps.items()
    }


def _check_chosen(chosen: Iterable[Transition]) -> None:
    for change in (step.change for step in chosen):
        if change.kind == "failed":
            raise TransformError(
                f"the transform failed on {change.rid}: {change.reason}; "
                "nothing was written",
                rid=change.rid,
            )
        if change.kind == "problem":
            raise UsageError(f"{change.rid}: {change.reason}; nothing was written")


def _unfit(table: QueueTable, kind: str, row: Row | None, force: bool) -> str | None:
    """Say why a row can't be retried or rescued."""
    definition = table.definition
    if row is None:
        return "is gone"
    state = row[definition.state]
    told = f"{definition.state} is {definition.label(state)!r}"
    if kind == "retry":
        return None if definition.is_failed(state) else f"is not failed: {told}"
    if state != definition.claimed:
        return f"is not claimed: {told}"
    left = -transitions.overdue_s(definition, row, table.catalog.now())
    if left > 0 and not force:
        return f"its lease runs for another {left:.0f} s; force=True frees it anyway"
    return None


def _changed(change: Change, now: Row | None) -> dict[str, tuple[JSON, JSON]]:
    """Return which columns are not as they were read."""
    return {
        name: (value, now[name])
        for name, value in change.before.items()
        if now and name in now and name not in ("RMT", "RMB") and now[name] != value
    }


def _audit(outcome: Outcome) -> None:
    action, jobs = outcome.action, outcome.jobs
    title, who = jobs.title, worker_name(jobs.definition.worker)
    won, lost, unknown = outcome.won, outcome.lost, outcome.unknown
    audit.record(
        action,
        title,
        who=who,
        came=f"{len(won)} won, {len(lost)} lost, {len(unknown)} unknown",
        rids=(*won, *lost, *unknown),
        extra={
            "who": who, "table": title, "rids": won, "lost": lost, "unknown": unknown,
        },
    )  # fmt: skip


#: What plans, outcomes and claims are handed.
ACTS = Acts(apply=apply, plan=plan, release=release)

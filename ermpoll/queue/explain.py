"""Why a row is not taken, in one sentence."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from ermpoll.catalog import paths
from ermpoll.catalog.clock import parse_time
from ermpoll.queue import transitions
from ermpoll.queue.tokens import parse_token
from ermpoll.queue.writer import read_rows
from ermpoll.records import JSON

if TYPE_CHECKING:
    from ermpoll.queue.queue import Queue


def why(jobs: Queue, rid: str) -> str:
    """Say in one sentence why a row is not taken, or that it would be."""
    row = read_rows(jobs.catalog, jobs.queries, [rid]).get(rid)
    if row is None:
        return f"{rid} is not there: {jobs.title} has no such row."
    spec, now = jobs.spec, jobs.catalog.now()
    state = row[spec.state]
    if state == spec.claimed:
        return _held(jobs, rid, row, now)
    if not spec.is_ready(state):
        return _not_ready(jobs, rid, row)
    reason = _waits(jobs, row, now) or _filtered(jobs, rid, now)
    if reason:
        return f"{rid} is not taken: {reason}."
    if not jobs.writable:
        return f"{rid} is a candidate, but can't be taken: {jobs.why_not_writable}."
    return f"{rid} is a candidate: nothing keeps the next claim from taking it."


def _held(jobs: Queue, rid: str, row: dict[str, JSON], now: datetime) -> str:
    spec = jobs.spec
    token = parse_token(row.get(spec.owner)) if spec.owner else None
    overdue = transitions.overdue_s(spec, row, now)
    by = f"by {token.name}" if token else f"by {row.get('RMB') or 'somebody'}"
    if token is None:
        since = f"untouched for {_duration(overdue + spec.lease_s)}"
        return f"{rid} is claimed {by} without a lease, {since}; rescue() frees it."
    if overdue <= 0:
        return f"{rid} is claimed {by} for another {_duration(-overdue)}."
    return (
        f"{rid} is claimed {by}, whose lease ended {_duration(overdue)} ago; "
        "the next agent that looks, or rescue(), frees it."
    )


def _not_ready(jobs: Queue, rid: str, row: dict[str, JSON]) -> str:
    spec, state = jobs.spec, row[jobs.spec.state]
    ready = " or ".join(spec.label(word) for word in spec.ready)
    if state == spec.done:
        return f"{rid} is done: {spec.state} is {state!r}."
    if spec.is_failed(state):
        return f"{rid} has failed: {spec.state} is {state!r}; retry() makes it {ready}."
    return f"{rid} is not taken: {spec.state} is {spec.label(state)!r}, not {ready}."


def _waits(jobs: Queue, row: dict[str, JSON], now: datetime) -> str | None:
    spec = jobs.spec
    if spec.attempts and transitions.attempts_of(spec, row) >= spec.max_attempts:
        return (
            f"its attempts are used up ({transitions.attempts_of(spec, row)} of "
            f"{spec.max_attempts}); retry() begins anew"
        )
    later = parse_time(row.get(spec.retry_at)) if spec.retry_at else None
    if later and later > now:
        return f"it waits another {_duration((later - now).total_seconds())} to retry"
    return None


def _filtered(jobs: Queue, rid: str, now: datetime) -> str | None:
    page = jobs.catalog.get(jobs.queries.candidates(now, 1, rids=[rid]))
    if page is None or page.rows:
        return None
    spec = jobs.spec
    for predicate in re.split(r"[/&]", spec.where):
        path = paths.join("attribute", spec.table.path, paths.equals("RID", rid))
        try_ = jobs.catalog.get(f"{path}/{predicate}/RID") if predicate else None
        if try_ is not None and not try_.rows:
            return f"the filter {predicate} does not hold"
    return f"the queue's {'path' if spec.path else 'filter'} does not find it"


def _duration(seconds: float) -> str:
    seconds = max(seconds, 0)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"

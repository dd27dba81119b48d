"""Why a row is not taken, in one sentence."""

from __future__ import annotations

import re
from datetime import datetime

from ermpoll.catalog import paths
from ermpoll.queue import transitions
from ermpoll.queue.table import QueueTable
from ermpoll.queue.tokens import parse_token
from ermpoll.records import JSON


def why(table: QueueTable, rid: str) -> str:
    """Say in one sentence why a row is not taken, or that it would be."""
    row = table.read_rows([rid]).get(rid)
    if row is None:
        return f"{rid} is not there: {table.title} has no such row."
    definition, now = table.definition, table.catalog.now()
    state = row[definition.state]
    if state == definition.claimed:
        return _held(table, rid, row, now) + _outside(table, row)
    if not definition.is_ready(state):
        return _not_ready(table, rid, row)
    reason = _waits(table, row, now) or _filtered(table, rid, now)
    if reason:
        return f"{rid} is not taken: {reason}."
    if table.why_not_writable:
        return f"{rid} is a candidate, but can't be taken: {table.why_not_writable}."
    if reason := table.barred([row]).get(rid):
        later = again(table, rid)
        return f"{rid} is a candidate, but can't be taken: {reason}; {later}."
    return f"{rid} is a candidate: nothing keeps the next claim from taking it."


def again(table: QueueTable, rid: str) -> str:
    """Say when a row is tried again that the catalog refused to write."""
    wait_s = table.rights.again_s(rid)
    if not wait_s:
        return "each look asks again"
    return (
        f"it is tried again in {_duration(wait_s)}, or as soon as the row, the login "
        "or the model changes"
    )


def _held(table: QueueTable, rid: str, row: dict[str, JSON], now: datetime) -> str:
    definition = table.definition
    token = parse_token(row.get(definition.owner)) if definition.owner else None
    overdue = transitions.overdue_s(definition, row, now)
    by = f"by {token.name}" if token else f"by {row.get('RMB') or 'somebody'}"
    if token is None:
        since = f"untouched for {_duration(overdue + definition.lease_s)}"
        return f"{rid} is claimed {by} without a lease, {since}; rescue() frees it."
    if overdue <= 0:
        return f"{rid} is claimed {by} for another {_duration(-overdue)}."
    return (
        f"{rid} is claimed {by}, whose lease ended {_duration(overdue)} ago; "
        "the next agent that looks, or rescue(), frees it."
    )


def _outside(table: QueueTable, row: dict[str, JSON]) -> str:
    return "".join(f" It {why}." for why in table.outside([row]).values())


def _not_ready(table: QueueTable, rid: str, row: dict[str, JSON]) -> str:
    definition = table.definition
    name, word = definition.state, row[definition.state]
    ready = " or ".join(map(definition.label, definition.ready))
    if word == definition.done:
        return f"{rid} is done: {name} is {word!r}."
    if definition.is_failed(word):
        return f"{rid} has failed: {name} is {word!r}; retry() makes it {ready}."
    return f"{rid} is not taken: {name} is {definition.label(word)!r}, not {ready}."


def _waits(table: QueueTable, row: dict[str, JSON], now: datetime) -> str | None:
    definition = table.definition
    tried, most = transitions.attempts_of(definition, row), definition.max_attempts
    if definition.attempts and tried >= most:
        return f"its attempts are used up ({tried} of {most}); retry() begins anew"
    wait_s = transitions.due_s(definition, row, now)
    if wait_s is None:
        return f"its {definition.retry_at} never comes"
    return f"it waits another {_duration(wait_s)} to retry" if wait_s else None


def _filtered(table: QueueTable, rid: str, now: datetime) -> str | None:
    page = table.catalog.get(table.queries.candidates(now, 1, rids=[rid]))
    if page is None or page.rows:
        return None
    definition = table.definition
    for predicate in re.split(r"[/&]", definition.where):
        path = paths.join("attribute", definition.table.path, paths.equals("RID", rid))
        try_ = table.catalog.get(f"{path}/{predicate}/RID") if predicate else None
        if try_ is not None and not try_.rows:
            return f"the filter {predicate} does not hold"
    return f"the queue's {'path' if definition.path else 'filter'} does not find it"


def _duration(seconds: float) -> str:
    seconds = max(seconds, 0)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"

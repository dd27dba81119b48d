"""Why a row is not taken, in one sentence."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from ermpoll.catalog import paths
from ermpoll.catalog.clock import parse_time, time_text
from ermpoll.errors import CatalogError
from ermpoll.queue import transitions
from ermpoll.queue.rids import rids_of
from ermpoll.queue.table import QueueTable
from ermpoll.queue.tokens import parse_token
from ermpoll.records import JSON
from ermpoll.redact import clipped

_FORCE = "or rescue(..., force=True) at once"


def why(table: QueueTable, rid: str) -> str:
    """Say in one sentence why a row is not taken, or that it would be."""
    [rid] = rids_of(rid)
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
    if table.catalog.is_snapshot:
        return (
            f"{rid} was a candidate then, which nothing kept a claim from taking; "
            f"{table.why_not_writable}."
        )
    if table.why_not_writable:
        nobody = "" if table.catalog.read_only else _nobody(table)
        return (
            f"{rid} is a candidate, but can't be taken: {table.why_not_writable}"
            f"{nobody and '; '}{nobody}."
        )
    if reason := table.barred([row]).get(rid):
        later = again(table, rid)
        return f"{rid} is a candidate, but can't be taken: {reason}; {later}."
    return f"{rid} is a candidate: nothing keeps the next claim from taking it."


def _nobody(table: QueueTable) -> str:
    try:
        return table.catalog.nobody()
    except CatalogError:
        return ""  # not every server can tell


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
    if token is None:
        owner = str(row.get(definition.owner) or "") if definition.owner else ""
        by = clipped(str(owner or row.get("RMB") or "somebody"))
        since = f"untouched for {_duration(overdue + definition.lease_s)}"
        frees = "rescue() frees it"
        if overdue <= 0:
            frees = f"after another {_duration(-overdue)} rescue() frees it, {_FORCE}"
        return f"{rid} is claimed by {by} without a lease, {since}; {frees}."
    by = clipped(token.name)
    if overdue <= 0:
        until = time_text(now - timedelta(seconds=overdue))[:19]
        return (
            f"{rid} is claimed by {by} for another {_duration(-overdue)}, until "
            f"{until} UTC unless it is renewed; its holder frees it, {_FORCE}."
        )
    ours = transitions.is_ours(definition, row)
    who = (
        "the next agent that looks, or rescue(), frees it"
        if ours
        else (
            "no agent frees it by itself, since its token doesn't name a ready word of "
            "this queue; rescue() does"
        )
    )
    return (
        f"{rid} is claimed by {by}, whose lease ended {_duration(overdue)} ago; {who}."
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
        return f"{rid} has failed: {_failure(table, row)}; retry() makes it {ready}."
    return f"{rid} is not taken: {name} is {definition.label(word)!r}, not {ready}."


def _failure(table: QueueTable, row: dict[str, JSON]) -> str:
    """Tell the error, the attempts and when, as far as there are columns for them."""
    definition = table.definition
    word, error = row[definition.state], row.get(definition.error or "")
    told = [clipped(str(error)) if error else f"{definition.state} is {word!r}"]
    if definition.attempts:
        tried = transitions.attempts_of(definition, row)
        told.append(f"after {tried} of {definition.max_attempts} attempts")
    at = parse_time(row.get("RMT"))
    if at is not None:
        told.append(f"last written {time_text(at)[:19]} UTC by {row.get('RMB')}")
    return ", ".join(told)


def _waits(table: QueueTable, row: dict[str, JSON], now: datetime) -> str | None:
    definition = table.definition
    tried, most = transitions.attempts_before(definition, row), definition.max_attempts
    if definition.attempts and tried >= most:
        return (
            f"its attempts are used up ({tried} of {most}), and nothing tells that it "
            f"was set back by hand: no token is in an owner column; set "
            f"{definition.attempts} to 0"
        )
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

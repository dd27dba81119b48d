"""Requests for a catalog's history: which times it has, cutting and amending it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from urllib.parse import unquote

from ermpoll.sandbox.errors import HttpError, bad_request, conflict, not_found
from ermpoll.sandbox.http import preconditions
from ermpoll.sandbox.http.call import Call
from ermpoll.sandbox.http.messages import Answer, empty_answer, json_answer, json_of
from ermpoll.sandbox.model.identifiers import decode, encode
from ermpoll.sandbox.schema import amend
from ermpoll.sandbox.schema.catalogs import clamped
from ermpoll.sandbox.store import history
from ermpoll.sandbox.store.journal import Journal

#: What an id of a snapshot may hold in an address.
RAW = re.compile(r"[\w.~%*-]*", re.ASCII)
#: Later than all times.
_END = 2**63 - 1


def show(call: Call, names: Sequence[str]) -> Answer:
    """Answer ``GET history/FROM,UNTIL``: the first and the last change within."""
    call.rights.demand_catalog("enumerate")
    return _shown(call, _range(call, names))


def truncate(call: Call, names: Sequence[str]) -> Answer:
    """Answer ``DELETE history/,UNTIL``, which forgets all that was before."""
    call.rights.demand_catalog("owner")
    if names[0] or not names[1]:
        raise bad_request("History is cut by an upper bound alone.")
    _, until = _range(call, names)

    def cut() -> None:
        slots = call.store.history_slots(call.catalog.id)
        history.truncate(call.store.db, call.catalog.id, until, slots)

    return _changed(call, 0, until, cut)


# ---- amendments


def show_config(call: Call, names: Sequence[str]) -> Answer:
    """Answer ``GET history/FROM,UNTIL/acl/RID`` and the like: what may be amended."""
    call.rights.demand_catalog("owner")
    since, until = _range(call, names)
    if names[3]:
        amend.find(_period(call, since, until), unquote(names[3]))
    return _shown(call, (since, until))


def put_config(call: Call, names: Sequence[str]) -> Answer:
    """Answer ``PUT history/FROM,UNTIL/acl/RID`` and the like."""
    call.rights.demand_catalog("owner")
    since, until = _closed_range(call, names)
    content = json_of(call.request)
    rid = unquote(names[3]) if names[3] else None
    period = _period(call, since, until)
    return _changed(
        call, since, until, lambda: amend.amend(period, names[2], rid, content)
    )


def show_values(call: Call, names: Sequence[str]) -> Answer:
    """Answer ``GET history/FROM,UNTIL/attribute/RID``: what may be redacted."""
    call.rights.demand_catalog("owner")
    since, until = _range(call, names)
    amend.find_column(_period(call, since, until), unquote(names[2]))
    return _shown(call, (since, until))


def redact(call: Call, names: Sequence[str]) -> Answer:
    """Answer ``DELETE history/FROM,UNTIL/attribute/RID[/RID=VALUE]``."""
    call.rights.demand_catalog("owner")
    since, until = _closed_range(call, names)
    name, value = (unquote(text) for text in names[3:5])
    condition = (name, value) if name else None
    period = _period(call, since, until)
    rid = unquote(names[2])
    return _changed(call, since, until, lambda: amend.redact(period, rid, condition))


def _closed_range(call: Call, names: Sequence[str]) -> tuple[int, int]:
    if not (names[0] and names[1]):
        raise bad_request("An amendment needs a lower and an upper bound.")
    return _range(call, names)


def _period(call: Call, since: int, until: int) -> amend.Period:
    return amend.Period(call.store, call.catalog.id, since, until)


def _changed(call: Call, since: int, until: int, change: Callable[[], None]) -> Answer:
    """Change the past, which is a change of now as well."""
    db, catalog = call.store.db, call.catalog
    with call.store.remodelling(catalog, Journal(silent=True)):
        change()
        history.note_amendment(db, catalog.id, call.store.clock.last, since, until)
    return replace(empty_answer(), changed=True)


# ---- ranges


def _shown(call: Call, bounds: tuple[int, int]) -> Answer:
    since, until = bounds
    amended = history.amended_at(call.store.db, call.catalog.id, since, until)
    version = encode(max(until, amended or 0))
    etag = preconditions.etag(call.request.client.roles, "*", version)
    preconditions.check("GET", call.request.headers, etag)
    doc = {
        "snaprange": [encode(since), encode(until)],
        "amendver": None if amended is None else encode(amended),
    }
    return json_answer(200, doc, {"ETag": etag})


def _range(call: Call, names: Sequence[str]) -> tuple[int, int]:
    if call.at is not None:
        raise not_found("A snapshot has no history.")
    since, until = (_bound(call, text) for text in names[:2])
    if since is not None and until is not None and since > until:
        raise conflict("A range begins before it ends.")
    catalog = call.catalog.id
    if since is None:
        since = history.first_change(call.store.db, catalog, until or _END)
    if until is None:
        until = history.last_change(call.store.db, catalog, _END)
    if since is None or until is None:
        raise HttpError(404, "Nothing changed in that range.")
    return since, until


def _bound(call: Call, text: str) -> int | None:
    """Return the change that a bound stands for; an empty one is none."""
    if not text:
        return None
    if not RAW.fullmatch(text):
        raise bad_request("The range can't be read.")
    at = decode(unquote(text))
    if at is None:
        raise conflict(f"{text[:80]!r} is no snapshot.")
    return clamped(call.store, call.catalog, at)

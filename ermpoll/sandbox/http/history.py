"""Requests for a catalog's history: which times it has, and cutting it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import unquote

from ermpoll.sandbox.errors import HttpError, bad_request, conflict, not_found
from ermpoll.sandbox.http import preconditions
from ermpoll.sandbox.http.call import Call
from ermpoll.sandbox.http.messages import Answer, empty_answer, json_answer
from ermpoll.sandbox.model.identifiers import decode, encode
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
    since, until = _range(call, names)
    etag = preconditions.etag(call.request.client.roles, "*", encode(until))
    preconditions.check("GET", call.request.headers, etag)
    doc = {"snaprange": [encode(since), encode(until)], "amendver": None}
    return json_answer(200, doc, {"ETag": etag})


def truncate(call: Call, names: Sequence[str]) -> Answer:
    """Answer ``DELETE history/,UNTIL``, which forgets all that was before."""
    call.rights.demand_catalog("owner")
    if names[0] or not names[1]:
        raise bad_request("History is cut by an upper bound alone.")
    _, until = _range(call, names)
    journal = Journal(silent=True)
    with call.store.remodelling(call.catalog, journal):
        slots = call.store.history_slots(call.catalog.id)
        history.truncate(call.store.db, call.catalog.id, until, slots)
    return replace(empty_answer(), changed=True)


def _range(call: Call, names: Sequence[str]) -> tuple[int, int]:
    if call.at is not None:
        raise not_found("A snapshot has no history.")
    since, until = (_bound(call, text) for text in names)
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

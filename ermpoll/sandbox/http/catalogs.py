"""Requests for catalogs as a whole: make, show and delete them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ermpoll.sandbox.errors import HttpError
from ermpoll.sandbox.http import preconditions
from ermpoll.sandbox.http.call import Call
from ermpoll.sandbox.http.messages import (
    Answer,
    Request,
    empty_answer,
    json_answer,
    json_of,
    text_answer,
)
from ermpoll.sandbox.model.identifiers import encode
from ermpoll.sandbox.schema import catalogs
from ermpoll.sandbox.schema.aliases import demand_creator
from ermpoll.sandbox.store.store import Store


def create(store: Store, request: Request) -> Answer:
    """Answer ``POST /ermrest/catalog``."""
    demand_creator(request.client)
    doc = json_of(request)
    catalog = catalogs.create(store, doc, request.client)
    headers = {"Location": f"/ermrest/catalog/{catalog.id}"}
    if request.accept == "text/plain":
        answer = text_answer(201, f"{catalog.id}\n", headers)
    else:
        answer = json_answer(201, {"id": catalog.id}, headers)
    return replace(answer, changed=True)


def show(call: Call, names: Sequence[str]) -> Answer:
    """Answer GET of a catalog."""
    call.rights.demand_catalog("enumerate")
    roles = call.request.client.roles
    at = call.catalog.changed_at if call.at is None else call.at
    version = call.version(encode(at))
    etag = preconditions.etag(roles, "*", version)
    preconditions.check("GET", call.request.headers, etag)
    doc = {**catalogs.shown(call.catalog, call.rights, at), **call.naming()}
    return json_answer(200, doc, {"ETag": etag})


def delete(call: Call, names: Sequence[str]) -> Answer:
    """Answer DELETE of a catalog."""
    call.rights.demand_catalog("owner")
    call.deny_snapshot()
    call.store.forget(call.catalog)
    return replace(empty_answer(), changed=True)


def maintain(call: Call, names: Sequence[str]) -> Answer:
    """Answer ``POST ...?vacuum`` and ``?analyze``, for which there is nothing to do."""
    call.rights.demand_catalog("owner")
    call.deny_snapshot()
    if not call.tail.endswith(("?vacuum", "?analyze")):
        raise HttpError(405)
    return empty_answer()

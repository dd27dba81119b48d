"""Requests for aliases of catalogs."""

from __future__ import annotations

from dataclasses import replace

from ermpoll.sandbox.http import preconditions
from ermpoll.sandbox.http.messages import (
    Answer,
    Request,
    empty_answer,
    json_answer,
    json_of,
)
from ermpoll.sandbox.schema import aliases
from ermpoll.sandbox.store.store import Store


def create(store: Store, request: Request) -> Answer:
    """Answer ``POST /ermrest/alias``."""
    alias = aliases.claim(store, None, json_of(request), request.client)
    headers = {"Location": f"/ermrest/catalog/{alias.id}"}
    return replace(json_answer(201, {"id": alias.id}, headers), changed=True)


def show(store: Store, request: Request, name: str) -> Answer:
    """Answer GET of an alias."""
    alias = aliases.find(store, name)
    aliases.demand_owner(alias, request.client)
    etag = preconditions.etag(request.client.roles, "*", repr(aliases.shown(alias)))
    preconditions.check("GET", request.headers, etag)
    return json_answer(200, aliases.shown(alias), {"ETag": etag})


def put(store: Store, request: Request, name: str) -> Answer:
    """Answer PUT of an alias, which makes it if it is not there."""
    is_new = name not in store.aliases
    alias = aliases.claim(store, name, json_of(request), request.client)
    headers = {"Location": f"/ermrest/alias/{alias.id}"} if is_new else {}
    answer = json_answer(201 if is_new else 200, aliases.shown(alias), headers)
    return replace(answer, changed=True)


def delete(store: Store, request: Request, name: str) -> Answer:
    """Answer DELETE of an alias; the catalog stays."""
    alias = aliases.find(store, name)
    aliases.demand_owner(alias, request.client)
    store.drop_alias(alias)
    return replace(empty_answer(), changed=True)

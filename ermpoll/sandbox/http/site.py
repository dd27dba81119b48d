"""What a service answers besides its catalogs: advertisement, sessions, aliases."""

from __future__ import annotations

from dataclasses import replace

from ermpoll.sandbox.errors import HttpError, forbidden, not_found
from ermpoll.sandbox.http import preconditions
from ermpoll.sandbox.http.messages import (
    Answer,
    Request,
    empty_answer,
    json_answer,
    json_of,
)
from ermpoll.sandbox.model.clients import ANONYMOUS, Logins, session_doc
from ermpoll.sandbox.schema import aliases
from ermpoll.sandbox.store.store import Store

_FEATURES = (
    "trs",
    "tcrs",
    "history_control",
    "implicit_fkey_index",
    "catalog_post_input",
    "catalog_alias",
    "quantified_value_lists",
    "quantified_rid_lists",
    "rid_lease",
    "registry_catalog",
    "csv_array_json",
)
_INDEXING = ("btree", "btree_column_list", "trgm", "gin_array")


def advertise() -> Answer:
    """Answer ``GET /ermrest/``."""
    features: dict[str, object] = dict.fromkeys(_FEATURES, True)
    features["indexing_preferences"] = dict.fromkeys(_INDEXING, True)
    return json_answer(200, {"version": "0.5.0", "features": features})


def redirect() -> Answer:
    """Answer ``/ermrest`` without its slash."""
    return Answer(status=308, headers={"Location": "/ermrest/"})


def show_session(request: Request) -> Answer:
    """Answer GET and PUT of the session."""
    _demand_session(request)
    return json_answer(200, session_doc(request.client))


def end_session(request: Request) -> Answer:
    """Answer DELETE of the session."""
    _demand_session(request)
    return json_answer(
        200,
        {"logout_url": "/"},
        {"Set-Cookie": "webauthn=; Path=/; Max-Age=0; HttpOnly"},
    )


def _demand_session(request: Request) -> None:
    if request.client == ANONYMOUS:
        raise not_found("There is no session.")


def log_in(request: Request, logins: Logins) -> Answer:
    """Answer POST of a login form."""
    if request.client != ANONYMOUS and not logins.is_open:
        raise HttpError(409, "There is a session already.")
    found = logins.login(request.body.decode(errors="replace"))
    if found is None:
        raise forbidden("The login is not known.", anonymous=True)
    client, token = found
    cookie = f"webauthn={token}; Path=/; HttpOnly"
    return json_answer(201, session_doc(client), {"Set-Cookie": cookie})


# ---- aliases of catalogs


def make_alias(store: Store, request: Request) -> Answer:
    """Answer ``POST /ermrest/alias``."""
    alias = aliases.claim(store, None, json_of(request), request.client)
    headers = {"Location": f"/ermrest/catalog/{alias.id}"}
    return replace(json_answer(201, {"id": alias.id}, headers), changed=True)


def show_alias(store: Store, request: Request, name: str) -> Answer:
    """Answer GET of an alias."""
    alias = aliases.find(store, name)
    aliases.demand_owner(alias, request.client)
    etag = preconditions.etag(request.client.roles, "*", repr(aliases.shown(alias)))
    preconditions.check("GET", request.headers, etag)
    return json_answer(200, aliases.shown(alias), {"ETag": etag})


def put_alias(store: Store, request: Request, name: str) -> Answer:
    """Answer PUT of an alias, which makes it if it is not there."""
    is_new = name not in store.aliases
    alias = aliases.claim(store, name, json_of(request), request.client)
    headers = {"Location": f"/ermrest/alias/{alias.id}"} if is_new else {}
    answer = json_answer(201 if is_new else 200, aliases.shown(alias), headers)
    return replace(answer, changed=True)


def delete_alias(store: Store, request: Request, name: str) -> Answer:
    """Answer DELETE of an alias; the catalog stays."""
    alias = aliases.find(store, name)
    aliases.demand_owner(alias, request.client)
    store.drop_alias(alias)
    return replace(empty_answer(), changed=True)

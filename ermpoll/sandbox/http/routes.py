"""From one HTTP request to one answer: which route, who asks, what is sent back.

Pure of sockets: a request and an answer are records. The order of checks is ERMrest's:
address and names, then rights, then preconditions, then the body.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from dataclasses import replace
from html import escape
from urllib.parse import unquote

from ermpoll.sandbox.errors import (
    HttpError,
    bad_request,
    conflict,
    forbidden,
    not_found,
)
from ermpoll.sandbox.http import data, preconditions, schema
from ermpoll.sandbox.http.formats import error_type
from ermpoll.sandbox.http.messages import (
    Answer,
    Request,
    empty_answer,
    json_answer,
    text_answer,
)
from ermpoll.sandbox.model import acls, scalars
from ermpoll.sandbox.model.clients import ANONYMOUS, Client, Logins, session_doc
from ermpoll.sandbox.model.identifiers import decode, encode
from ermpoll.sandbox.schema import catalogs
from ermpoll.sandbox.store.store import CatalogState, Store

logger = logging.getLogger(__name__)

_CATALOG = re.compile(r"/ermrest/catalog/([^/@?]+)(?:@([^/?]*))?(?:/(.*))?(?:\?.*)?")
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


class Service:
    """An ERMrest service on one store."""

    def __init__(self, store: Store, logins: Logins) -> None:
        self.store = store
        self.logins = logins

    def answer(self, request: Request, client: Client | None = None) -> Answer:
        """Return the answer to a request, of `client` if given; never raises."""
        if client is None:
            client = self.logins.client(request.headers)
        request = replace(request, client=client)
        self.store.deadline.start()
        try:
            return self._routed(request)
        except HttpError as error:
            return _refused(request, error)
        except (
            sqlite3.OperationalError,
            sqlite3.IntegrityError,
            OverflowError,
        ) as error:
            return _refused(request, _limit(self.store, error))
        except Exception:
            logger.exception("a request failed", extra={"event": "sandbox-error"})
            return _refused(request, HttpError(500, "The sandbox has a defect here."))

    def _routed(self, request: Request) -> Answer:
        path = request.path.partition("?")[0]
        if path == "/authn/session":
            return self._session(request)
        if path == "/ermrest/":
            return json_answer(200, _advertisement())
        if path == "/ermrest":
            return Answer(status=308, headers={"Location": "/ermrest/"})
        if path.removesuffix("/") == "/ermrest/catalog":
            return self._create(request)
        found = _CATALOG.fullmatch(request.path)
        if found is None:
            raise not_found("There is no such address.")
        name, snapshot, tail = found.groups()
        return self._in_catalog(request, unquote(name), snapshot, tail)

    def _in_catalog(
        self, request: Request, name: str, snapshot: str | None, tail: str | None
    ) -> Answer:
        catalog = self.store.catalogs.get(name)
        if catalog is None:
            raise not_found(f"There is no catalog {name[:80]!r}.")
        catalogs.welcome(self.store, catalog, request.client)
        at = None
        if snapshot is not None:
            at = decode(unquote(snapshot))
            if at is None:
                raise bad_request("The snapshot's id can't be read.")
            catalog = catalogs.as_of(self.store, catalog, at)
        tail = tail or ""
        path = tail.partition("?")[0]
        word = path.partition("/")[0]
        if word in data.APIS and "/" in path:
            return data.handle(self.store, catalog, request, tail, at=at)
        if word == "entity_rid":
            rid = unquote(path.partition("/")[2])
            return data.entity_rid(self.store, catalog, request, rid)
        if not path:
            return self._catalog(request, catalog, tail, at)
        return schema.handle(self.store, catalog, request, tail, at=at)

    def _create(self, request: Request) -> Answer:
        if request.method != "POST":
            raise HttpError(405)
        try:
            doc = scalars.loads(request.body) if request.body.strip() else None
        except (ValueError, RecursionError) as error:
            raise bad_request("The body is not JSON.") from error
        catalog = catalogs.create(self.store, doc, request.client)
        headers = {"Location": f"/ermrest/catalog/{catalog.id}"}
        if request.accept == "text/plain":
            answer = text_answer(201, f"{catalog.id}\n", headers)
        else:
            answer = json_answer(201, {"id": catalog.id}, headers)
        return replace(answer, changed=True)

    def _catalog(
        self, request: Request, catalog: CatalogState, tail: str, at: int | None
    ) -> Answer:
        if request.method == "GET":
            acls.demand(catalog.model, request.client, "enumerate")
            version = encode(catalog.changed_at)
            etag = preconditions.etag(request.client.roles, "*", version)
            preconditions.check("GET", request.headers, etag)
            doc = catalogs.shown(catalog, request.client)
            return json_answer(200, doc, {"ETag": etag})
        acls.demand(catalog.model, request.client, "owner")
        if at is not None:
            raise HttpError(403, "A snapshot can't be changed.")
        if request.method == "DELETE":
            self.store.forget(catalog)
            return replace(empty_answer(), changed=True)
        if request.method == "POST" and request.path.endswith(("?vacuum", "?analyze")):
            return empty_answer()
        raise HttpError(405)

    def _session(self, request: Request) -> Answer:
        client = request.client
        if request.method == "POST":
            return self._login(request)
        if request.method not in ("GET", "PUT", "DELETE"):
            raise HttpError(405)
        if client == ANONYMOUS:
            raise not_found("There is no session.")
        if request.method == "DELETE":
            return json_answer(
                200,
                {"logout_url": "/"},
                {"Set-Cookie": "webauthn=; Path=/; Max-Age=0; HttpOnly"},
            )
        return json_answer(200, session_doc(client))

    def _login(self, request: Request) -> Answer:
        if request.client != ANONYMOUS and not self.logins.is_open:
            raise HttpError(409, "There is a session already.")
        found = self.logins.login(request.body.decode(errors="replace"))
        if found is None:
            raise forbidden("The login is not known.", anonymous=True)
        client, token = found
        cookie = f"webauthn={token}; Path=/; HttpOnly"
        return json_answer(201, session_doc(client), {"Set-Cookie": cookie})


def _limit(store: Store, error: Exception) -> HttpError:
    """Return what ERMrest says of a statement that ran too long or can't be run."""
    if store.deadline.left_s <= 0:
        return bad_request("Query run time limit exceeded.")
    return conflict(f"The query can't be run: {error}.")


def _advertisement() -> dict[str, object]:
    features: dict[str, object] = dict.fromkeys(_FEATURES, True)
    features["indexing_preferences"] = dict.fromkeys(_INDEXING, True)
    return {"version": "0.5.0", "features": features}


def _refused(request: Request, error: HttpError) -> Answer:
    if error.status == 304:
        return Answer(status=304, headers=error.headers)
    kind = error_type(request.accept)
    text = error.text
    if kind == "text/html":
        text = f"<html><body><p>{escape(text.strip())}</p></body></html>\n"
    return text_answer(error.status, text, {"Content-Type": kind, **error.headers})

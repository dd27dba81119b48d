"""From one HTTP request to one answer: which route, who asks, what went wrong.

Pure of sockets: a request and an answer are records. The order of checks is ERMrest's:
address and names, then rights, then preconditions, then the body.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from urllib.parse import unquote

from ermpoll.sandbox.errors import HttpError, bad_request, conflict, not_found
from ermpoll.sandbox.http import (
    catalogs,
    data,
    history,
    preconditions,
    schema,
    site,
)
from ermpoll.sandbox.http.call import Call, Route, dispatch
from ermpoll.sandbox.http.formats import error_type
from ermpoll.sandbox.http.messages import Answer, Probe, Request, text_answer
from ermpoll.sandbox.model.clients import Client, Logins
from ermpoll.sandbox.model.identifiers import decode
from ermpoll.sandbox.schema.catalogs import as_of, clamped, welcome
from ermpoll.sandbox.store.store import CatalogState, Store

logger = logging.getLogger(__name__)

#: Below a catalog.
_CATALOG_ROUTES: tuple[Route[Call], ...] = (
    Route(
        "",
        {
            "GET": catalogs.show,
            "DELETE": catalogs.delete,
            "POST": catalogs.maintain,
        },
    ),
    Route(
        "entity(?:/.*)?",
        {"GET": data.read, "PUT": data.write, "POST": data.write, "DELETE": data.write},
    ),
    Route("attribute(?:/.*)?", {"GET": data.read, "DELETE": data.write}),
    Route("attributegroup(?:/.*)?", {"GET": data.read, "PUT": data.write}),
    Route("aggregate(?:/.*)?", {"GET": data.read}),
    Route("entity_rid/(.*)", {"GET": data.find_rid}),
    Route(
        "history/([^,/]*),([^,/]*)", {"GET": history.show, "DELETE": history.truncate}
    ),
    Route(
        "history/([^,/]*),([^,/]*)/(acl|acl_binding|annotation)(?:/([^/]+))?",
        {"GET": history.show_config, "PUT": history.put_config},
    ),
    Route(
        "history/([^,/]*),([^,/]*)/attribute/([^/]+)(?:/([^/=]+)=([^/]*))?",
        {"GET": history.show_values, "DELETE": history.redact},
    ),
    Route("textfacet/(.+)", {"GET": data.find_text}),
    Route(
        "(?:schema|acl|annotation|comment)(?:/.*)?",
        {
            "GET": schema.show,
            "POST": schema.change,
            "PUT": schema.change,
            "DELETE": schema.change,
        },
    ),
)


#: What a probe may be sent to: it does nothing there.
_DATA = re.compile(r"/ermrest/catalog/[^/]+/(?:entity|attribute|attributegroup|schema)")


@dataclass(frozen=True, slots=True)
class Site:
    """A request to the service, on its way to a handler."""

    store: Store
    logins: Logins
    request: Request

    def alias(self, names: Sequence[str]) -> tuple[Store, Request, str]:
        """Return what a handler of an alias needs."""
        return self.store, self.request, unquote(names[0])


def _in_catalog(on: Site, names: Sequence[str]) -> Answer:
    name, snapshot, path = names
    name, request, store = unquote(name), on.request, on.store
    alias = store.aliases.get(name)
    if alias is not None and alias.target is None:
        raise conflict(f"The alias {name[:80]!r} has no target.")
    catalog = store.catalogs.get(name if alias is None else str(alias.target))
    if catalog is None:
        raise not_found(f"There is no catalog {name[:80]!r}.")
    welcome(store, catalog, request.client)
    at = None
    if snapshot:
        at = _snapshot(store, catalog, snapshot[1:])
        catalog = as_of(store, catalog, at)
    tail = path.removeprefix("/")
    _, mark, query = request.path.partition("?")
    call = Call(
        request=request,
        store=store,
        catalog=catalog,
        tail=f"{tail}{mark}{query}",
        at=at,
        alias=None if alias is None else name,
    )
    return dispatch(_CATALOG_ROUTES, tail, request.method, call)


def _snapshot(store: Store, catalog: CatalogState, text: str) -> int:
    """Return the time of the change that a snapshot's id stands for."""
    if not history.RAW.fullmatch(text) or not text:
        raise bad_request("The snapshot's id can't be read.")
    at = decode(unquote(text))
    if at is None:
        raise conflict(f"{text[:80]!r} is no snapshot.")
    return clamped(store, catalog, at)


_SESSION = {
    "GET": lambda on, _: site.show_session(on.request),
    "PUT": lambda on, _: site.show_session(on.request),
    "POST": lambda on, _: site.log_in(on.request, on.logins),
    "DELETE": lambda on, _: site.end_session(on.request),
}
_SITE_ROUTES: tuple[Route[Site], ...] = (
    Route("/authn/session", _SESSION),
    Route("/ermrest", {"GET": lambda on, _: site.redirect()}),
    Route("/ermrest/", {"GET": lambda on, _: site.advertise()}),
    Route(
        "/ermrest/catalog/?",
        {"POST": lambda on, _: catalogs.create(on.store, on.request)},
    ),
    Route(
        "/ermrest/alias/?",
        {"POST": lambda on, _: site.make_alias(on.store, on.request)},
    ),
    Route(
        "/ermrest/alias/([^/]+)",
        {
            "GET": lambda on, names: site.show_alias(*on.alias(names)),
            "PUT": lambda on, names: site.put_alias(*on.alias(names)),
            "DELETE": lambda on, names: site.delete_alias(*on.alias(names)),
        },
    ),
    Route(
        "/ermrest/catalog/([^/@]+)(@[^/]*)?(/.*)?",
        dict.fromkeys(("GET", "HEAD", "OPTIONS", "PUT", "POST", "DELETE"), _in_catalog),
    ),
)


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
            path = request.path.partition("?")[0]
            on = Site(self.store, self.logins, request)
            return dispatch(_SITE_ROUTES, path, request.method, on)
        except HttpError as error:
            return refused(request, error)
        except (
            sqlite3.OperationalError,
            sqlite3.IntegrityError,
            OverflowError,
        ) as error:
            return refused(request, _limit(self.store, error))
        except Exception:
            # the edge: one request's defect must not end the server
            logger.exception("a request failed", extra={"event": "sandbox-error"})
            return refused(request, HttpError(500, "The sandbox has a defect here."))

    def probe(self, request: Request) -> Probe:
        """Return what can be said of a write before it is done."""
        if not _DATA.match(request.path):
            return Probe()
        client = self.logins.client(request.headers)
        probe = replace(request, client=client, is_probe=True)
        path = request.path.partition("?")[0]
        try:
            on = Site(self.store, self.logins, probe)
            dispatch(_SITE_ROUTES, path, request.method, on)
        except preconditions.Probed as probed:
            return Probe(columns=probed.columns)
        except HttpError as error:
            if error.status == 412:
                return Probe(refusal=refused(request, error))
        return Probe()


def _limit(store: Store, error: Exception) -> HttpError:
    """Return what ERMrest says of a statement that ran too long or can't be run."""
    if store.deadline.left_s <= 0:
        return bad_request("Query run time limit exceeded.")
    if getattr(error, "sqlite_errorcode", None) in (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_READONLY,
    ):
        # Not the request's fault: it may well succeed later.
        return HttpError(503, f"The data file can't be written ({error}).")
    return conflict(f"The query can't be run: {error}.")


def refused(request: Request, error: HttpError) -> Answer:
    """Return the answer that tells a client of an error."""
    if error.status == 304:
        return Answer(status=304, headers=error.headers)
    kind = error_type(request.accept)
    text = error.text
    if kind == "text/html":
        text = f"<html><body><p>{escape(text.strip())}</p></body></html>\n"
    return text_answer(error.status, text, {"Content-Type": kind, **error.headers})

"""One request to a catalog, with all that its handlers need, and tables of routes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ermpoll.sandbox.errors import HttpError, not_found
from ermpoll.sandbox.http.messages import Answer, Request
from ermpoll.sandbox.model.acls import Rights
from ermpoll.sandbox.model.model import Model
from ermpoll.sandbox.store.store import CatalogState, Store

_Subject = TypeVar("_Subject")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request to a catalog."""

    request: Request
    store: Store
    #: The catalog; of a snapshot: with the model that it had then.
    catalog: CatalogState
    #: The raw address after the catalog, with what follows the question mark.
    tail: str = ""
    #: The time of a snapshot in microseconds since 1970, or None: as it is now.
    at: int | None = None
    #: The id by which the catalog was called, if that is an alias.
    alias: str | None = None

    def version(self, text: str) -> str:
        """Return a version for an ETag, which differs from alias to alias."""
        return text if self.alias is None else f"{text}-{self.catalog.id}"

    def naming(self, *, catalog: bool = True) -> Mapping[str, str]:
        """Return what documents say of an alias, of a `catalog` or of its model."""
        if self.alias is None:
            return {}
        target = {"alias_target": self.catalog.id}
        return {"id": self.alias, **target} if catalog else target

    @property
    def model(self) -> Model:
        """The catalog's model."""
        return self.catalog.model

    @property
    def rights(self) -> Rights:
        """What the client may do; worked out once for as long as the model holds."""
        known = self.catalog.prepared
        key = "rights", self.request.client
        if key not in known:
            snapshot = self.at is not None
            known[key] = Rights(self.model, self.request.client, snapshot=snapshot)
        rights: Rights = known[key]
        return rights

    def deny_snapshot(self) -> None:
        """Refuse (403) a write to a snapshot."""
        if self.at is not None:
            raise HttpError(403, "A snapshot can't be changed.")


@dataclass(frozen=True, slots=True)
class Route(Generic[_Subject]):
    """Addresses of one form, and who answers which method there."""

    #: What the whole address must match, without what follows the question mark.
    pattern: str
    methods: Mapping[str, Callable[[_Subject, Sequence[str]], Answer]]


def dispatch(
    routes: Sequence[Route[_Subject]], path: str, method: str, subject: _Subject
) -> Answer:
    """Return what the first route that fits answers, or refuse (404, 405).

    A handler gets the subject and the groups of its pattern, None as an empty text.
    """
    for route in routes:
        found = re.fullmatch(route.pattern, path)
        if found is not None:
            handler = route.methods.get(method)
            if handler is None:
                return _unhandled(route.methods, method)
            return handler(subject, [text or "" for text in found.groups()])
    raise not_found("There is no such address.")


def _unhandled(methods: Iterable[str], method: str) -> Answer:
    """Answer what no route handles, or refuse: OPTIONS by itself, the rest not."""
    allowed = {*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
    if method == "OPTIONS":
        kind = "text/html; charset=utf-8"
        headers = {"Allow": ", ".join(sorted(allowed)), "Content-Type": kind}
        return Answer(status=200, headers=headers)
    if method == "HEAD" and "GET" in methods:
        # The real service announces it and then looks for a handler in vain.
        raise HttpError(500, "There is no handler for HEAD.")
    raise HttpError(405)

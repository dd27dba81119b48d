"""Aliases: further ids of catalogs, each with owners of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ermpoll.sandbox.errors import HttpError, bad_request, conflict, not_found
from ermpoll.sandbox.model.clients import OWNER, Client
from ermpoll.sandbox.schema.catalogs import a_catalog_id, free_id
from ermpoll.sandbox.schema.reader import a_mapping
from ermpoll.sandbox.store.store import Alias, Store


def demand_creator(client: Client) -> None:
    """Refuse who may not make catalogs and aliases: all but the sandbox's owner."""
    if client != OWNER:
        raise HttpError(403 if client.id else 401, "Only the owner makes catalogs.")


def shown(alias: Alias) -> dict[str, Any]:
    """Return the document of an alias."""
    return {"id": alias.id, "owner": alias.owner, "alias_target": alias.target}


def find(store: Store, name: str) -> Alias:
    """Return an alias, or refuse (404)."""
    if name not in store.aliases:
        raise not_found(f"There is no alias {name[:80]!r}.")
    return store.aliases[name]


def demand_owner(alias: Alias, client: Client) -> None:
    """Refuse who is not among the owners of an alias (403, 401)."""
    if client.roles.isdisjoint(alias.owner):
        raise HttpError(403 if client.id else 401, "The alias is its owners'.")


def claim(store: Store, name: str | None, doc: Any, client: Client) -> Alias:
    """Make an alias, or change one of the client's own; return it.

    Raises
    ------
    HttpError
        400 and 409 for what a document can't say, 403 and 401 for want of rights.
    """
    doc = {} if doc is None else a_mapping(doc)
    asked = doc.get("id", name)
    if name is not None and asked != name:
        raise bad_request("The document names another alias than the address.")
    known = store.aliases.get(str(asked))
    if known is None:
        demand_creator(client)
        if asked is not None and store.taken(str(asked)):
            raise conflict(f"The catalog {str(asked)[:80]!r} exists, or existed.")
    else:
        demand_owner(known, client)
    alias = Alias(
        id=free_id(store) if asked is None else a_catalog_id(asked),
        owner=_owner(doc, client),
        target=_target(store, doc, known),
    )
    store.keep_alias(alias)
    return alias


def _owner(doc: Mapping[str, Any], client: Client) -> list[str]:
    owner = doc.get("owner")
    if owner is None:
        return [client.id]
    if not isinstance(owner, list) or client.roles.isdisjoint(map(str, owner)):
        raise conflict("The owners must be a list with the caller in it.")
    return [str(item) for item in owner if item != "*"]


def _target(store: Store, doc: Mapping[str, Any], known: Alias | None) -> str | None:
    if "alias_target" not in doc:
        return known.target if known else None
    target = doc["alias_target"]
    if target is not None and target not in store.catalogs:
        raise conflict(f"There is no catalog {str(target)[:80]!r}.")
    return None if target is None else str(target)

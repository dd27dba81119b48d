"""Who may do what: owner against everybody else, by the catalog's own ACLs.

Policies of schemas, tables, columns and rows are stored and shown, but not enforced.
"""

from __future__ import annotations

from ermpoll.sandbox.errors import forbidden
from ermpoll.sandbox.model.clients import ANONYMOUS, Client
from ermpoll.sandbox.model.model import Model

#: The catalog's ACL names; an empty list means nobody but the owner.
CATALOG_ACLS = (
    "owner",
    "create",
    "enumerate",
    "write",
    "insert",
    "update",
    "delete",
    "select",
)
#: ACLs that may hold ``*``, which means everybody, also without login.
OPEN_TO_ALL = ("enumerate", "select")
#: Right to the ACLs any of which gives it, besides the owner's.
_IMPLIED_BY = {
    "enumerate": CATALOG_ACLS,
    "select": ("select", "write", "update", "delete"),
    "insert": ("insert", "write"),
    "update": ("update", "write"),
    "delete": ("delete", "write"),
    "create": ("create",),
}


def is_owner(model: Model, client: Client) -> bool:
    """Return whether a client owns the catalog."""
    return bool(client.roles & set(model.acls.get("owner") or ()))


def demand(model: Model, client: Client, right: str) -> None:
    """Return if the client has the right, or refuse: 401 without login, else 403."""
    if is_owner(model, client):
        return
    roles = client.roles | ({"*"} if right in OPEN_TO_ALL else set())
    for name in _IMPLIED_BY.get(right, ()):
        if roles & set(model.acls.get(name) or ()):
            return
    raise forbidden(f"The right to {right} is needed.", anonymous=client == ANONYMOUS)

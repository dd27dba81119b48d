"""Which rights there are: what can have which ACLs, and what gives which right."""

from __future__ import annotations

from typing import Any

from ermpoll.sandbox.model.model import (
    ColumnDef,
    ForeignKey,
    Model,
    Schema,
    TableDef,
)

_MODEL = ("owner", "create", "enumerate", "write")
_ROWS = ("insert", "update", "delete", "select")
#: The ACLs that an element can have, by what it is.
SUPPORTED: dict[type, tuple[str, ...]] = {
    Model: (*_MODEL, *_ROWS),
    Schema: (*_MODEL, *_ROWS),
    TableDef: ("owner", "enumerate", "write", *_ROWS),
    ColumnDef: ("enumerate", "write", "insert", "update", "select"),
    ForeignKey: ("enumerate", "write", "insert", "update"),
}
#: The kinds of access that a binding can give, by what it is bound to.
BINDABLE: dict[type, tuple[str, ...]] = {
    TableDef: ("owner", "update", "delete", "select"),
    ColumnDef: ("owner", "update", "delete", "select"),
    ForeignKey: ("owner", "insert", "update"),
}
#: ACLs that may hold ``*``, which means everybody, also without login.
OPEN_TO_ALL = ("enumerate", "select")
#: A right, and the others that give it as well.
IMPLIED_BY: dict[str, tuple[str, ...]] = {
    "owner": (),
    "create": ("owner",),
    "write": ("owner",),
    "insert": ("owner", "write"),
    "update": ("owner", "write"),
    "delete": ("owner", "write"),
    "select": ("owner", "write", "update", "delete"),
    "enumerate": ("owner", "create", "write", *_ROWS),
}
#: Rights to system columns that nobody has, whatever ACLs say.
FIXED = {
    "RID": ("update", "write"),
    "RCB": ("update", "write"),
    "RMT": ("insert", "update", "write"),
    "RMB": ("insert", "update", "write"),
}
#: The rights that an element's document tells of.
TOLD: dict[type, tuple[str, ...]] = {
    Model: ("owner", "create"),
    Schema: ("owner", "create"),
    TableDef: ("owner", "insert", "update", "delete", "select"),
    ColumnDef: ("insert", "update", "select", "delete"),
    ForeignKey: ("insert", "update"),
}


def binding_grants(binding: Any, right: str, roles: frozenset[str]) -> bool:
    """Return whether a binding can give a right to a client of these roles at all."""
    if not binding or roles.isdisjoint(binding.get("scope_acl", ("*",))):
        return False
    return not {right, *IMPLIED_BY[right]}.isdisjoint(binding["types"])


def bindings_of(table: TableDef, child: ColumnDef | ForeignKey) -> dict[str, Any]:
    """Return the bindings in force on a part of a table: its own before the table's."""
    return {**table.acl_bindings, **child.acl_bindings}

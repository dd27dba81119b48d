"""From a model address to the element that it names.

``schema/S/table/T/column/C/annotation/KEY`` is an element (the column), then one of
its properties (``annotation``) and a key of that. Names are decoded here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote

from ermpoll.sandbox.errors import HttpError, bad_request, conflict, not_found
from ermpoll.sandbox.model.acls import Rights
from ermpoll.sandbox.model.model import (
    ColumnDef,
    ForeignKey,
    Key,
    Schema,
    TableDef,
)

Kind: TypeAlias = Literal[
    "catalog",
    "schemas",
    "schema",
    "tables",
    "table",
    "columns",
    "column",
    "keys",
    "key",
    "fkeys",
    "fkey",
    "references",
    "reference",
]
Property: TypeAlias = Literal["acl", "acl_binding", "annotation", "comment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a model address names.

    Attributes
    ----------
    kind
        What it is; the plural words are collections, to which a POST adds.
    elements
        The element; of a collection its members; of a foreign key all that fit. None
        where there is no such element, which a PUT or POST would make.
    name
        The last name in the address.
    prop, key
        The property of the element that is meant, and the one key in it.
    """

    kind: Kind
    schema: Schema | None = None
    table: TableDef | None = None
    elements: tuple[Any, ...] = ()
    name: str = ""
    prop: Property | None = None
    key: str | None = None


_SCHEMA = "schema/([^/]+)"
_TABLE = f"{_SCHEMA}/table/([^/]+)"
_FKEY = f"{_TABLE}/foreignkey/([^/]+)"
_REFERENCE = f"{_FKEY}/reference"
#: The form of an address and what it names.
_FORMS: tuple[tuple[str, Kind], ...] = (
    ("", "catalog"),
    ("schema", "schemas"),
    (_SCHEMA, "schema"),
    (f"{_SCHEMA}/table", "tables"),
    (_TABLE, "table"),
    (f"{_TABLE}/column", "columns"),
    (f"{_TABLE}/column/([^/]+)", "column"),
    (f"{_TABLE}/key", "keys"),
    (f"{_TABLE}/key/([^/]+)", "key"),
    (f"{_TABLE}/foreignkey", "fkeys"),
    (_FKEY, "fkey"),
    (_REFERENCE, "references"),
    (f"{_REFERENCE}/([^/]+)", "references"),
    (f"{_REFERENCE}/([^/]+)/([^/]+)", "reference"),
)
#: What has which properties.
_PROPERTIES: dict[Kind, tuple[Property, ...]] = {
    "catalog": ("acl", "annotation"),
    "schema": ("acl", "annotation", "comment"),
    "table": ("acl", "acl_binding", "annotation", "comment"),
    "column": ("acl", "acl_binding", "annotation", "comment"),
    "key": ("annotation", "comment"),
    "reference": ("acl", "acl_binding", "annotation", "comment"),
}
_PROPERTY = re.compile(r"(?:(.*)/)?(acl|acl_binding|annotation|comment)(?:/([^/]+))?")


def locate(rights: Rights, path: str) -> Place:
    """Return the place that the raw address `path` names for a client.

    Raises
    ------
    HttpError
        404 for an address of no form, 409 for one below what is not there.
    """
    path = path.removesuffix("/")
    # A table called "comment" is no property: names have the first say.
    form = _form(path)
    if form is not None:
        return _found(rights, *form)
    split = _PROPERTY.fullmatch(path)
    form = None if split is None else _form(split[1] or "")
    if split is None or form is None or split[2] not in _PROPERTIES.get(form[0], ()):
        raise not_found("There is no such address.")
    prop: Any = split[2]
    key = None if split[3] is None else _decoded(split[3])
    return replace(_found(rights, *form), prop=prop, key=key)


def _form(path: str) -> tuple[Kind, list[str]] | None:
    for pattern, kind in _FORMS:
        found = re.fullmatch(pattern, path)
        if found is not None:
            return kind, list(found.groups())
    return None


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        message = "The address holds percent runs that are not UTF-8."
        raise bad_request(message) from error


def _found(rights: Rights, kind: Kind, raw: Sequence[str]) -> Place:
    """Return what a form with these raw names is for a client."""
    if not raw:
        return Place(kind=kind, elements=(rights.model,) if kind == "catalog" else ())
    place = Place(kind=kind, name=_decoded(raw[-1]))
    if kind == "schema":
        name = place.name
        return replace(place, elements=_if_seen(lambda: rights.seen_schema(name)))
    schema = rights.seen_schema(_decoded(raw[0]))
    place = replace(place, schema=schema)
    if kind == "tables":
        tables = schema.tables.values()
        seen = [item for item in tables if rights.table(item, "enumerate")]
        return replace(place, elements=tuple(seen))
    name = _decoded(raw[1])
    if kind == "table":
        elements = _if_seen(lambda: rights.seen_table(schema, name))
        return replace(place, elements=elements)
    table = rights.seen_table(schema, name)
    elements = tuple(_FINDERS[kind](rights, table, raw[2:]))
    return replace(place, table=table, elements=elements)


def _if_seen(find: Callable[[], Any]) -> tuple[Any, ...]:
    try:
        return (find(),)
    except HttpError:
        return ()


def _column(rights: Rights, table: TableDef, raw: Sequence[str]) -> Sequence[ColumnDef]:
    name = _decoded(raw[0])
    return _if_seen(lambda: rights.seen_column(table, name))


def _names(rights: Rights, table: TableDef, raw: str) -> set[str]:
    names = [_decoded(part) for part in raw.split(",")]
    return {rights.seen_column(table, name).name for name in names}


def _keys(rights: Rights, table: TableDef, raw: Sequence[str]) -> Sequence[Key]:
    return [key for key in table.keys if rights.key(table, key)]


def _key(rights: Rights, table: TableDef, raw: Sequence[str]) -> Sequence[Key]:
    names = _names(rights, table, raw[0])
    return [key for key in table.keys if set(key.columns) == names]


def _fkeys(rights: Rights, table: TableDef, raw: Sequence[str]) -> Sequence[ForeignKey]:
    return [item for item in table.fkeys if rights.fkey(table, item, "enumerate")]


def _fkey(rights: Rights, table: TableDef, raw: Sequence[str]) -> Sequence[ForeignKey]:
    names = _names(rights, table, raw[0])
    seen = _fkeys(rights, table, raw)
    return [item for item in seen if set(item.columns) == names]


def _references(
    rights: Rights, table: TableDef, raw: Sequence[str]
) -> Sequence[ForeignKey]:
    found = _fkey(rights, table, raw)
    if not found:
        raise conflict(f"The table {table.title} has no such foreign key.")
    if len(raw) > 1:
        name = tuple(_decoded(part) for part in raw[1].split(":"))
        if len(name) > 2:
            raise bad_request("A table's name has one or two parts.")
        target = rights.find_table(name)
        there = (target.schema, target.name)
        found = [item for item in found if item.ref_table == there]
    if len(raw) > 2:
        refs = _names(rights, target, raw[2])
        if not any(set(key.columns) == refs for key in target.keys):
            raise not_found(f"The table {target.title} has no such key.")
        found = [item for item in found if set(item.ref_columns) == refs]
    return found


_FINDERS: dict[Kind, Callable[[Rights, TableDef, Sequence[str]], Sequence[Any]]] = {
    "columns": lambda rights, table, raw: rights.seen_columns(table),
    "column": _column,
    "keys": _keys,
    "key": _key,
    "fkeys": _fkeys,
    "fkey": _fkey,
    "references": _references,
    "reference": _references,
}

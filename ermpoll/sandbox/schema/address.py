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

from ermpoll.sandbox.errors import bad_request, not_found
from ermpoll.sandbox.model.model import (
    ColumnDef,
    ForeignKey,
    Key,
    Model,
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
        The element; of a collection its members; of a foreign key all that fit.
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
    (f"{_FKEY}/reference", "fkey"),
    (f"{_FKEY}/reference/([^/]+)", "fkey"),
    (f"{_FKEY}/reference/([^/]+)/([^/]+)", "fkey"),
)
_PROPERTY = re.compile(r"(?:(.*)/)?(acl|acl_binding|annotation|comment)(?:/([^/]+))?")


def locate(model: Model, path: str, *, creating: bool = False) -> Place:
    """Return the place that the raw address `path` names, or refuse (404, 409).

    Parameters
    ----------
    creating
        True: a schema that is named last need not be there yet.
    """
    path = path.removesuffix("/")
    # A table called "comment" is no property: names have the first say.
    form = _form(path)
    if form is not None:
        return _found(model, *form, creating=creating)
    split = _PROPERTY.fullmatch(path)
    form = None if split is None else _form(split[1] or "")
    if split is None or form is None:
        raise not_found("There is no such address.")
    prop: Any = split[2]
    key = None if split[3] is None else _decoded(split[3])
    return replace(_found(model, *form), prop=prop, key=key)


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


def _found(
    model: Model, kind: Kind, raw: Sequence[str], *, creating: bool = False
) -> Place:
    """Return what a form with these raw names is in `model`."""
    if not raw:
        return Place(kind=kind, elements=(model,) if kind == "catalog" else ())
    name = _decoded(raw[0])
    if creating and kind == "schema":
        return Place(kind=kind, name=name)
    schema = model.schema(name, last=kind == "schema")
    if len(raw) == 1:
        elements = (schema,) if kind == "schema" else tuple(schema.tables.values())
        return Place(kind=kind, schema=schema, elements=elements, name=name)
    name = _decoded(raw[1])
    table = schema.table(name, last=kind == "table")
    if kind == "table":
        return Place(
            kind=kind, schema=schema, table=table, elements=(table,), name=name
        )
    return Place(
        kind=kind,
        schema=schema,
        table=table,
        elements=tuple(_FINDERS[kind](model, table, raw[2:])),
        name=_decoded(raw[-1]),
    )


def _column(model: Model, table: TableDef, raw: Sequence[str]) -> Sequence[ColumnDef]:
    name = _decoded(raw[0])
    if name not in table.columns:
        raise not_found(f"The table {table.title} has no column {name[:80]!r}.")
    return [table.columns[name]]


def _names(raw: str) -> set[str]:
    return {_decoded(part) for part in raw.split(",")}


def _key(model: Model, table: TableDef, raw: Sequence[str]) -> Sequence[Key]:
    names = _names(raw[0])
    found = [key for key in table.keys if set(key.columns) == names]
    if not found:
        raise not_found(f"The table {table.title} has no such key.")
    return found


def _fkey(model: Model, table: TableDef, raw: Sequence[str]) -> Sequence[ForeignKey]:
    names = _names(raw[0])
    found = [item for item in table.fkeys if set(item.columns) == names]
    if len(raw) > 1:
        target = tuple(_decoded(part) for part in raw[1].split(":"))
        found = [
            item for item in found if target in (item.ref_table, item.ref_table[1:])
        ]
    if len(raw) > 2:
        refs = _names(raw[2])
        found = [item for item in found if set(item.ref_columns) == refs]
    if not found:
        raise not_found(f"The table {table.title} has no such foreign key.")
    return found


_FINDERS: dict[Kind, Callable[[Model, TableDef, Sequence[str]], Sequence[Any]]] = {
    "columns": lambda model, table, raw: tuple(table.columns.values()),
    "column": _column,
    "keys": lambda model, table, raw: table.keys,
    "key": _key,
    "fkeys": lambda model, table, raw: table.fkeys,
    "fkey": _fkey,
}

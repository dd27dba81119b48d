"""From the segments of a model address to the element they name.

``schema/S/table/T/column/C/annotation/KEY`` is an element (the column), then one of
its properties (``annotation``) and a key of that. Names are decoded here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote

from ermpoll.sandbox.errors import HttpError, bad_request, not_found
from ermpoll.sandbox.model.model import (
    ColumnDef,
    Element,
    ForeignKey,
    Key,
    Model,
    Schema,
    TableDef,
)

Kind: TypeAlias = Literal[
    "catalog", "schemas", "schema", "tables", "table", "columns", "keys", "fkeys"
]
PROPERTIES = ("acl", "acl_binding", "annotation", "comment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a model address names.

    Attributes
    ----------
    kind
        What `elements` are; ``schemas`` and ``tables`` stand for the collections.
    elements
        The element, or for keys and foreign keys all that the address fits.
    whole
        True for a collection (``.../column``), to which a POST adds.
    """

    kind: Kind
    schema: Schema | None = None
    table: TableDef | None = None
    elements: tuple[Any, ...] = ()
    whole: bool = False
    #: ``acl``, ``annotation``, ..., or None.
    prop: str | None = None
    #: The key in that property, or the name of the schema to make.
    key: str | None = None


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise bad_request(
            "The address holds percent runs that are not UTF-8."
        ) from error


def locate(model: Model, tail: str, *, creating: bool = False) -> Place:
    """Return the place that the raw address `tail` names, or refuse (404, 409).

    Parameters
    ----------
    creating
        True: ``schema/S`` and ``table/T`` need not be there yet.
    """
    raw = tail.partition("?")[0].removesuffix("/").split("/")
    head, prop, key = _without_property(raw)
    place = _element(model, head, creating and prop is None)
    if prop is None:
        return place
    return Place(
        kind=place.kind,
        schema=place.schema,
        table=place.table,
        elements=place.elements,
        prop=prop,
        key=key,
    )


def _without_property(raw: list[str]) -> tuple[list[str], str | None, str | None]:
    """Take ``annotation/KEY`` and the like off the end of an address."""
    # Names stand at the odd places, so a table called "comment" is no property.
    names = len(raw) % 2
    if raw[-1] in PROPERTIES and (names == 1 or raw[0] != "schema"):
        return raw[:-1], raw[-1], None
    if len(raw) > 1 and raw[-2] in PROPERTIES and (names == 0 or raw[0] != "schema"):
        return raw[:-2], raw[-2], _decoded(raw[-1])
    return raw, None, None


def _element(model: Model, raw: Sequence[str], creating: bool) -> Place:
    if not raw:
        return Place(kind="catalog", elements=(model,))
    if raw[0] != "schema":
        raise not_found("There is no such address.")
    if len(raw) == 1:
        return Place(kind="schemas", whole=True)
    if creating and len(raw) == 2:
        return Place(kind="schema", key=_decoded(raw[1]))
    schema = model.schema(_decoded(raw[1]), last=len(raw) == 2)
    if len(raw) == 2:
        return Place(kind="schema", schema=schema, elements=(schema,))
    return _in_schema(schema, raw)


def _in_schema(schema: Schema, raw: Sequence[str]) -> Place:
    if raw[2] != "table":
        raise not_found("There is no such address.")
    if len(raw) == 3:
        return Place(kind="tables", schema=schema, whole=True)
    table = schema.table(_decoded(raw[3]), last=len(raw) == 4)
    if len(raw) == 4:
        return Place(kind="table", schema=schema, table=table, elements=(table,))
    return _part(schema, table, raw[4], raw[5:])


def _part(schema: Schema, table: TableDef, word: str, rest: Sequence[str]) -> Place:
    finders: dict[str, Callable[[TableDef, Sequence[str]], Sequence[Element]]]
    finders = {"column": _columns, "key": _keys, "foreignkey": _fkeys}
    if word not in finders:
        raise not_found("There is no such address.")
    elements = finders[word](table, rest)
    if rest and not elements:
        raise not_found(f"The table {table.title} has no such {word}.")
    kinds: dict[str, Kind] = {"column": "columns", "key": "keys", "foreignkey": "fkeys"}
    return Place(
        kind=kinds[word],
        schema=schema,
        table=table,
        elements=tuple(elements),
        whole=not rest,
    )


def _columns(table: TableDef, rest: Sequence[str]) -> list[ColumnDef]:
    if not rest:
        return list(table.columns.values())
    if len(rest) > 1:
        raise not_found("There is no such address.")
    name = _decoded(rest[0])
    return [table.columns[name]] if name in table.columns else []


def _names(raw: str) -> list[str]:
    return [_decoded(part) for part in raw.split(",")]


def _keys(table: TableDef, rest: Sequence[str]) -> list[Key]:
    if len(rest) > 1:
        raise not_found("There is no such address.")
    return [
        key
        for key in table.keys
        if not rest or set(key.columns) == set(_names(rest[0]))
    ]


def _fkeys(table: TableDef, rest: Sequence[str]) -> list[ForeignKey]:
    found = list(table.fkeys)
    if rest:
        found = [item for item in found if set(item.columns) == set(_names(rest[0]))]
    if len(rest) > 1 and rest[1] != "reference":
        raise not_found("There is no such address.")
    if len(rest) > 2:
        target = tuple(_decoded(part) for part in rest[2].split(":"))
        found = [
            item for item in found if target in (item.ref_table, item.ref_table[1:])
        ]
    if len(rest) > 3:
        names = set(_names(rest[3]))
        found = [item for item in found if set(item.ref_columns) == names]
    if len(rest) > 4:
        raise HttpError(404)
    return found

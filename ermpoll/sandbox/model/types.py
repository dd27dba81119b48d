"""ERMrest's column types: how each value comes in, is kept, and goes out.

Four forms of a value are told apart: the JSON of bodies, the text of addresses
and CSV, what SQLite keeps (so that it compares as PostgreSQL would), and
PostgreSQL's text form. This module turns one into the other, and knows neither
tables nor SQL. Times are kept as microseconds since 1970, json as its text with
sorted keys, arrays as the JSON text of their kept elements.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from ermpoll.sandbox.errors import HttpError, bad_request, conflict
from ermpoll.sandbox.model import jsons, numbers, scalars

#: What SQLite keeps: None, int, float or str.
Kept: TypeAlias = Any
_DOMAINS = {
    "ermrest_rid": "text",
    "ermrest_rcb": "text",
    "ermrest_rmb": "text",
    "ermrest_rct": "timestamptz",
    "ermrest_rmt": "timestamptz",
    "ermrest_curie": "text",
    "ermrest_uri": "text",
    "longtext": "text",
    "markdown": "text",
    "gene_sequence": "text",
    "color_rgb_hex": "text",
    "url": "text",
    "uri": "text",
    "curie": "text",
}
_DOMAIN_FORMS = {"color_rgb_hex": re.compile("#[0-9a-fA-F]{6}")}
_SERIALS = {"serial2": "int2", "serial4": "int4", "serial8": "int8"}
_ALIASES = {
    "bool": "boolean",
    "smallint": "int2",
    "int": "int4",
    "integer": "int4",
    "bigint": "int8",
    "decimal": "numeric",
    "real": "float4",
    "double precision": "float8",
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
    "time with time zone": "timetz",
    "time without time zone": "time",
    "smallserial": "serial2",
    "serial": "serial4",
    "bigserial": "serial8",
}


@dataclass(frozen=True, slots=True)
class Type:
    """One column type.

    Attributes
    ----------
    name
        The name in model documents: ``text``, ``ermrest_rid``, ``text[]``.
    scalar
        The basic type that holds the values, or an array's elements.
    array
        True for an array.
    """

    name: str
    scalar: str
    array: bool = False

    @property
    def _basic(self) -> scalars.Scalar:
        return scalars.SCALARS[self.scalar]

    @property
    def is_json(self) -> bool:
        """True for json and jsonb, but not for arrays of them."""
        return self._basic.is_json and not self.array

    @property
    def is_number(self) -> bool:
        """True for what can be summed."""
        return self._basic.is_number and not self.array

    @property
    def is_serial(self) -> bool:
        """True for the types that number rows by themselves."""
        return self.name in _SERIALS

    @property
    def is_ordered(self) -> bool:
        """True for what ``min`` and ``max`` take."""
        return self._basic.is_ordered or self.array

    @property
    def worth_an_index(self) -> bool:
        """True for what ERMrest indexes by itself and filters compare."""
        longer = ("longtext", "markdown", "gene_sequence", "ermrest_rct", "ermrest_rmt")
        return not (self.array or self.is_json or self.name in longer)

    def doc(self, *, brief: bool = False) -> dict[str, Any]:
        """Return the model document; `brief`: as the answer to a creation has it."""
        if self.array:
            element = type_named(self.name[:-2]).doc(brief=brief)
            return {"typename": self.name, "is_array": True, "base_type": element}
        if self.name in _DOMAINS and not brief:
            base = {"typename": self.scalar}
            return {"is_domain": True, "typename": self.name, "base_type": base}
        return {"typename": self.name}

    def from_json(self, value: Any) -> Kept:
        """Return what is kept for a value of a body.

        Raises
        ------
        HttpError
            400, when the type can't hold `value`.
        """
        if self.array:
            return None if value is None else self._array(value)
        if value is None:
            return "null" if self.is_json else None
        try:
            return self._checked(self._basic.read(value))
        except (ValueError, OverflowError, RecursionError) as error:
            raise bad_request(f"A value of type {self.name} can't be read.") from error

    def _checked(self, kept: Kept) -> Kept:
        """Return what is kept, or refuse (409) what the domain does not allow."""
        form = _DOMAIN_FORMS.get(self.name)
        if form is not None and not form.fullmatch(kept):
            raise conflict(f"{kept[:80]!r} is no {self.name}.")
        return kept

    def _array(self, items: Any) -> Kept:
        if not isinstance(items, list):
            raise bad_request(f"A value of type {self.name} must be an array.")
        element = type_named(self.name[:-2])
        kept = [None if item is None else element.from_json(item) for item in items]
        return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))

    def from_filter(self, text: str) -> Kept:
        """Return what to compare with for the text of an address.

        As `from_text`, but a whole number may be beyond the type's range, and what is
        no number, or an infinite one, is the database's to refuse (409).
        """
        if self._basic.is_integer and numbers.is_integer(text) and len(text) < 300:
            number = int(text)
            return number if abs(number) < 2**63 else float(number)
        if self.scalar in ("float4", "float8") and numbers.is_unquoted_word(text):
            raise conflict(f"{text[:80]!r} is no {self.scalar}.")
        return self.from_text(text)

    def from_page(self, text: str) -> Kept:
        """Return what to page from for the text of a page key, or refuse (400, 409)."""
        if not self.array:
            return self.from_filter(text)
        try:
            return self.from_json(scalars.array_items(text))
        except (HttpError, ValueError) as error:
            raise conflict(f"{text[:80]!r} is no {self.name}.") from error

    def from_text(self, text: str) -> Kept:
        """Return what is kept for the text of an address.

        Raises
        ------
        HttpError
            400 or, for types that only the database checks, 409.
        """
        try:
            if self._basic.is_json:
                return jsons.json_text(jsons.loads(text))
            return self._basic.read(text)
        except (ValueError, OverflowError, RecursionError) as error:
            make = conflict if self._basic.is_checked_late else bad_request
            raise make(f"{text[:80]!r} is no {self.scalar}.") from error

    def from_csv(self, text: str | None) -> Kept:
        """Return what is kept for a CSV field; None is an empty unquoted one."""
        if text is None:
            return None
        try:
            if self.array:
                return self.from_json(scalars.array_items(text))
            return self.from_text(text)
        except (HttpError, ValueError) as error:
            raise bad_request(f"A value of type {self.name} can't be read.") from error

    @property
    def order(self) -> Callable[[Kept], Any] | None:
        """From what is kept to what compares; None: SQLite's own order is right."""
        order = self._basic.order
        return partial(_array_order, order) if self.array else order

    def compared(self, sql: str) -> str:
        """Return the SQL of a value of this type, in PostgreSQL's order."""
        if self.order is None:
            return sql
        return f"{sql} COLLATE {'a' if self.array else 's'}_{self.scalar}"

    @property
    def writer(self) -> Callable[[Kept], Any] | None:
        """From what is kept to JSON, for values that are not NULL; None: as it is."""
        element = self._basic.write
        return partial(_written_array, element) if self.array else element

    def to_json(self, kept: Kept) -> Any:
        """Return the JSON of a kept value."""
        if kept is None or (writer := self.writer) is None:
            return kept
        return writer(kept)

    def to_text(self, kept: Kept) -> str:
        """Return PostgreSQL's text form of a kept value that is not NULL."""
        if self.array:
            return scalars.array_text(self.to_json(kept))
        return self._basic.text(kept)


def _array_order(element: Callable[[Kept], Any] | None, kept: Kept) -> list[Any]:
    """Return a sort key of an array: element by element, NULL above all."""
    return [
        (1,) if item is None else (0, item if element is None else element(item))
        for item in json.loads(kept)
    ]


def collations() -> dict[str, Callable[[Kept], Any]]:
    """Return the order of each name that `Type.compared` uses."""
    orders: dict[str, Callable[[Kept], Any]] = {}
    for name, basic in scalars.SCALARS.items():
        orders[f"a_{name}"] = partial(_array_order, basic.order)
        if basic.order is not None:
            orders[f"s_{name}"] = basic.order
    return orders


def _written_array(element: Callable[[Kept], Any] | None, kept: Kept) -> list[Any]:
    items: list[Any] = json.loads(kept)
    if element is None:
        return items
    return [None if item is None else element(item) for item in items]


def _scalar_of(name: str) -> str | None:
    if name in scalars.SCALARS:
        return name
    return _DOMAINS.get(name) or _SERIALS.get(name)


_KNOWN: dict[str, Type] = {}


def type_named(name: str) -> Type:
    """Return the type of that name.

    Raises
    ------
    HttpError
        409, when columns of such a type can't be made.
    """
    if name not in _KNOWN:
        array = name.endswith("[]")
        stem = name[:-2] if array else name
        stem = _ALIASES.get(stem, stem)
        scalar = _scalar_of(stem)
        if scalar is None:
            raise conflict(f"The type {name[:80]!r} is not supported.")
        if stem != (name[:-2] if array else name):
            return type_named(stem + "[]" * array)
        _KNOWN[name] = Type(name=name, scalar=scalar, array=array)
    return _KNOWN[name]

"""What a data URL asks, as frozen records. Text inside them is decoded.

The language stands in ``grammar.lark`` and `parsing` reads it; this module knows
nothing of either, nor of any model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

#: A name with what qualifies it: ``("T",)``, ``("S", "T")``, ``("A", "c")``.
Name: TypeAlias = tuple[str, ...]
#: Stands for a raw ``*`` where a name is expected; no name can hold a NUL.
STAR = "\0*"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRef:
    """A table: the root of a path, or one joined by the foreign keys there are."""

    alias: str | None
    name: Name


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkStep:
    """A join by columns; without `right`, by the one foreign key they are part of."""

    alias: str | None
    left: tuple[Name, ...]
    right: tuple[Name, ...] | None = None
    kind: Literal["inner", "left", "right", "full"] = "inner"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A step back to an instance bound before: ``$A``."""

    alias: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    """One column against one or more values."""

    column: Name
    #: ``= < <= > >= regexp ciregexp``
    operator: str
    values: tuple[str, ...]
    #: How several values count, or None for a single value.
    quantifier: Literal["any", "all"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IsNull:
    """A column that holds nothing."""

    column: Name


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """The contrary."""

    operand: Filter


@dataclass(frozen=True, slots=True, kw_only=True)
class Junction:
    """All of the operands, or any of them."""

    word: Literal["AND", "OR"]
    operands: tuple[Filter, ...]


Filter: TypeAlias = Compare | IsNull | Not | Junction
Element: TypeAlias = TableRef | LinkStep | Context | Filter


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputItem:
    """One item of a projection."""

    alias: str | None
    column: Name
    function: str | None = None
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SortKey:
    """One sort key, by the name of an output."""

    name: str
    descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DataQuery:
    """A whole data URL."""

    api: Literal["entity", "attribute", "attributegroup", "aggregate"]
    path: tuple[Element, ...]
    #: The projection; of ``attributegroup``: the group keys.
    outputs: tuple[OutputItem, ...] = ()
    #: What follows the ``;`` of ``attributegroup``.
    extras: tuple[OutputItem, ...] = ()
    sort: tuple[SortKey, ...] = ()
    after: tuple[str | None, ...] | None = None
    before: tuple[str | None, ...] | None = None
    #: Option name to its values.
    options: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def option(self, name: str) -> tuple[str, ...] | None:
        """Return the values of the last option called `name`, or None."""
        return dict(self.options).get(name)

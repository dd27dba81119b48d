"""From the raw text of a data URL to the records of `syntax`.

The language stands in ``grammar.lark``; here each of its rules becomes a record.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal
from urllib.parse import unquote

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import LarkError

from ermpoll.sandbox.errors import bad_request
from ermpoll.sandbox.query.syntax import (
    STAR,
    Compare,
    Context,
    DataQuery,
    Element,
    Filter,
    IsNull,
    Junction,
    LinkStep,
    Name,
    Not,
    OutputItem,
    SortKey,
    TableRef,
)

#: How deeply filters may nest; SQLite itself gives up not much later.
_DEEPEST = 30
_OPERATORS = {"lt": "<", "leq": "<=", "gt": ">", "geq": ">="}
_PATTERNS = ("regexp", "ciregexp")


def _text(token: Token) -> str:
    if token == "*":
        return STAR
    return str(token) if "%" not in token else unquote(token, errors="strict")


def _alias(token: Token | None) -> str | None:
    return None if token is None else _text(token)


def _deepened(item: Filter, depth: int = 0) -> int:
    """Return how deeply `item` nests; raise at the limit, before Python would."""
    if depth > _DEEPEST:
        raise bad_request(f"Filters may nest at most {_DEEPEST} deep.")
    if isinstance(item, Not):
        return _deepened(item.operand, depth + 1)
    if isinstance(item, Junction):
        return max(_deepened(operand, depth + 1) for operand in item.operands)
    return depth


@v_args(inline=True)
class _Records(Transformer[Token, DataQuery]):
    """Turns each rule of the grammar into its record, while the text is parsed."""

    def qualified(self, *names: Token | None) -> Name:
        return tuple(_text(name) for name in names if name is not None)

    endpoint = qualified

    def columns(self, *names: Name) -> tuple[Name, ...]:
        return names

    def table(self, alias: Token | None, name: Name) -> TableRef:
        return TableRef(alias=_alias(alias), name=name)

    def context(self, alias: Token) -> Context:
        return Context(alias=_text(alias))

    def by_columns(self, alias: Token | None, left: tuple[Name, ...]) -> LinkStep:
        return LinkStep(alias=_alias(alias), left=left)

    def by_equality(
        self,
        alias: Token | None,
        kind: Token | None,
        left: tuple[Name, ...],
        right: tuple[Name, ...],
    ) -> LinkStep:
        word: Any = "inner" if kind is None else str(kind)
        return LinkStep(alias=_alias(alias), left=left, right=right, kind=word)

    def value(self, token: Token | None = None) -> str:
        return "" if token is None else _text(token).replace(STAR, "*")

    def values(self, *values: str) -> tuple[str, ...]:
        return values

    def any_of(self, *operands: Filter) -> Filter:
        return _junction("OR", operands)

    def all_of(self, *operands: Filter) -> Filter:
        return _junction("AND", operands)

    def negated(self, operand: Filter) -> Filter:
        return Not(operand=operand)

    def nested(self, item: Filter) -> Filter:
        return item

    def equals(self, column: Name, *operand: Any) -> Filter:
        return _comparison(column, "=", operand)

    def compare(self, column: Name, operator: Token, *operand: Any) -> Filter:
        word = operator.strip(":")
        if word == "null":
            if operand != ("",):
                raise bad_request("The operator ::null:: takes no value.")
            return IsNull(column=column)
        if word not in _OPERATORS and word not in _PATTERNS:
            raise bad_request(f"There is no operator {operator}.")
        return _comparison(column, _OPERATORS.get(word, word), operand)

    def output(self, alias: Token | None, column: Name) -> OutputItem:
        return OutputItem(alias=_alias(alias), column=column)

    def function(
        self, alias: Token | None, name: Token, column: Name, *arguments: str
    ) -> OutputItem:
        return OutputItem(
            alias=_alias(alias),
            column=column,
            function=_text(name),
            arguments=arguments,
        )

    def outputs(self, *outputs: OutputItem) -> tuple[OutputItem, ...]:
        return outputs

    def sort_key(self, name: Token, operator: Token | None) -> SortKey:
        if operator not in (None, "::desc::", "::asc::"):
            raise bad_request(f"A sort key can't have {operator}.")
        return SortKey(name=_text(name), descending=operator == "::desc::")

    def page_value(self, value: str) -> str:
        return value

    def page_null(self, operator: Token) -> None:
        if operator != "::null::":
            raise bad_request(f"A page key can't be {operator}.")

    def sort(self, *keys: SortKey) -> tuple[str, tuple[SortKey, ...]]:
        return "sort", keys

    def after(self, *values: str | None) -> tuple[str, tuple[str | None, ...]]:
        return "after", values

    def before(self, *values: str | None) -> tuple[str, tuple[str | None, ...]]:
        return "before", values

    def option(
        self, name: Token | None, values: tuple[str, ...] | None
    ) -> tuple[str, tuple[str, ...]]:
        return "" if name is None else _text(name), values or ()

    def options(self, *options: tuple[str, tuple[str, ...]]) -> Any:
        return "options", options

    def first(self, table: TableRef) -> tuple[Element, ...]:
        return (table,)

    def more(self, path: tuple[Element, ...], element: Element) -> tuple[Element, ...]:
        return (*path, element)

    def entity(self, path: tuple[Element, ...], *tail: Any) -> DataQuery:
        return _query("entity", path, (), (), tail)

    def attribute(self, path: Any, outputs: Any, *tail: Any) -> DataQuery:
        return _query("attribute", path, outputs, (), tail)

    def attributegroup(
        self, path: Any, outputs: Any, extras: Any, *tail: Any
    ) -> DataQuery:
        return _query("attributegroup", path, outputs, extras or (), tail)

    def aggregate(self, path: Any, outputs: Any, *tail: Any) -> DataQuery:
        return _query("aggregate", path, outputs, (), tail)


def _junction(word: Literal["AND", "OR"], operands: tuple[Filter, ...]) -> Filter:
    if len(operands) == 1:
        return operands[0]
    return Junction(word=word, operands=operands)


def _comparison(column: Name, operator: str, operand: tuple[Any, ...]) -> Compare:
    if len(operand) == 1:
        return Compare(column=column, operator=operator, values=operand)
    word = _text(operand[0])
    if word not in ("any", "all"):
        raise bad_request(f"A list of values needs any(...) or all(...), not {word!r}.")
    quantifier: Any = word
    return Compare(
        column=column, operator=operator, values=operand[1], quantifier=quantifier
    )


def _query(
    api: Any, path: Any, outputs: Any, extras: Any, tail: tuple[Any, ...]
) -> DataQuery:
    parts: dict[str, Any] = {}
    for part in tail:
        if part is None:
            continue
        if part[0] in parts:
            raise bad_request(f"@{part[0]} stands twice.")
        parts[part[0]] = part[1]
    for element in path:
        if isinstance(element, Not | Junction):
            _deepened(element)
    return DataQuery(api=api, path=path, outputs=outputs, extras=extras, **parts)


_PARSER = Lark(
    files(__package__).joinpath("grammar.lark").read_text(encoding="utf-8"),
    parser="lalr",
    transformer=_Records(),
    maybe_placeholders=True,
)


@lru_cache(maxsize=2048)
def parse(text: str) -> DataQuery:
    """Return what the data URL `text` asks, without the part before the API's name.

    Raises
    ------
    HttpError
        400, when `text` is not in the language.
    """
    try:
        return _PARSER.parse(text)  # type: ignore[return-value]
    except UnicodeDecodeError as error:
        raise bad_request(
            "The address holds percent runs that are not UTF-8."
        ) from error
    except LarkError as error:
        place = getattr(error, "pos_in_stream", None)
        where = f" at character {place}" if isinstance(place, int) else ""
        raise bad_request(f"The address can't be read{where}.") from error

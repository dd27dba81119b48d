"""From the filters of a path to SQL conditions, with PostgreSQL's logic."""

from __future__ import annotations

from ermpoll.sandbox.errors import conflict
from ermpoll.sandbox.model.identifiers import normalise
from ermpoll.sandbox.model.model import ColumnDef
from ermpoll.sandbox.model.types import type_named
from ermpoll.sandbox.query import syntax
from ermpoll.sandbox.query.scope import Path
from ermpoll.sandbox.store import patterns

_PATTERNS = ("regexp", "ciregexp")


def compiled(path: Path, item: syntax.Filter) -> str:
    """Return the SQL of a filter; its values become parameters of `path`.

    Raises
    ------
    HttpError
        409 for unknown columns and for literals that only the database checks, 400
        for other literals that the column's type can't be.
    """
    if isinstance(item, syntax.Junction):
        inner = f" {item.word} ".join(compiled(path, part) for part in item.operands)
        return f"({inner})"
    if isinstance(item, syntax.Not):
        return f"(NOT {compiled(path, item.operand)})"
    if isinstance(item, syntax.IsNull):
        instance, column = path.readable(item.column)
        return f"({instance.sql(column)} IS NULL)"
    if item.column[-1] == syntax.STAR:
        return _any_column(path, item)
    instance, column = path.readable(item.column)
    return _comparison(path, item, instance.sql(column), column)


def _any_column(path: Path, item: syntax.Compare) -> str:
    if item.operator not in _PATTERNS:
        raise conflict("Only a regular expression can be asked of all columns.")
    instance = path.instance(item.column)
    parts = [
        _comparison(path, item, instance.sql(column), column)
        for column in path.readable_columns(instance)
    ]
    return f"({' OR '.join(parts)})"


def _comparison(path: Path, item: syntax.Compare, sql: str, column: ColumnDef) -> str:
    """Return the SQL of one column against one value or all values of a list."""
    if item.operator in _PATTERNS:
        parts = [_pattern(path, item.operator, sql, column, v) for v in item.values]
    else:
        kept = [_kept(column, value) for value in dict.fromkeys(item.values)]
        if item.operator == "=" and item.quantifier == "any" and not column.type.array:
            sql = column.type.compared(sql)
            return f"({sql} IN ({', '.join(path.bind(value) for value in kept)}))"
        parts = [
            _element(
                column, sql, f"{_compared(column)} {item.operator} {path.bind(value)}"
            )
            for value in kept
        ]
    if len(parts) > 500:
        # SQLite's expressions are at most a thousand deep.
        raise conflict("The list of values is too long.")
    return "(" + (" AND " if item.quantifier == "all" else " OR ").join(parts) + ")"


def _kept(column: ColumnDef, text: str) -> object:
    kept = column.type.from_filter(text)
    return normalise(text) if column.name == "RID" else kept


def _compared(column: ColumnDef) -> str:
    """Return the form to compare a column's scalars in; ``{}`` stands for one."""
    kind = column.type
    return (type_named(kind.name[:-2]) if kind.array else kind).compared("{}")


def _pattern(path: Path, operator: str, sql: str, column: ColumnDef, text: str) -> str:
    fold = operator == "ciregexp"
    word = patterns.plain(text)
    if word is not None and column.type.scalar == "text":
        # as PostgreSQL, SQLite knows no other small letters of an ASCII one
        place, sought = ("lower({})", word.lower()) if fold else ("{}", word)
        return _element(column, sql, f"instr({place}, {path.bind(sought)}) > 0")
    patterns.pattern(text, fold=fold)
    # Both texts come from our own tables: the type's name and 0 or 1.
    typename = path.bind(column.type.scalar)
    return _element(
        column, sql, f"matches({{}}, {typename}, {path.bind(text)}, {fold:d})"
    )


def _element(column: ColumnDef, sql: str, condition: str) -> str:
    """Return `condition` of a scalar, or of at least one element of an array."""
    if not column.type.array:
        return condition.format(sql)
    inner = condition.format("element.value")
    return (
        f"CASE WHEN {sql} IS NULL THEN NULL ELSE EXISTS"
        f" (SELECT 1 FROM json_each({sql}) AS element WHERE {inner}) END"
    )

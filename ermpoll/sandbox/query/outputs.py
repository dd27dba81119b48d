"""What each row of an answer holds: columns, aggregates and bins, under which names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ermpoll.sandbox.errors import bad_request, conflict
from ermpoll.sandbox.model.model import ColumnDef
from ermpoll.sandbox.model.types import Type, type_named
from ermpoll.sandbox.query import bins, policy, syntax
from ermpoll.sandbox.query.scope import Instance, Path

_AGGREGATES = ("min", "max", "avg", "sum", "cnt", "cnt_d", "array", "array_d")
#: What a client may do with a row; with a row and its columns.
_SUMMARIES = ("trs", "tcrs")
#: Those that also take ``*``.
_OF_ROWS = ("cnt", "array", "array_d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One output column."""

    name: str
    sql: str
    #: The type that sort keys, page keys and CSV see.
    type: Type
    #: From a kept value that is not NULL to JSON, or None: as it is.
    writer: Callable[[Any], Any] | None
    is_key: bool = False

    def selected(self) -> str:
        """Return the SQL that selects it.

        Of values that are equal without being the same, a group shows the oldest.
        """
        if self.is_key and self.type.order is not None and not self.is_counted:
            return self.type.compared(f"first_of({self.sql}, {self.rid})")
        return self.sql

    #: True where its table has no NULL.
    is_filled: bool = False
    #: The SQL of the RID of the row that it is of.
    rid: str = "NULL"
    #: True for what is no value of `type` but a number that stands for one.
    is_counted: bool = False


def outputs_of(query: syntax.DataQuery, path: Path) -> list[Output]:
    """Return the outputs of a query.

    Raises
    ------
    HttpError
        400 for names that repeat and functions misused, 409 for unknown columns.
    """
    found = list(_outputs(query, path))
    names = [output.name for output in found]
    for name in names:
        if names.count(name) > 1:
            raise bad_request(f"The name {name[:80]!r} stands twice in the answer.")
    return found


def _outputs(query: syntax.DataQuery, path: Path) -> Iterator[Output]:
    if query.api == "entity":
        for column in path.readable_columns(path.current):
            yield _plain(path.current, column, column.name)
    elif query.api == "aggregate":
        for item in query.outputs:
            yield _aggregate(path, item)
    else:
        keys = query.api == "attributegroup"
        for item in query.outputs:
            yield from _columns(path, item, is_key=keys)
        for item in query.extras:
            yield from _extra(path, item)


def _extra(path: Path, item: syntax.OutputItem) -> Iterator[Output]:
    if item.function in _SUMMARIES:
        yield _summary(path, item)
    elif item.function:
        yield _aggregate(path, item)
    else:
        yield from _columns(path, item)


def _plain(
    instance: Instance, column: ColumnDef, name: str, *, is_key: bool = False
) -> Output:
    return Output(
        name=name,
        sql=instance.compared(column),
        type=column.type,
        writer=column.type.writer,
        is_key=is_key,
        is_filled=not column.nullok,
        rid=instance.rid,
    )


def _columns(
    path: Path, item: syntax.OutputItem, *, is_key: bool = False
) -> Iterator[Output]:
    if item.function:
        yield _bin(path, item, is_key=is_key)
    elif item.column[-1] == syntax.STAR:
        yield from _every(path, item, is_key=is_key)
    else:
        instance, column = path.readable(item.column)
        yield _plain(instance, column, item.alias or column.name, is_key=is_key)


def _every(path: Path, item: syntax.OutputItem, *, is_key: bool) -> Iterator[Output]:
    if item.alias is not None:
        raise bad_request("A * can't have a name.")
    instance = path.instance(item.column)
    prefix = f"{item.column[0]}:" if len(item.column) == 2 else ""
    for column in path.readable_columns(instance):
        yield _plain(instance, column, prefix + column.name, is_key=is_key)


def _bin(path: Path, item: syntax.OutputItem, *, is_key: bool) -> Output:
    if item.function != "bin":
        raise bad_request(f"{str(item.function)[:80]!r} can't stand here.")
    instance, column = path.readable(item.column)
    bucket = bins.bucket(column, item.arguments)
    return Output(
        name=item.alias or column.name,
        sql=bucket.sql(path, instance.sql(column)),
        type=type_named("jsonb"),
        writer=bucket.writer,
        is_key=is_key,
        is_counted=True,
    )


def _summary(path: Path, item: syntax.OutputItem) -> Output:
    """Return what tells for each row whether it may be changed."""
    instance, column = path.readable(item.column)
    if column.name != "RID" or item.arguments:
        raise conflict(f"Rights can't be told of the column {column.name}.")
    rights, table = path.rights, instance.table
    rows = [policy.granted(path, instance, right) for right in ("update", "delete")]
    columns = rights.seen_columns(table) if item.function == "tcrs" else []
    cells = [
        "0"
        if column.is_system
        else policy.cell_granted(path, instance, column, "update")
        for column in columns
    ]

    def as_json(kept: str) -> Any:
        update, delete, *others = map(bool, json.loads(kept))
        told: dict[str, Any] = {"update": update, "delete": delete}
        if columns:
            names = [column.name for column in columns]
            told["column_update"] = dict(zip(names, others, strict=True))
        return told

    return Output(
        name=item.alias or column.name,
        sql=f"json_array({', '.join([*rows, *cells])})",
        type=type_named("jsonb"),
        writer=as_json,
    )


def _aggregate(path: Path, item: syntax.OutputItem) -> Output:
    word = item.function or ""
    if word not in _AGGREGATES or item.arguments:
        raise bad_request(f"There is no aggregate {word[:80]!r}.")
    if item.alias is None:
        raise bad_request("An aggregate needs a name of its own.")
    if item.column[-1] == syntax.STAR:
        return _of_rows(path, item, word)
    instance, column = path.readable(item.column)
    sql = instance.compared(column)
    if word.startswith("array"):
        return _array(item.alias, sql, [column], word == "array_d", single=True)
    kind, written = _type_of(word, column.type)
    call = {"cnt": f"COUNT({sql})", "cnt_d": f"COUNT(DISTINCT {sql})"}
    if word in ("sum", "avg"):
        call[word] = _total(word, sql, column.type)
    return Output(
        name=item.alias,
        sql=call.get(word, f"{word.upper()}({sql})"),
        type=kind,
        writer=written,
    )


def _total(word: str, sql: str, column: Type) -> str:
    """Return the SQL of a sum or an average, as exact as PostgreSQL's."""
    if column.scalar.startswith("float"):
        return f"CASE WHEN MAX({sql} = 'NaN') THEN 'NaN' ELSE {word.upper()}({sql}) END"
    if column.scalar == "int8":
        return f"exact_{word}({sql})"
    return f"{word.upper()}({sql})"


def _type_of(word: str, column: Type) -> tuple[Type, Callable[[Any], Any] | None]:
    if word.startswith("cnt"):
        return type_named("int8"), None
    if word in ("min", "max"):
        if not column.is_ordered:
            raise conflict(f"There is no {word} of {column.name}.")
        return column, column.writer
    if not column.is_number:
        raise conflict(f"There is no {word} of {column.name}.")
    kind = column if word == "sum" else type_named("float8")
    exact = column.scalar == "int8"
    return kind, int if exact and word == "sum" else kind.writer


def _of_rows(path: Path, item: syntax.OutputItem, word: str) -> Output:
    if word not in _OF_ROWS or item.alias is None:
        raise bad_request(f"There is no {word}(*).")
    instance = path.instance(item.column)
    if word == "cnt":
        return Output(
            name=item.alias, sql="COUNT(*)", type=type_named("int8"), writer=None
        )
    columns = path.readable_columns(instance)
    row = ", ".join(instance.sql(column) for column in columns)
    return _array(item.alias, f"row_array({row})", columns, word == "array_d")


def _array(
    name: str,
    sql: str,
    columns: Sequence[ColumnDef],
    distinct: bool,
    *,
    single: bool = False,
) -> Output:
    """Return an output that collects values, or whole rows, in a list."""

    def as_json(kept: Any) -> Any:
        values = [kept] if single else json.loads(kept)
        row = {
            column.name: column.type.to_json(value)
            for column, value in zip(columns, values, strict=True)
        }
        return row[columns[0].name] if single else row

    return Output(
        name=name,
        sql=f"values_array({'DISTINCT ' if distinct else ''}{sql})",
        type=type_named("jsonb"),
        writer=lambda kept: [as_json(item) for item in json.loads(kept)],
    )

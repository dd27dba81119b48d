"""From a parsed address to prepared SQL for GET, and from its rows to JSON.

Preparing decides everything that does not depend on the rows: names, types, order,
paging. Running binds the values and reads.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ermpoll.sandbox.errors import bad_request, conflict
from ermpoll.sandbox.model.acls import Rights
from ermpoll.sandbox.query import syntax
from ermpoll.sandbox.query.joins import resolve
from ermpoll.sandbox.query.outputs import Output, outputs_of
from ermpoll.sandbox.query.scope import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A GET, ready to run."""

    sql: str
    parameters: tuple[Any, ...]
    outputs: tuple[Output, ...]

    @property
    def names(self) -> list[str]:
        """The names of the columns of the answer."""
        return [output.name for output in self.outputs]

    def run(
        self, db: sqlite3.Connection, *, for_csv: bool = False
    ) -> list[dict[str, Any]]:
        """Return the rows, with values as JSON; `for_csv`: some as their texts."""
        names = self.names
        rows = [dict(zip(names, values, strict=True)) for values in self.run_kept(db)]
        for output in self.outputs:
            writer = output.writer
            if for_csv and output.type.is_json:
                writer = partial(_as_text, writer)
            elif for_csv and output.type.name == "numeric":
                writer = None
            if writer is not None:
                _write(rows, output.name, writer)
        return rows

    def run_kept(self, db: sqlite3.Connection) -> list[tuple[Any, ...]]:
        """Return the rows, with values as SQLite keeps them."""
        return db.execute(self.sql, self.parameters).fetchall()


def _as_text(writer: Callable[[Any], Any] | None, kept: Any) -> str:
    return json.dumps(kept if writer is None else writer(kept), ensure_ascii=False)


def _write(rows: list[dict[str, Any]], name: str, writer: Callable[[Any], Any]) -> None:
    for row in rows:
        if row[name] is not None:
            row[name] = writer(row[name])


def prepare(
    query: syntax.DataQuery,
    rights: Rights,
    *,
    at: int | None = None,
    guarded: bool = True,
) -> Read:
    """Return the read that `query` asks for; `at` and `guarded` as in `resolve`.

    Raises
    ------
    HttpError
        409 for unknown names, 400 for sort, page and limit misused, 401 and 403 for
        what may not be read.
    """
    path = resolve(query.path, rights, at=at, guarded=guarded)
    outputs = outputs_of(query, path)
    selected = ", ".join(output.selected() for output in outputs)
    statement = f"{path.body}{_grouping(query, path, outputs)}"
    distinct = "DISTINCT " if query.api == "entity" and path.joined else ""
    statement = f"SELECT {distinct}{selected} {statement}"
    statement = _ordered(query, path, outputs, statement)
    return Read(
        sql=statement, parameters=tuple(path.parameters), outputs=tuple(outputs)
    )


def _grouping(query: syntax.DataQuery, path: Path, outputs: Sequence[Output]) -> str:
    if query.api == "attribute" and path.joined:
        return f" GROUP BY {path.current.rid}"
    if query.api == "attributegroup":
        keys = [item.sql for item in outputs if item.is_key]
        return f" GROUP BY {', '.join(keys)}"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """One sort key: the place of its output, from 1, and its direction."""

    place: int
    output: Output
    descending: bool
    #: True where NULL can't be: an index then serves both order and pages.
    is_plain: bool

    @property
    def column(self) -> str:
        """Its value in a statement around the one that selects it."""
        return self.output.type.compared(f"o{self.place}")

    def sql(self, *, reverse: bool = False) -> str:
        # Ascending has NULLs last, descending first, as PostgreSQL orders.
        down = self.descending != reverse
        place = str(self.place)
        if not self.output.is_counted:
            place = self.output.type.compared(place)
        if self.is_plain:
            return f"{place} {'DESC' if down else 'ASC'}"
        return f"{place} {'DESC NULLS FIRST' if down else 'ASC NULLS LAST'}"


def _orders(
    query: syntax.DataQuery, path: Path, outputs: Sequence[Output]
) -> list[_Order]:
    places = {output.name: place for place, output in enumerate(outputs, 1)}
    if query.sort and query.api == "aggregate":
        raise bad_request("An aggregate can't be sorted.")
    for key in query.sort:
        if key.name not in places:
            make = conflict if query.api == "entity" else bad_request
            raise make(f"The sort key {key.name[:80]!r} is not in the answer.")
    return [
        _Order(
            place=places[key.name],
            output=outputs[places[key.name] - 1],
            descending=key.descending,
            # Joins and masks put NULLs where the table has none.
            is_plain=outputs[places[key.name] - 1].is_filled and path.is_bare,
        )
        for key in query.sort
    ]


def _limit(query: syntax.DataQuery) -> int | None:
    values = query.option("limit")
    if values in (None, ("none",)):
        return None
    text = values[0] if values and len(values) == 1 else ""
    if text.startswith("-") and text[1:].isdigit():
        raise conflict("A limit can't be negative.")
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise bad_request("A limit is a number or none.")
    return int(text)


def _ordered(
    query: syntax.DataQuery, path: Path, outputs: Sequence[Output], statement: str
) -> str:
    """Add order, page and limit to a statement."""
    orders = _orders(query, path, outputs)
    limit = _limit(query)
    _check_pages(query, limit)
    backwards = query.before is not None and query.after is None
    pages = [
        _beyond(path, orders, values, before=before)
        for values, before in ((query.after, False), (query.before, True))
        if values is not None
    ]
    if pages:
        names = ", ".join(f"o{place}" for place in range(1, len(outputs) + 1))
        # A common table expression can name the columns, a subquery can't.
        statement = (
            f"WITH page ({names}) AS ({statement}) SELECT * FROM page"
            f" WHERE {' AND '.join(pages)}"
        )
    if orders:
        keys = ", ".join(order.sql(reverse=backwards) for order in orders)
        statement += f" ORDER BY {keys}"
    if limit is not None:
        statement += f" LIMIT {limit:d}"
    if backwards:
        keys = ", ".join(order.sql() for order in orders)
        statement = f"SELECT * FROM ({statement}) ORDER BY {keys}"
    return statement


def _check_pages(query: syntax.DataQuery, limit: int | None) -> None:
    for word, values in (("after", query.after), ("before", query.before)):
        if values is not None and len(values) != len(query.sort):
            raise bad_request(f"@{word} needs a value for each key of @sort.")
    if query.before is not None and query.after is None and limit is None:
        raise bad_request("@before needs a limit, or @after.")


def _beyond(
    path: Path,
    orders: Sequence[_Order],
    values: Sequence[str | None],
    *,
    before: bool,
) -> str:
    """Return the SQL for rows that sort strictly after (before) the page key."""
    steps: list[str] = []
    equal: list[str] = []
    for order, text in zip(orders, values, strict=True):
        kept = None if text is None else order.output.type.from_page(text)
        value = "NULL" if kept is None else path.bind(kept)
        larger = order.descending == before
        step = _step(order, value, larger=larger)
        steps.append(" AND ".join([*equal, step]))
        equal.append(f"{order.column} IS {value}")
        if len(steps) == 1 and order.is_plain and kept is not None and len(orders) > 1:
            # An index on the first key begins here.
            first = f"{order.column} {'>=' if larger else '<='} {value} AND "
        elif len(steps) == 1:
            first = ""
    return f"({first}({' OR '.join(f'({item})' for item in steps)}))"


def _step(order: _Order, value: str, *, larger: bool) -> str:
    """Return the SQL for one key beyond `value`, NULL being the largest."""
    column = order.column
    if larger and value == "NULL":
        return "0"
    if larger and not order.is_plain:
        return f"({column} > {value} OR {column} IS NULL)"
    if value == "NULL":
        return f"{column} IS NOT NULL"
    return f"{column} {'>' if larger else '<'} {value}"

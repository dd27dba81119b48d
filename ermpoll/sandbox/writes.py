"""What POST, PUT and DELETE on data do, after the address was understood.

Each kind of write is prepared once for an address (names, rights on columns) and then
run on the rows of a body inside a transaction. `ermrest.md` 3.2 and 3.3 are its rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ermpoll.sandbox import syntax
from ermpoll.sandbox.journal import Image
from ermpoll.sandbox.model import Column, Model, Table
from ermpoll.sandbox.paths import resolve
from ermpoll.sandbox.reads import Read, prepare
from ermpoll.sandbox.refusals import conflict, forbidden, malformed, missing
from ermpoll.sandbox.rows import Transaction

#: A body's row as it came: from JSON, or from CSV with every value as text.
BodyRow = dict[str, Any]
_OVERRIDABLE = ("RID", "RCT", "RCB")


class Body(Protocol):
    """The rows of a request."""

    def rows(self, names: Sequence[str], optional: Sequence[str]) -> list[BodyRow]:
        """Return the rows; CSV must have all of `names` and none beyond `optional`."""

    def kept(self, column: Column, row: BodyRow, name: str) -> Any:
        """Return what is kept for the value a row has under `name`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The rows of the answer, in lists that share their columns."""

    #: For each list: name in the answer, column, and the rows by column name.
    parts: tuple[tuple[tuple[tuple[str, Column], ...], list[Image]], ...]

    def columns(self) -> tuple[tuple[str, Column], ...]:
        """Return the columns of the answer: those of the widest list."""
        return max((columns for columns, _ in self.parts), key=len, default=())

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows with values as JSON."""
        return [
            {name: column.type.to_json(image[name]) for name, column in columns}
            for columns, images in self.parts
            for image in images
        ]


def _named(columns: Iterable[Column]) -> tuple[tuple[str, Column], ...]:
    return tuple((column.name, column) for column in columns)


def only_table(query: syntax.Query, model: Model) -> Table:
    """Return the one table that a path for writing may have, or refuse (400)."""
    if len(query.path) > 1:
        raise malformed("A path for writing is one table, without filters and links.")
    return resolve(query.path, model).current.table


def _not_null(column: Column, kept: Any) -> Any:
    if kept is None and not column.nullok:
        raise conflict(f"The column {column.name} can't be NULL.")
    return kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Insert:
    """POST of entities."""

    table: Table
    defaults: frozenset[str]
    nondefaults: frozenset[str]
    skip: bool

    def run(self, work: Transaction, body: Body) -> Written:
        """Insert the rows, or refuse and insert none."""
        columns = self.table.columns.values()
        free = [c.name for c in columns if not self._is_filled(c)]
        images = [
            self._image(work, body, row)
            for row in body.rows(free, list(self.table.columns))
        ]
        if self.skip:
            self._check_repeats(images)
        done = [
            image for image in images if work.insert(self.table, image, skip=self.skip)
        ]
        work.check_references(self.table, done, self.table.columns)
        return Written(parts=((_named(columns), done),))

    def _is_filled(self, column: Column) -> bool:
        if column.is_system:
            return column.name not in self.nondefaults
        return column.name in self.defaults

    def _image(self, work: Transaction, body: Body, row: BodyRow) -> Image:
        return {
            name: _not_null(
                column,
                self._filled(work, column)
                if self._is_filled(column)
                else body.kept(column, row, name),
            )
            for name, column in self.table.columns.items()
        }

    def _filled(self, work: Transaction, column: Column) -> Any:
        if column.name == "RID":
            return work.catalog.new_rid()
        if column.is_system:
            return work.now if column.name in ("RCT", "RMT") else work.who
        if column.type.is_serial:
            return work.serial(column)
        if column.default is None:
            return None
        return column.type.from_json(column.default)

    def _check_repeats(self, images: Sequence[Image]) -> None:
        for key in self.table.keys:
            _check_unique(
                [tuple(image[name] for name in key.columns) for image in images]
            )


def _check_unique(keys: Sequence[tuple[Any, ...]]) -> None:
    """Refuse (400) two input rows with one key; those with a NULL are not seen."""
    whole = [key for key in keys if None not in key]
    if len(set(whole)) != len(whole):
        raise malformed("Two rows of the input have the same key.")


def insert(query: syntax.Query, model: Model) -> Insert:
    """Return the insert that a POST asks for, or refuse."""
    table = only_table(query, model)
    defaults = query.option("defaults") or ()
    nondefaults = query.option("nondefaults") or ()
    for name in (*defaults, *nondefaults):
        table.column(name)
    for name in nondefaults:
        if table.columns[name].is_system and name not in _OVERRIDABLE:
            raise forbidden(f"The column {name} can't be set.")
    conflicts = query.option("onconflict") or ("abort",)
    if conflicts not in (("abort",), ("skip",)):
        raise malformed("onconflict is abort or skip.")
    return Insert(
        table=table,
        defaults=frozenset(defaults),
        nondefaults=frozenset(nondefaults),
        skip=conflicts == ("skip",),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Upsert:
    """PUT of entities: update by all key columns, or insert."""

    table: Table
    keys: tuple[Column, ...]
    others: tuple[Column, ...]

    def run(self, work: Transaction, body: Body) -> Written:
        """Write the rows, or refuse and write none."""
        columns = (*self.keys, *self.others)
        names = [column.name for column in columns]
        images = [
            {c.name: _not_null(c, body.kept(c, row, c.name)) for c in columns}
            for row in body.rows(names, list(self.table.columns))
        ]
        _check_unique([self._key(image) for image in images])
        found = [work.select(self.table, self.keys, self._key(item)) for item in images]
        pairs = [
            (before, image)
            for image, matches in zip(images, found, strict=True)
            for before in matches
        ]
        afters = [work.update(self.table, before, image) for before, image in pairs]
        new = [item for item, matches in zip(images, found, strict=True) if not matches]
        whole = [self._insert(work, image) for image in new]
        work.check_references(self.table, [*afters, *whole], names)
        work.settle_updated(self.table, [before for before, _ in pairs], afters)
        return Written(
            parts=(
                (self._in_order(system=False), afters),
                (self._in_order(system=True), whole),
            )
        )

    def _in_order(self, *, system: bool) -> tuple[tuple[str, Column], ...]:
        columns = self.table.columns.values()
        return _named(column for column in columns if system or not column.is_system)

    def _key(self, image: Image) -> tuple[Any, ...]:
        return tuple(image[column.name] for column in self.keys)

    def _insert(self, work: Transaction, image: Image) -> Image:
        system = {
            "RID": work.catalog.new_rid(),
            "RCT": work.now,
            "RMT": work.now,
            "RCB": work.who,
            "RMB": work.who,
        }
        whole = {name: {**system, **image}[name] for name in self.table.columns}
        work.insert(self.table, whole)
        return whole


def upsert(query: syntax.Query, model: Model) -> Upsert:
    """Return the upsert that a PUT of entities asks for, or refuse."""
    table = only_table(query, model)
    names = {name for key in table.keys for name in key.columns}
    columns = [column for column in table.columns.values() if not column.is_system]
    keys = tuple(column for column in columns if column.name in names)
    if not keys:
        raise conflict(f"The table {table.title} has no key but RID.")
    others = tuple(column for column in columns if column.name not in names)
    return Upsert(table=table, keys=keys, others=others)


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """PUT of an attribute group: update by the group keys, insert nothing."""

    table: Table
    #: Name in the body, and column.
    keys: tuple[tuple[str, Column], ...]
    targets: tuple[tuple[str, Column], ...]

    def run(self, work: Transaction, body: Body) -> Written:
        """Update the rows that match; input rows that match nothing are passed over."""
        both = (*self.keys, *self.targets)
        names = [name for name, _ in both]
        staged = [
            {
                name: _not_null(column, body.kept(column, row, name))
                for name, column in both
            }
            for row in body.rows(names, names)
        ]
        _check_unique([self._key(item) for item in staged])
        columns = [column for _, column in self.keys]
        matched: dict[str, tuple[Image, Image]] = {}
        for item in staged:
            for before in work.select(self.table, columns, self._key(item)):
                matched[before["RID"]] = before, item
        befores = [before for before, _ in matched.values()]
        afters = [
            work.update(
                self.table, before, {c.name: item[name] for name, c in self.targets}
            )
            for before, item in matched.values()
        ]
        changed = [column.name for _, column in self.targets]
        work.check_references(self.table, afters, changed)
        work.settle_updated(self.table, befores, afters)
        return Written(parts=((both, [item for _, item in matched.values()]),))

    def _key(self, staged: Image) -> tuple[Any, ...]:
        return tuple(staged[name] for name, _ in self.keys)


def update(query: syntax.Query, model: Model) -> Update:
    """Return the update that a PUT of an attribute group asks for, or refuse."""
    table = only_table(query, model)
    keys, targets = (
        _targets(query, model, items) for items in (query.outputs, query.extras)
    )
    if not targets:
        raise malformed("An update needs group keys and targets.")
    for items in (keys, targets):
        columns = [column.name for _, column in items]
        if len(set(columns)) != len(columns):
            raise malformed("A column stands twice among the keys or the targets.")
    names = [name for name, _ in (*keys, *targets)]
    if len(set(names)) != len(names):
        raise conflict("Two columns have the same name in the body.")
    for _, column in targets:
        if column.is_system:
            raise forbidden(f"The column {column.name} can't be set.")
    return Update(table=table, keys=keys, targets=targets)


def _targets(
    query: syntax.Query, model: Model, items: Sequence[syntax.Output]
) -> tuple[tuple[str, Column], ...]:
    path = resolve(query.path, model)
    if any(item.function or item.column[-1] == syntax.STAR for item in items):
        raise malformed("Only columns can be group keys and targets of an update.")
    columns = [path.column(item.column)[1] for item in items]
    return tuple(
        (item.alias or column.name, column)
        for item, column in zip(items, columns, strict=True)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """DELETE of entities, or of some of their attributes."""

    table: Table
    read: Read
    #: The columns to clear, or None: delete the rows.
    columns: tuple[Column, ...] | None

    def run(self, work: Transaction, body: Body) -> Written:
        """Delete or clear what the path finds, or refuse (404) when that is nothing."""
        names = self.read.names
        found = self.read.run_kept(work.db)
        befores = [dict(zip(names, row, strict=True)) for row in found if row[0]]
        if not befores:
            raise missing("No row matches.")
        if self.columns is None:
            for before in befores:
                work.delete(self.table, before)
            work.settle_deleted(self.table, befores)
        else:
            nothing = {column.name: None for column in self.columns}
            afters = [work.update(self.table, item, nothing) for item in befores]
            work.settle_updated(self.table, befores, afters)
        return Written(parts=())


def delete(query: syntax.Query, model: Model) -> Delete:
    """Return the delete that a path asks for, or refuse."""
    path = resolve(query.path, model)
    table = path.current.table
    whole = syntax.Query(api="entity", path=query.path)
    read = prepare(whole, model)
    columns = _cleared(query, model, table) if query.api == "attribute" else None
    return Delete(table=table, read=read, columns=columns)


def _cleared(query: syntax.Query, model: Model, table: Table) -> tuple[Column, ...]:
    columns = tuple(column for _, column in _targets(query, model, query.outputs))
    keys = {name for key in table.keys for name in key.columns}
    if any(column.type.scalar == "json" for column in table.columns.values()):
        raise conflict("Rows with json columns can't be compared.")
    for column in columns:
        if column.is_system and column.name not in keys:
            raise forbidden(f"The column {column.name} can't be set.")
        if column.name in keys or not column.nullok:
            raise conflict(f"The column {column.name} can't be cleared.")
    return columns

"""What a table of a catalog is: columns, types, keys, rights. Read once, frozen."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from urllib.parse import unquote

from ermpoll.catalog.paths import quote
from ermpoll.errors import Conflict, NotFound, UsageError
from ermpoll.records import SYSTEM_COLUMNS as SYSTEM_COLUMNS
from ermpoll.redact import printable


@dataclass(frozen=True, slots=True)
class BaseType:
    """A type below all domains."""

    kind: Literal[
        "integer", "float", "number", "boolean", "time", "uuid", "json", "text"
    ]
    #: The pandas type that holds it; ``string`` also where pandas has none (dates).
    dtype: str = "string"
    #: Integers are below it, and not below its negative.
    limit: int = 0


_INT2, _INT4, _INT8 = (BaseType("integer", "Int64", 2**n) for n in (15, 31, 63))
_TEXT = BaseType("text")
#: All that have a meaning here; any other is text.
TYPES: Mapping[str, BaseType] = {
    "int2": _INT2,
    "int4": _INT4,
    "int8": _INT8,
    "float4": BaseType("float", "Float64"),
    "float8": BaseType("float", "Float64"),
    "numeric": BaseType("number", "Float64"),
    "boolean": BaseType("boolean", "boolean"),
    "timestamptz": BaseType("time", "datetime64[us, UTC]"),
    "timestamp": BaseType("time", "datetime64[us]"),
    "date": BaseType("time"),
    "uuid": BaseType("uuid"),
    "json": BaseType("json", "object"),
    "jsonb": BaseType("json", "object"),
}
_TEXTS = (
    "varchar longtext markdown gene_sequence color_rgb_hex uri ermrest_uri curie "
    "ermrest_curie ermrest_rid ermrest_rcb ermrest_rmb"
)
#: Other names of the base types, and the domains ERMrest ships.
_BASES = {
    **dict.fromkeys(_TEXTS.split(), "text"),
    **dict.fromkeys(("smallint", "serial2"), "int2"),
    **dict.fromkeys(("integer", "serial4"), "int4"),
    **dict.fromkeys(("bigint", "serial8"), "int8"),
    **dict.fromkeys(("ermrest_rct", "ermrest_rmt"), "timestamptz"),
    "bool": "boolean",
    "real": "float4",
    "double precision": "float8",
}


class ModelSource(Protocol):
    """Where model documents come from: a catalog."""

    def document(self, path: str) -> Any:
        """Return the JSON document at a path of the catalog."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column and its type."""

    name: str
    #: Type as declared: ``markdown``, ``int4``, ``text[]``.
    typename: str
    #: The type below domains, and of an array's elements: ``text``, ``int4``.
    base: str
    is_array: bool = False
    nullok: bool = True
    #: Whether this login may update it; None where it depends on the row.
    may_update: bool | None = True

    @property
    def type(self) -> BaseType:
        """What is known of its type, or of its elements'."""
        return TYPES.get(self.base, _TEXT)

    @property
    def dtype(self) -> str:
        """The pandas type that holds it: ``object`` for json and arrays."""
        return "object" if self.is_array else self.type.dtype

    @property
    def is_json(self) -> bool:
        """True for json and jsonb, whose NULL a PUT can't tell from JSON null."""
        return self.type.kind == "json" and not self.is_array


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A foreign key of one column."""

    column: str
    schema: str
    table: str
    referenced: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of the model."""

    schema: str
    name: str
    columns: Mapping[str, Column]
    #: Unique keys, each a tuple of column names.
    keys: tuple[tuple[str, ...], ...]
    references: tuple[Reference, ...]
    #: Whether this login may update rows; None where it depends on the row.
    may_update: bool | None

    @property
    def label(self) -> str:
        """Its name for people: ``Schema:Table``."""
        return printable(f"{self.schema}:{self.name}")

    @property
    def path(self) -> str:
        """Its name in a path, quoted."""
        return f"{quote(self.schema)}:{quote(self.name)}"

    def column(self, name: str, what: str) -> Column:
        """Return a column, or raise UsageError naming the closest ones."""
        if name in self.columns:
            return self.columns[name]
        raise UsageError(
            f"{what}: expected a column of {self.label}, found {name!r}; "
            + _closest(name, self.columns)
        )


def read_table(source: ModelSource, label: str) -> Table:
    """Read a table's model from the catalog.

    Parameters
    ----------
    label
        ``Schema:Table``, or a bare table name that is unique in the catalog.
        A colon inside a name is written ``%3A``.

    Raises
    ------
    UsageError
        There is no such schema or table, or the bare name is ambiguous.
    """
    schema, _, name = label.rpartition(":")
    if not schema:
        return _find_table(source, unquote(name))
    schema, name = unquote(schema), unquote(name)
    try:
        document = source.document(f"schema/{quote(schema)}/table/{quote(name)}")
    except (NotFound, Conflict) as error:
        raise _unknown_table(source, schema, name) from error
    return table_of(document)


def table_of(document: Mapping[str, Any]) -> Table:
    """Turn a table document of the model into a Table."""
    columns = [_column_of(column) for column in document["column_definitions"]]
    return Table(
        schema=document["schema_name"],
        name=document["table_name"],
        columns={column.name: column for column in columns},
        keys=tuple(tuple(key["unique_columns"]) for key in document["keys"]),
        references=tuple(_references_of(document["foreign_keys"])),
        may_update=document.get("rights", {}).get("update", True),
    )


def _column_of(document: Mapping[str, Any]) -> Column:
    typename = document["type"]["typename"]
    base, is_array = document["type"], False
    while "base_type" in base:
        is_array = is_array or bool(base.get("is_array"))
        base = base["base_type"]
    # A table document just after its creation names no base type: see the name.
    plain = base["typename"]
    is_array = is_array or plain.endswith("[]")
    return Column(
        name=document["name"],
        typename=typename,
        base=_BASES.get(plain.removesuffix("[]"), plain.removesuffix("[]")),
        is_array=is_array,
        nullok=document.get("nullok", True),
        may_update=document.get("rights", {}).get("update", True),
    )


def _references_of(documents: Iterable[Mapping[str, Any]]) -> Iterable[Reference]:
    for document in documents:
        columns = document["foreign_key_columns"]
        referenced = document["referenced_columns"]
        if len(columns) == 1:
            yield Reference(
                column=columns[0]["column_name"],
                schema=referenced[0]["schema_name"],
                table=referenced[0]["table_name"],
                referenced=referenced[0]["column_name"],
            )


def _find_table(source: ModelSource, name: str) -> Table:
    schemas = source.document("schema")["schemas"]
    found = [
        schema["tables"][name]
        for schema in schemas.values()
        if name in schema.get("tables", {})
    ]
    if len(found) == 1:
        return table_of(found[0])
    if found:
        where = ", ".join(f"{table['schema_name']}:{name}" for table in found)
        raise UsageError(f"expected one table named {name!r}, found {where}; name one")
    known = [
        f"{schema}:{table}"
        for schema, document in schemas.items()
        for table in document.get("tables", {})
    ]
    raise UsageError(
        f"expected a table of the catalog, found {name!r}; " + _closest(name, known)
    )


def _unknown_table(source: ModelSource, schema: str, name: str) -> UsageError:
    schemas = source.document("schema")["schemas"]
    if schema not in schemas:
        return UsageError(
            f"expected a schema of the catalog, found {schema!r}; "
            + _closest(schema, schemas)
        )
    return UsageError(
        f"expected a table of schema {schema!r}, found {name!r}; "
        + _closest(name, schemas[schema].get("tables", {}))
    )


def _closest(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or known[:12]
    if not close:
        return "there is none"
    return "did you mean " + ", ".join(map(repr, close)) + "?"

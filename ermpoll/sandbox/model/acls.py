"""What a client may do: ACLs and their inheritance, and whether rows have a say.

A decision is True, False, or None: then the bindings in force decide row by row
(`query.policy` turns them into SQL). An element that may not be enumerated is as if
it were not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, TypeVar

from ermpoll.sandbox.errors import HttpError, conflict, forbidden, not_found
from ermpoll.sandbox.model.access import (
    FIXED,
    IMPLIED_BY,
    OPEN_TO_ALL,
    TOLD,
    binding_grants,
    bindings_of,
)
from ermpoll.sandbox.model.clients import Client
from ermpoll.sandbox.model.model import (
    ColumnDef,
    Element,
    ForeignKey,
    Key,
    Model,
    Schema,
    TableDef,
)

Decision: TypeAlias = bool | None
_Element = TypeVar("_Element", Schema, TableDef, ColumnDef)
_CAPTURE = "tag:isrd.isi.edu,2020:history-capture"


class Rights:
    """What one client may do with one model.

    Parameters
    ----------
    snapshot
        True: the model is of a snapshot, of which only `select` is told.
    """

    def __init__(self, model: Model, client: Client, *, snapshot: bool = False) -> None:
        self.model = model
        self.client = client
        self.roles = client.roles | {"*"}
        self.snapshot = snapshot
        self._known: dict[tuple[int, str], Decision] = {}

    # ---- decisions

    def catalog(self, right: str) -> Decision:
        """Decide on the catalog itself."""
        return not self._is_barred(right) and self._is_listed(self.model, right)

    def schema(self, schema: Schema, right: str) -> Decision:
        """Decide on a schema."""
        if self._is_barred(right):
            return False
        return self._static(schema, right, self.catalog("owner"), self.catalog(right))

    def table(self, table: TableDef, right: str) -> Decision:
        """Decide on a table."""
        key = id(table), right
        if key not in self._known:
            self._known[key] = self._table(table, right)
        return self._known[key]

    def _table(self, table: TableDef, right: str) -> Decision:
        schema = self.model.schemas[table.schema]
        if self.snapshot and table.annotations.get(_CAPTURE, True) is False:
            # What has no history was never there.
            return False
        if not self.schema(schema, "enumerate") or self._is_barred(right):
            return False
        owner, inherited = self.schema(schema, "owner"), self.schema(schema, right)
        if self._static(table, right, owner, inherited):
            return True
        return self._dynamic(table.acl_bindings.values(), right)

    def column(self, table: TableDef, column: ColumnDef, right: str) -> Decision:
        """Decide on a column."""
        key = id(column), right
        if key not in self._known:
            self._known[key] = self._column(table, column, right)
        return self._known[key]

    def _column(self, table: TableDef, column: ColumnDef, right: str) -> Decision:
        if right in FIXED.get(column.name, ()) or self.table(table, right) is False:
            return False
        return self._child(table, column, right)

    def _child(
        self, table: TableDef, child: ColumnDef | ForeignKey, right: str
    ) -> Decision:
        if self._is_barred(right):
            return False
        owner, inherited = self.table(table, "owner"), self.table(table, right)
        if self._static(child, right, owner, inherited):
            return True
        return self._dynamic(bindings_of(table, child).values(), right)

    def data(self, table: TableDef, column: ColumnDef, right: str) -> Decision:
        """Decide on the values of a column, which the server may fill."""
        if column.is_system and right in ("insert", "update"):
            if right == "insert" and column.name in ("RID", "RCT", "RCB"):
                if self.catalog("owner"):
                    return True
                # Others may have leased it.
                return None if column.name == "RID" else False
            return False
        return self.column(table, column, right)

    def columns(self, table: TableDef, names: Iterable[str], right: str) -> Decision:
        """Decide on several columns: the first that does not clearly give it."""
        for name in names:
            decision = self.column(table, table.columns[name], right)
            if not decision:
                return decision
        return True

    def key(self, table: TableDef, key: Key | ForeignKey) -> bool:
        """Return whether a key, by its columns alone, may be seen."""
        columns = [table.columns[name] for name in key.columns]
        return all(
            self.column(table, column, "enumerate") for column in columns
        ) and not any(self.column(table, item, "select") is False for item in columns)

    def fkey(self, table: TableDef, fkey: ForeignKey, right: str) -> Decision:
        """Decide on a foreign key, whose own ACLs default to everybody's."""
        if right == "enumerate":
            target = self.model.table(*fkey.ref_table)
            far = Key(rid="", name="", columns=fkey.ref_columns)
            if not (self.key(target, far) and self.key(table, fkey)):
                return False
        if right in ("insert", "update") and right not in fkey.acls:
            return True
        return self._child(table, fkey, right)

    def _is_barred(self, right: str) -> bool:
        """Nobody without login changes anything."""
        return not self.client.id and right not in OPEN_TO_ALL

    def _is_listed(self, element: Element | Model, right: str) -> bool:
        return any(
            not self.roles.isdisjoint(element.acls.get(name) or ())
            for name in (right, *IMPLIED_BY[right])
        )

    def _static(
        self, element: Element, right: str, owner: Decision, inherited: Decision
    ) -> bool:
        if self._is_listed(element, right) or owner:
            return True
        return right not in element.acls and bool(inherited)

    def _dynamic(self, bindings: Iterable[Any], right: str) -> Decision:
        granted = (binding_grants(item, right, self.roles) for item in bindings)
        return None if any(granted) else False

    # ---- demands

    def demand(self, decision: Decision, what: str) -> None:
        """Refuse a denial: 401 without login, else 403. None is for the rows."""
        if decision is False:
            raise self.denial(what)

    def denial(self, what: str) -> HttpError:
        """Return the refusal of an access."""
        return forbidden(f"{what} is not allowed.", anonymous=not self.client.id)

    def demand_catalog(self, right: str) -> None:
        """Refuse who lacks a right to the catalog."""
        self.demand(self.catalog(right), f"{right} access to the catalog")

    def demand_element(self, element: Any, table: TableDef | None, right: str) -> None:
        """Refuse who lacks a right to an element; keys are their table's affair."""
        what = f"{right} access to {getattr(element, 'name', 'the catalog')}"
        self.demand(self.decide(element, table, right), what)

    def decide(self, element: Any, table: TableDef | None, right: str) -> Decision:
        """Decide on any element; `table` is that of a part of one."""
        if isinstance(element, Model):
            return self.catalog(right)
        if isinstance(element, Schema):
            return self.schema(element, right)
        if isinstance(element, TableDef):
            return self.table(element, right)
        assert table is not None
        if isinstance(element, ColumnDef):
            return self.column(table, element, right)
        if isinstance(element, ForeignKey):
            return self.fkey(table, element, right)
        return (
            self.key(table, element)
            if right == "enumerate"
            else self.table(table, right)
        )

    # ---- what is there, for this client

    def seen_schema(self, name: str, *, last: bool = False) -> Schema:
        """Return a schema, or refuse: 404 for an address's `last` part, else 409."""
        schema = self.model.schema(name, last=last)
        return self._shown(schema, self.schema(schema, "enumerate"), last)

    def seen_table(self, schema: Schema, name: str, *, last: bool = False) -> TableDef:
        """Return a table, or refuse as `seen_schema` does."""
        table = schema.table(name, last=last)
        return self._shown(table, self.table(table, "enumerate"), last)

    def find_table(self, name: tuple[str, ...]) -> TableDef:
        """Return the table that ``T`` or ``S:T`` is in data paths, or refuse (409)."""
        if len(name) == 2:
            return self.seen_table(self.seen_schema(name[0]), name[1])
        found = [
            table
            for table in self.model.tables()
            if table.name == name[0] and self.table(table, "enumerate")
        ]
        if len(found) != 1:
            word = "ambiguous" if found else "unknown"
            raise conflict(f"The table name {name[0][:80]!r} is {word}.")
        return found[0]

    def seen_column(self, table: TableDef, name: str) -> ColumnDef:
        """Return a column, or refuse (409)."""
        column = table.column(name)
        return self._shown(column, self.column(table, column, "enumerate"), False)

    def seen_columns(self, table: TableDef) -> list[ColumnDef]:
        """Return the columns of a table that are there."""
        return [
            column
            for column in table.columns.values()
            if self.column(table, column, "enumerate")
        ]

    def _shown(self, element: _Element, decision: Decision, last: bool) -> _Element:
        if not decision:
            make = not_found if last else conflict
            raise make(f"There is no {element.name[:80]!r}.")
        return element

    # ---- what is told

    def summary(self, element: Any, table: TableDef | None = None) -> Mapping[str, Any]:
        """Return the ``rights`` of an element's document."""
        told: dict[str, Any] = {
            right: self.decide(element, table, right)
            if right == "select" or not self.snapshot
            else False
            for right in TOLD[type(element)]
        }
        if isinstance(element, ForeignKey) and table and not self.snapshot:
            for right, decision in told.items():
                if decision:
                    told[right] = self.columns(table, element.columns, right)
        return told

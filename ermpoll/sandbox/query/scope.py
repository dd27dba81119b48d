"""What a path stands on while it is resolved: who asks, instances, and parameters.

Tables and columns stand in the SQL by their slots, values by numbered parameters:
nothing that a client wrote is ever part of the statement's text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ermpoll.sandbox.errors import bad_request, conflict
from ermpoll.sandbox.model.acls import Rights
from ermpoll.sandbox.model.model import ColumnDef, Model, TableDef
from ermpoll.sandbox.query import syntax

#: Pairs of columns that a join makes equal.
Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One use of a table in a path; `label` is its name in the SQL."""

    table: TableDef
    label: str

    def sql(self, column: ColumnDef) -> str:
        """Return the SQL of one of its columns."""
        return f"{self.label}.{column.slot}"

    def compared(self, column: ColumnDef) -> str:
        """Return the SQL of one of its columns, in PostgreSQL's order."""
        return column.type.compared(self.sql(column))

    @property
    def rid(self) -> str:
        """The SQL of its RID."""
        return self.sql(self.table.columns["RID"])


@dataclass(slots=True, kw_only=True)
class Path:
    """A path, resolved: what is joined, what is asked of it, and where it stands."""

    rights: Rights
    #: True: rows and cells that the client may not read are left out.
    guarded: bool = True
    #: True: this is a policy's own path, which asks for nobody's rights.
    trusted: bool = False
    #: Microseconds since 1970 to show the rows of, or None: as they are.
    at: int | None = None
    #: What the labels of instances begin with.
    prefix: str = "i"
    instances: list[Instance] = field(default_factory=list)
    aliases: dict[str, Instance] = field(default_factory=dict)
    source: str = ""
    conditions: list[str] = field(default_factory=list)
    parameters: list[Any] = field(default_factory=list)
    current: Instance = field(init=False)

    @property
    def model(self) -> Model:
        """The model that names are of."""
        return self.rights.model

    def bind(self, value: Any) -> str:
        """Return the parameter that stands for `value`."""
        self.parameters.append(value)
        return f"?{len(self.parameters)}"

    @property
    def joined(self) -> bool:
        """True when the path has more than its root."""
        return len(self.instances) > 1

    @property
    def is_bare(self) -> bool:
        """True when it shows the rows of one table as they are kept."""
        return not self.joined and not self.source.startswith("(")

    @property
    def body(self) -> str:
        """The ``FROM ... WHERE ...`` of the statement."""
        where = " AND ".join(self.conditions)
        return f"FROM {self.source}" + (f" WHERE {where}" if where else "")

    def instance(self, name: syntax.Name) -> Instance:
        """Return the instance that a column's name is of, or refuse (409)."""
        if len(name) == 1:
            return self.current
        if len(name) == 2 and name[0] in self.aliases:
            return self.aliases[name[0]]
        raise conflict(f"{name[0][:80]!r} is no alias of this path.")

    def column(self, name: syntax.Name) -> tuple[Instance, ColumnDef]:
        """Return what a column's name means here, or refuse (409)."""
        instance = self.instance(name)
        if self.trusted:
            return instance, instance.table.column(name[-1])
        return instance, self.rights.seen_column(instance.table, name[-1])

    def readable(self, name: syntax.Name) -> tuple[Instance, ColumnDef]:
        """Return a column whose values may be asked for, or refuse (409, 403)."""
        instance, column = self.column(name)
        self.demand_readable(instance, column)
        return instance, column

    def demand_readable(self, instance: Instance, column: ColumnDef) -> None:
        """Refuse (401, 403) a column whose values may not be asked for."""
        if not self.trusted:
            self.rights.demand_element(column, instance.table, "select")

    def readable_columns(self, instance: Instance) -> list[ColumnDef]:
        """Return all columns of an instance, or refuse where one may not be read."""
        columns = self.rights.seen_columns(instance.table)
        for column in columns:
            self.demand_readable(instance, column)
        return columns

    def add(self, table: TableDef, alias: str | None) -> Instance:
        """Make a table the current instance; its join is the caller's affair."""
        if alias is not None and alias in self.aliases:
            raise bad_request(f"The alias {alias[:80]!r} is bound twice.")
        instance = Instance(table=table, label=f"{self.prefix}{len(self.instances)}")
        self.instances.append(instance)
        if alias is not None:
            self.aliases[alias] = instance
        self.current = instance
        return instance

    def rows_of(self, instance: Instance) -> str:
        """Return the SQL of an instance's rows: as they are, or as they were."""
        table = instance.table
        if self.at is None:
            return f"{table.slot} AS {instance.label}"
        slots = ", ".join(table.slots)
        since = table.columns["RMT"].slot
        return (
            f"(SELECT {slots} FROM {table.slot} WHERE {since} <= {self.at:d}"
            f" UNION ALL SELECT {slots} FROM {table.slot}h"
            f" WHERE {since} <= {self.at:d} AND until > {self.at:d})"
            f" AS {instance.label}"
        )


def equalities(left: Instance, right: Instance, pairs: Pairs) -> str:
    """Return the SQL that makes pairs of columns equal."""
    sides = [
        (left.compared(left.table.column(here)), right.sql(right.table.column(there)))
        for here, there in pairs
    ]
    return " AND ".join(f"{one} = {other}" for one, other in sides)


def fkey_pairs(columns: list[str], ref_columns: list[str], *, inbound: bool) -> Pairs:
    """Return what a foreign key makes equal, seen from either of its ends."""
    pairs = zip(columns, ref_columns, strict=True)
    return [(there, here) if inbound else (here, there) for here, there in pairs]

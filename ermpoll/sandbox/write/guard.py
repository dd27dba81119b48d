"""Rights on writes: what a client may insert, update and delete, and in which rows.

Static decisions come first and need no rows but those of the body. Where bindings have
a say, the rows that the write found are asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ermpoll.sandbox.model.acls import Rights
from ermpoll.sandbox.model.model import ForeignKey, TableDef
from ermpoll.sandbox.query import policy
from ermpoll.sandbox.query.scope import Instance, Path
from ermpoll.sandbox.store.journal import Image
from ermpoll.sandbox.write.fields import Field
from ermpoll.sandbox.write.rows import Transaction

_LEASES = ("public", "ERMrest_RID_Lease")


@dataclass(frozen=True, slots=True)
class Guard:
    """The rights of a client on one table."""

    rights: Rights
    table: TableDef

    # ---- inserts

    def check_insert(
        self, work: Transaction, fields: Sequence[Field], rows: Sequence[Image]
    ) -> None:
        """Refuse rows that may not be inserted with these fields; take their leases."""
        rights, table = self.rights, self.table
        if rights.table(table, "insert") is not True:
            raise rights.denial(f"insert access to {table.title}")
        for item in fields:
            decision = rights.data(table, item.column, "insert")
            if decision is False or (decision is None and item.column.name != "RID"):
                raise rights.denial(f"insert access to {item.column.name}")
        self._check_links(work, fields, rows, rows, "insert")
        for item in fields:
            if item.column.name == "RID":
                self._take_leases(work, [row[item.name] for row in rows])

    def _take_leases(self, work: Transaction, rids: Sequence[str]) -> None:
        """Use up the client's leases of these RIDs, or refuse; owners need none."""
        if self.rights.catalog("owner"):
            return
        schema = work.catalog.model.schemas.get(_LEASES[0])
        leases = schema.tables.get(_LEASES[1]) if schema else None
        for rid in rids:
            columns = [] if leases is None else [leases.columns["RID"]]
            found = work.select(leases, columns, [rid]) if leases else []
            if leases is None or not found or found[0]["RCB"] != work.who:
                raise self.rights.denial(f"The RID {rid} without a lease")
            work.delete(leases, found[0])

    # ---- updates

    def check_update(
        self,
        work: Transaction,
        fields: Sequence[Field],
        rows: Sequence[Image],
        pairs: Sequence[tuple[Image, Image]],
    ) -> None:
        """Refuse an update of these fields.

        Parameters
        ----------
        rows
            All that the body says.
        pairs
            A row that is there, and what the body says of it.
        """
        rights, table = self.rights, self.table
        rights.demand_element(table, None, "update")
        for item in fields:
            decision = rights.data(table, item.column, "update")
            rights.demand(decision, f"update access to {item.column.name}")
        befores = [before for before, _ in pairs]
        self.check_rows(work, befores, "update")
        for item in fields:
            column = item.column
            if policy.is_restricted(rights, table, column, "update"):
                path, base = self._path()
                granted = policy.cell_granted(path, base, column, "update")
                self._check(work, path, base, befores, granted, "update")
        afters = [{**before, **_named(fields, row)} for before, row in pairs]
        self._check_links(work, fields, rows, afters, "update")

    def check_rows(
        self, work: Transaction, befores: Sequence[Image], right: str
    ) -> None:
        """Refuse a write to rows when one of them may not be written."""
        if self.rights.table(self.table, right) is None:
            path, base = self._path()
            granted = policy.granted(path, base, right)
            self._check(work, path, base, befores, granted, right)

    def _path(self) -> tuple[Path, Instance]:
        path = Path(rights=self.rights, trusted=True)
        return path, Instance(table=self.table, label="g0")

    def _check(
        self,
        work: Transaction,
        path: Path,
        base: Instance,
        befores: Sequence[Image],
        granted: str,
        right: str,
    ) -> None:
        rids = path.bind(json.dumps([before["RID"] for before in befores]))
        if work.db.execute(
            f"SELECT 1 FROM {path.rows_of(base)} WHERE {base.rid} IN"
            f" (SELECT value FROM json_each({rids})) AND NOT {granted} LIMIT 1",
            path.parameters,
        ).fetchone():
            raise self.rights.denial(f"{right} access to a row of {self.table.title}")

    # ---- foreign keys

    def _check_links(
        self,
        work: Transaction,
        fields: Sequence[Field],
        rows: Sequence[Image],
        afters: Sequence[Image],
        right: str,
    ) -> None:
        """Refuse references that the client may not make."""
        given = {
            item.column.name
            for item in fields
            if any(row[item.name] is not None for row in rows)
        }
        for fkey in self.table.fkeys:
            if not given & set(fkey.columns):
                continue
            decision = self.rights.fkey(self.table, fkey, right)
            self.rights.demand(decision, f"{right} access to {fkey.name}")
            if decision is None:
                self._check_targets(work, fkey, afters, right)

    def _check_targets(
        self,
        work: Transaction,
        fkey: ForeignKey,
        afters: Iterable[Image],
        right: str,
    ) -> None:
        target = self.rights.model.table(*fkey.ref_table)
        for values in {tuple(row.get(name) for name in fkey.columns) for row in afters}:
            if None in values:
                continue
            path = Path(rights=self.rights, trusted=True)
            base = Instance(table=target, label="g0")
            equal = " AND ".join(
                f"{base.sql(target.column(name))} = {path.bind(value)}"
                for name, value in zip(fkey.ref_columns, values, strict=True)
            )
            granted = policy.link_granted(path, base, fkey, right)
            if not work.db.execute(
                f"SELECT 1 FROM {path.rows_of(base)} WHERE {equal} AND {granted}",
                path.parameters,
            ).fetchone():
                raise self.rights.denial(f"{right} access to {fkey.name}")


def _named(fields: Sequence[Field], row: Image) -> Image:
    return {item.column.name: row[item.name] for item in fields}

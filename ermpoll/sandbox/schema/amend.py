"""Amending the past: ACLs, bindings and annotations of then, and redacted values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ermpoll.sandbox.errors import bad_request, conflict, not_found
from ermpoll.sandbox.model.access import BINDABLE, SUPPORTED
from ermpoll.sandbox.model.model import ColumnDef, Model, TableDef
from ermpoll.sandbox.store import history
from ermpoll.sandbox.store.store import Store

_CAPTURE = "tag:isrd.isi.edu,2020:history-capture"
#: Columns that a row version can't be without.
_KEPT = ("RID", "RMT", "RMB")
_ATTRIBUTES = {
    "acl": "acls",
    "acl_binding": "acl_bindings",
    "annotation": "annotations",
}


@dataclass(frozen=True, slots=True)
class Period:
    """A part of a catalog's past, from included, until not."""

    store: Store
    catalog: str
    since: int
    until: int

    def versions(self) -> list[tuple[int, Model]]:
        """Return the versions of the model that held in the period, newest first."""
        every = history.model_versions(self.store.db, self.catalog)
        inside = [item for item in every if self.since <= item[0] < self.until]
        before = [item for item in every if item[0] < self.since]
        if not inside or inside[-1][0] > self.since:
            # The one that held when the period began is split there.
            inside += [(self.since, model) for _, model in before[:1]]
        return inside


def elements(model: Model) -> Iterator[tuple[TableDef | None, Any]]:
    """Yield each element below the catalog, and the table that it is part of."""
    for schema in model.schemas.values():
        yield None, schema
        for table in schema.tables.values():
            yield table, table
            for part in (*table.columns.values(), *table.keys, *table.fkeys):
                yield table, part


def find(period: Period, rid: str) -> tuple[TableDef | None, Any]:
    """Return an element that a catalog has or had, or refuse (404)."""
    for _, model in history.model_versions(period.store.db, period.catalog):
        for table, element in elements(model):
            if element.rid == rid:
                return table, element
    raise not_found(f"No element of the model had the RID {rid[:80]!r}.")


def amend(period: Period, api: str, rid: str | None, content: Any) -> None:
    """Replace a property that an element had in a period, or refuse (400, 404, 409)."""
    if not isinstance(content, dict):
        raise bad_request("An amendment must be an object.")
    kind = Model if rid is None else type(find(period, rid)[1])
    _CHECKS[api](kind, content)
    said = {name: value for name, value in content.items() if value is not None}
    versions = history.model_versions(period.store.db, period.catalog)
    after = next((model for at, model in versions if at <= period.until), None)
    if after is not None and all(at != period.until for at, _ in versions):
        history.keep_model(period.store.db, period.catalog, period.until, after)
    for at, model in period.versions():
        held = [item for _, item in elements(model) if item.rid == rid]
        for element in [model] if rid is None else held:
            setattr(element, _ATTRIBUTES[api], said)
        history.keep_model(period.store.db, period.catalog, at, model)


def _check_acls(kind: type, content: Mapping[str, Any]) -> None:
    for name, members in content.items():
        if name not in SUPPORTED.get(kind, ()):
            raise conflict(f"There is no ACL {name[:80]!r} here.")
        if not isinstance(members, list | None):
            raise bad_request("An ACL is a list or null.")
    if kind not in SUPPORTED:
        raise conflict("The element has no ACLs.")


def _check_bindings(kind: type, content: Mapping[str, Any]) -> None:
    if kind not in BINDABLE:
        raise conflict("The element has no bindings.")
    for binding in content.values():
        if not isinstance(binding, dict) and binding is not False:
            raise bad_request("A binding must be an object, or false.")


def _check_annotations(kind: type, content: Mapping[str, Any]) -> None:
    if _CAPTURE in content:
        raise bad_request("Whether history is kept can't be amended.")


_CHECKS: dict[str, Callable[[type, Mapping[str, Any]], None]] = {
    "acl": _check_acls,
    "acl_binding": _check_bindings,
    "annotation": _check_annotations,
}


def find_column(period: Period, rid: str) -> tuple[TableDef, ColumnDef]:
    """Return a column that a catalog has or had, or refuse (404)."""
    table, column = find(period, rid)
    if table is None or not isinstance(column, ColumnDef):
        raise not_found(f"No column had the RID {rid[:80]!r}.")
    return table, column


def redact(period: Period, rid: str, condition: tuple[str, str] | None) -> None:
    """Take the values of a column out of the row versions of a period.

    `condition`: the RID of a column of the same table, and a value in JSON that it has
    in the versions that are meant.
    """
    table, column = find_column(period, rid)
    if column.name in _KEPT:
        raise conflict(f"The column {column.name} can't be redacted.")
    filters: dict[str, Any] = {}
    if condition is not None:
        other, key = find_column(period, condition[0])
        if other.rid != table.rid:
            raise conflict("The columns are not of one table.")
        try:
            filters[key.slot] = key.type.from_json(json.loads(condition[1]))
        except ValueError as error:
            raise bad_request("The value is no JSON.") from error
    since = table.columns["RMT"].slot
    history.redact(
        period.store.db,
        f"{table.slot}h",
        column.slot,
        filters,
        (since, period.since, period.until),
    )

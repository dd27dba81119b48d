"""Tables that tests make for themselves, in an empty catalog of the sandbox."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import ermpoll
from ermpoll.sandbox import demo

SYSTEM = {
    "RID": "ermrest_rid",
    "RCT": "ermrest_rct",
    "RMT": "ermrest_rmt",
    "RCB": "ermrest_rcb",
    "RMB": "ermrest_rmb",
}
#: A table with every column a queue can use.
JOB = {
    "name": "text",
    "state": "text",
    "owner": "text",
    "error": "text",
    "attempts": "int4",
    "retry_at": "timestamptz",
    "priority": "int4",
    "result": "text",
    "data": "jsonb",
    "tags": "text[]",
    "hold": "boolean",
}
OPTIONAL = {
    "owner": "owner",
    "error": "error",
    "attempts": "attempts",
    "retry_at": "retry_at",
}


def make_table(
    catalog: ermpoll.Catalog,
    columns: Mapping[str, str] = JOB,
    *,
    name: str = "Job",
    keys: Sequence[Sequence[str]] = (),
    required: Sequence[str] = (),
    references: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Make a table in schema Ops."""
    schemas = catalog.document("schema")["schemas"]
    made = [] if "Ops" in schemas else [{"schema_name": "Ops"}]
    types = {**SYSTEM, **columns}
    table = {
        "schema_name": "Ops",
        "table_name": name,
        "kind": "table",
        "column_definitions": [
            {
                "name": column,
                "type": _type(typename),
                "nullok": column not in (*list(SYSTEM)[:3], *required),
            }
            for column, typename in types.items()
        ],
        "keys": [{"unique_columns": list(key)} for key in (["RID"], *keys)],
        "foreign_keys": list(references),
    }
    catalog.post("schema", [*made, table])


def _type(typename: str) -> dict[str, Any]:
    if typename.endswith("[]"):
        base = {"typename": typename.removesuffix("[]")}
        return {"typename": typename, "is_array": True, "base_type": base}
    return {"typename": typename}


def add(catalog: ermpoll.Catalog, *rows: Mapping[str, Any], table: str = "Job") -> Any:
    """Insert rows and return their RIDs."""
    whole = [dict(row) for row in rows]
    page = catalog.post(f"entity/Ops:{table}", whole)
    return [str(row["RID"]) for row in page.rows]


def read(catalog: ermpoll.Catalog, rid: str, table: str = "Job") -> dict[str, Any]:
    """Read one row."""
    return _rows(catalog, f"Ops:{table}/RID={rid}")[0]


def states(
    catalog: ermpoll.Catalog, rids: Sequence[str], table: str = "Ops:Job"
) -> list[object]:
    """The states of these rows, in their order; of the demo's table as well."""
    column = demo.QUEUE["state"] if table == demo.TABLE else "state"
    rows = _rows(catalog, f"{table}/{';'.join(f'RID={rid}' for rid in rids)}")
    found = {row["RID"]: row[column] for row in rows}
    return [found[rid] for rid in rids]


def states_by_name(catalog: ermpoll.Catalog) -> dict[str, str]:
    """The state of each job, by the job's name."""
    rows = _rows(catalog, "Ops:Job")
    return {str(row["name"]): str(row["state"]) for row in rows}


def count_states(catalog: ermpoll.Catalog) -> dict[object, int]:
    """How many jobs are in each state."""
    return dict(Counter(row["state"] for row in _rows(catalog, "Ops:Job")))


def _rows(catalog: ermpoll.Catalog, which: str) -> list[dict[str, Any]]:
    page = catalog.get(f"entity/{which}")
    assert page is not None
    return page.rows


def edit(catalog: ermpoll.Catalog, rid: str, table: str = "Job", **values: Any) -> None:
    """Change a row as a person does: by its RID alone."""
    columns = ",".join(values)
    catalog.put(f"attributegroup/Ops:{table}/RID;{columns}", [{"RID": rid, **values}])


def queue(catalog: ermpoll.Catalog, **options: object) -> ermpoll.Queue:
    """Return a queue of the jobs with every optional column."""
    return ermpoll.Queue(catalog, "Ops:Job", **{**OPTIONAL, **options})

"""Catalogs: made, shown, deleted; the clients that came to them; old versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ermpoll.sandbox.errors import bad_request, conflict, forbidden
from ermpoll.sandbox.model import jsons
from ermpoll.sandbox.model.access import SUPPORTED
from ermpoll.sandbox.model.acls import Rights
from ermpoll.sandbox.model.clients import ANONYMOUS, Client
from ermpoll.sandbox.model.identifiers import encode
from ermpoll.sandbox.model.model import SYSTEM_COLUMNS, Model, TableDef
from ermpoll.sandbox.schema.create import Builder
from ermpoll.sandbox.schema.documents import catalog_doc
from ermpoll.sandbox.schema.reader import a_mapping
from ermpoll.sandbox.store import history
from ermpoll.sandbox.store.journal import Journal
from ermpoll.sandbox.store.store import CatalogState, Store
from ermpoll.sandbox.write.rows import Transaction

#: The tables of schema ``public`` in a new catalog: columns and their types.
_PUBLIC = {
    "ERMrest_Client": {
        "ID": "text",
        "Display_Name": "text",
        "Full_Name": "text",
        "Email": "text",
        "Client_Object": "jsonb",
    },
    "ERMrest_Group": {
        "ID": "text",
        "URL": "text",
        "Display_Name": "text",
        "Description": "text",
    },
    "ERMrest_RID_Lease": {"ID": "text"},
}
_CLOSED: dict[str, Any] = {
    "acls": {
        right: [] for right in ("insert", "update", "delete", "select", "enumerate")
    }
}
#: Who may do what with them, besides the owner.
_GUARDED: dict[str, dict[str, Any]] = {
    "ERMrest_Client": _CLOSED,
    "ERMrest_Group": _CLOSED,
    "ERMrest_RID_Lease": {
        "acls": {"update": [], "delete": [], "select": [], "enumerate": ["*"]},
        "acl_bindings": {
            "lessee_access": {
                "types": ["select", "update", "delete"],
                "projection": ["RCB"],
                "projection_type": "acl",
                "scope_acl": ["*"],
            }
        },
    },
}
_ABOUT = ("name", "description", "is_persistent", "clone_source")


def table_doc(
    name: str,
    columns: Mapping[str, str],
    *,
    keys: tuple[tuple[str, ...], ...] = (),
    required: tuple[str, ...] = (),
    comment: str | None = None,
) -> dict[str, Any]:
    """Return the document that makes a table: system columns, then `columns`."""
    system = [
        {"name": column, "type": {"typename": kind}, "nullok": column in ("RCB", "RMB")}
        for column, kind in SYSTEM_COLUMNS.items()
    ]
    own = [
        {"name": column, "type": {"typename": kind}, "nullok": column not in required}
        for column, kind in columns.items()
    ]
    return {
        "table_name": name,
        "comment": comment,
        "column_definitions": [*system, *own],
        "keys": [{"unique_columns": list(key)} for key in (("RID",), *keys)],
    }


def create(store: Store, doc: Any, client: Client) -> CatalogState:
    """Make a catalog with schema ``public``, owned by `client`.

    Raises
    ------
    HttpError
        401 without login, 409 for an id that is taken or an owner list without the
        caller, 400 for other things a document can't say.
    """
    doc = {} if doc is None else a_mapping(doc)
    if client == ANONYMOUS:
        raise forbidden("Making a catalog needs a login.", anonymous=True)
    name = a_catalog_id(doc.get("id") or free_id(store))
    if store.taken(name):
        raise conflict(f"The catalog {name[:80]!r} exists, or existed.")
    owners = doc.get("owner") or [client.id]
    if not isinstance(owners, list) or client.id not in owners:
        raise conflict("The owners must be a list with the caller in it.")
    model = Model(
        acls={acl: [] for acl in SUPPORTED[Model]} | {"owner": owners},
        annotations=dict(a_mapping(doc.get("annotations") or {})),
        about={key: doc[key] for key in _ABOUT if key in doc},
    )
    catalog = CatalogState(id=name, model=model, data_at=0, model_at=0)
    with store.remodelling(catalog, Journal(silent=True)) as model:
        builder = Builder(store=store, catalog=catalog, model=model, client=client)
        schema = builder.schema({"schema_name": "public"})
        for table, columns in _PUBLIC.items():
            is_lease = table == "ERMrest_RID_Lease"
            keys = (("RCB", "ID"),) if is_lease else (("ID",),)
            required = () if is_lease else ("ID", "Client_Object")
            doc = table_doc(table, columns, keys=keys, required=required)
            builder.table(schema, {**doc, **_GUARDED[table]})
        builder.finish()
    store.catalogs[name] = catalog
    return catalog


def a_catalog_id(name: Any) -> str:
    """Return the id of a catalog if it can be one, or refuse (400)."""
    if not isinstance(name, str) or not name or set(name) & set("/@ \0"):
        raise bad_request("The id of a catalog is a text without /, @ and blanks.")
    return name


def free_id(store: Store) -> str:
    """Return the next number that no catalog and no alias has."""
    number = 1
    while store.taken(str(number)):
        number += 1
    return str(number)


def shown(catalog: CatalogState, rights: Rights, at: int) -> dict[str, Any]:
    """Return the document of ``GET .../catalog/N``, as of a change."""
    return {
        "id": catalog.id,
        **catalog_doc(rights, snaptime=encode(at)),
        **catalog.model.about,
    }


def welcome(store: Store, catalog: CatalogState, client: Client) -> None:
    """Note a client and its groups at their first request, by a write of its own."""
    if client == ANONYMOUS or client in catalog.clients:
        return
    schema = catalog.model.schemas.get("public")
    tables = schema.tables if schema else {}
    notes = [
        (tables["ERMrest_Client"], _client_values(client))
        for _ in range("ERMrest_Client" in tables)
    ]
    if "ERMrest_Group" in tables:
        notes += [
            (tables["ERMrest_Group"], {"ID": group, "Display_Name": group})
            for group in sorted(client.groups)
        ]
    changed = [note for note in notes if not _is_noted(store, *note)]
    if changed:
        journal = Journal(silent=True)
        with store.writing(catalog, journal) as now:
            work = Transaction(
                store=store, catalog=catalog, journal=journal, now=now, who=client.id
            )
            for table, values in changed:
                _note(work, table, values)
    catalog.clients.add(client)


def _client_values(client: Client) -> dict[str, Any]:
    doc = {"id": client.id, "display_name": client.display_name}
    return {
        "ID": client.id,
        "Display_Name": client.display_name,
        "Full_Name": None,
        "Email": None,
        "Client_Object": jsons.json_text(doc),
    }


def _is_noted(store: Store, table: TableDef, values: Mapping[str, Any]) -> bool:
    known = {name: values[name] for name in values if name in table.columns}
    where = " AND ".join(f"{table.columns[name].slot} IS ?" for name in known)
    sql = f"SELECT 1 FROM {table.slot} WHERE {where}"
    found = store.db.execute(sql, list(known.values())).fetchone()
    return "ID" not in known or found is not None


def _note(work: Transaction, table: TableDef, values: Mapping[str, Any]) -> None:
    known = {name: values[name] for name in values if name in table.columns}
    found = work.select(table, [table.columns["ID"]], [values["ID"]])
    if found:
        work.update(table, found[0], known)
        return
    row = {
        name: work.system_value(name) if column.is_system else known.get(name)
        for name, column in table.columns.items()
    }
    work.insert(table, row)


def clamped(store: Store, catalog: CatalogState, at: int) -> int:
    """Return the last change at or before a time, or refuse (409) before the first."""
    found = history.last_change(store.db, catalog.id, at)
    if found is None:
        raise conflict("The catalog was not there yet, or its history was cut.")
    return found


def as_of(store: Store, catalog: CatalogState, at: int) -> CatalogState:
    """Return a catalog with the model it had at a time, which must be one of a change.

    Its versions are still those of now: ETags follow the live catalog.
    """
    return CatalogState(
        id=catalog.id,
        model=history.model_at(store.db, catalog.id, at),
        data_at=catalog.data_at,
        model_at=catalog.model_at,
        clients=catalog.clients,
    )

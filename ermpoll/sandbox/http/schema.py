"""Requests for the model: read it, add to it, change it, take from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ermpoll.sandbox.errors import HttpError, bad_request
from ermpoll.sandbox.http import preconditions, properties
from ermpoll.sandbox.http.messages import (
    Answer,
    Request,
    empty_answer,
    json_answer,
    text_answer,
)
from ermpoll.sandbox.model import acls, scalars
from ermpoll.sandbox.model.identifiers import encode
from ermpoll.sandbox.model.model import ForeignKey, TableDef
from ermpoll.sandbox.schema import alter, documents
from ermpoll.sandbox.schema.address import Place, locate
from ermpoll.sandbox.schema.create import Builder, a_list, a_mapping
from ermpoll.sandbox.store.journal import Journal
from ermpoll.sandbox.store.store import CatalogState, Store


def handle(
    store: Store, catalog: CatalogState, request: Request, tail: str, *, at: int | None
) -> Answer:
    """Answer a request for the model; `tail` is the raw address after the catalog."""
    if request.method == "GET":
        return _get(catalog, request, tail)
    if request.method not in ("POST", "PUT", "DELETE"):
        raise HttpError(405)
    acls.demand(catalog.model, request.client, "owner")
    if at is not None:
        raise HttpError(403, "A snapshot can't be changed.")
    preconditions.check(request.method, request.headers, _etag(request, catalog))
    doc = document(request)
    journal = Journal(
        method=request.method,
        path=request.path,
        who=request.client.id,
        etag_at=lambda now: preconditions.etag(request.client.roles, "*", now),
    )
    with store.remodelling(catalog, journal) as model:
        builder = Builder(store=store, catalog=catalog, model=model)
        creating = request.method == "POST"
        place = locate(model, tail, creating=creating)
        if place.prop is not None:
            answer = properties.change(request, place, doc)
        else:
            answer = _STEPS[request.method](builder, place, doc)
    headers = {**answer.headers, "ETag": _etag(request, catalog)}
    return replace(answer, headers=headers, changed=True)


def document(request: Request) -> Any:
    """Return the JSON of a body, or None for none; a comment is taken as its text."""
    if not request.body:
        return None
    path = request.path.partition("?")[0]
    if path.endswith("/comment"):
        return request.body.decode(errors="replace")
    try:
        return scalars.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise bad_request("The body is not JSON.") from error


def _etag(request: Request, catalog: CatalogState) -> str:
    return preconditions.etag(request.client.roles, "*", catalog.model_at)


def _get(catalog: CatalogState, request: Request, tail: str) -> Answer:
    acls.demand(catalog.model, request.client, "enumerate")
    place = locate(catalog.model, tail)
    headers = {"ETag": _etag(request, catalog)}
    owner = acls.is_owner(catalog.model, request.client)
    if place.prop is not None:
        answer = properties.shown(place, owner, request)
        answer = replace(answer, headers={**answer.headers, **headers})
    else:
        answer = json_answer(200, _doc(catalog, place, owner), headers)
    preconditions.check("GET", request.headers, headers["ETag"])
    return answer


def _doc(catalog: CatalogState, place: Place, owner: bool) -> Any:
    model, table = catalog.model, place.table
    if place.kind == "schemas":
        snaptime = encode(catalog.model_at)
        return documents.model_doc(model, owner, snaptime=snaptime)
    if place.kind == "schema" and place.schema:
        return documents.schema_doc(place.schema, owner)
    if place.kind == "tables" and place.schema:
        tables = place.schema.tables.values()
        return [documents.table_doc(item, owner) for item in tables]
    if table is None:
        raise HttpError(405)
    if place.kind == "table":
        return documents.table_doc(table, owner)
    docs = [element_doc(table, item, owner) for item in place.elements]
    if place.kind == "fkeys":
        return [[doc] for doc in docs] if place.whole else docs
    return docs if place.whole else docs[0]


def element_doc(table: TableDef, element: Any, owner: bool) -> Any:
    """Return the document of a column, key or foreign key."""
    if isinstance(element, ForeignKey):
        return documents.fkey_doc(table, element, owner)
    if hasattr(element, "typename"):
        return documents.column_doc(element, owner)
    return documents.key_doc(table, element)


# ---- adding


def _post(builder: Builder, place: Place, doc: Any) -> Answer:
    if place.kind == "schemas":
        return _post_many(builder, doc)
    if place.kind == "schema":
        builder.schema({"schema_name": place.key})
        return text_answer(201, "")
    if place.kind == "tables" and place.schema:
        doc = a_mapping(doc)
        made = builder.table(place.schema, doc)
        builder.add_fkeys(made, a_list(doc.get("foreign_keys")))
        return json_answer(201, documents.table_doc(made, True, fresh=True))
    if place.table is None or not place.whole:
        raise HttpError(405)
    return _post_part(builder, place, place.table, doc)


def _post_part(builder: Builder, place: Place, table: TableDef, doc: Any) -> Answer:
    if place.kind == "columns":
        column = builder.add_column(table, a_mapping(doc))
        return json_answer(201, documents.column_doc(column, True, fresh=True))
    if place.kind == "keys":
        key = builder.add_key(table, a_mapping(doc))
        return json_answer(201, [documents.key_doc(table, key)])
    fkeys = builder.add_fkeys(table, [doc])
    return json_answer(201, [documents.fkey_doc(table, item, True) for item in fkeys])


def _post_many(builder: Builder, doc: Any) -> Answer:
    """Make several schemas, tables and foreign keys; those links come last."""
    if isinstance(doc, dict):
        docs = a_mapping(doc.get("schemas"))
        schemas = [
            _schema(builder, {"schema_name": name, **a_mapping(item)})
            for name, item in docs.items()
        ]
        for name, item in docs.items():
            _links(builder, {"schema_name": name, **item})
        made = {item.name: documents.schema_doc(item, True) for item in schemas}
        return json_answer(201, {"schemas": made})
    items = [a_mapping(item) for item in a_list(doc)]
    answers = [_one(builder, item) for item in items]
    for item in items:
        _links(builder, item)
    return json_answer(201, [answer() for answer in answers if answer])


def _schema(builder: Builder, doc: Any) -> Any:
    schema = builder.schema(doc)
    for name, item in a_mapping(doc.get("tables") or {}).items():
        builder.table(schema, {"table_name": name, **a_mapping(item)})
    return schema


def _one(builder: Builder, doc: Any) -> Callable[[], Any] | None:
    """Make one schema or table; return what tells its document when all is made."""
    if "table_name" in doc:
        schema = builder.model.schema(str(doc.get("schema_name")))
        made = builder.table(schema, doc)
        return lambda: documents.table_doc(made, True)
    if "schema_name" in doc:
        whole = _schema(builder, doc)
        return lambda: documents.schema_doc(whole, True)
    if "foreign_key_columns" not in doc:
        raise bad_request("The document is no schema, table or foreign key.")
    return None


def _links(builder: Builder, doc: Any) -> None:
    for name, item in a_mapping(doc.get("tables") or {}).items():
        _links(
            builder, {"schema_name": doc.get("schema_name"), "table_name": name, **item}
        )
    if "table_name" in doc:
        table = builder.model.table(str(doc["schema_name"]), str(doc["table_name"]))
        builder.add_fkeys(table, a_list(doc.get("foreign_keys")))
    elif "foreign_key_columns" in doc:
        first = a_mapping((a_list(doc["foreign_key_columns"]) or [None])[0])
        table = builder.model.table(
            str(first.get("schema_name")), str(first.get("table_name"))
        )
        builder.add_fkeys(table, [doc])


# ---- changing and taking away


def _put(builder: Builder, place: Place, doc: Any) -> Answer:
    if place.whole or place.kind == "catalog":
        raise HttpError(405)
    alter.alter(builder, place, a_mapping(doc))
    if place.kind == "schema" and place.schema:
        return json_answer(200, documents.schema_doc(place.schema, True))
    if place.table is None:
        raise HttpError(405)
    if place.kind == "table":
        return json_answer(200, documents.table_doc(place.table, True))
    docs = [element_doc(place.table, item, True) for item in place.elements]
    return json_answer(200, docs[0])


def _delete(builder: Builder, place: Place, doc: Any) -> Answer:
    if place.whole or place.kind == "catalog":
        raise HttpError(405)
    alter.drop(builder, place)
    return empty_answer()


_STEPS = {"POST": _post, "PUT": _put, "DELETE": _delete}

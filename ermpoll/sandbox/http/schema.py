"""Requests for the model: read it, add to it, change it, take from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from ermpoll.sandbox.errors import HttpError, bad_request, not_found
from ermpoll.sandbox.http import preconditions, properties
from ermpoll.sandbox.http.call import Call
from ermpoll.sandbox.http.messages import (
    Answer,
    Request,
    empty_answer,
    json_answer,
    json_of,
    text_answer,
)
from ermpoll.sandbox.model.identifiers import encode, moment
from ermpoll.sandbox.schema import alter, documents
from ermpoll.sandbox.schema.address import Kind, Place, locate
from ermpoll.sandbox.schema.create import Builder
from ermpoll.sandbox.schema.reader import a_list, a_mapping
from ermpoll.sandbox.store.journal import Journal


def show(call: Call, names: Sequence[str]) -> Answer:
    """Answer a GET of the model, of an element, or of a property of one."""
    call.rights.demand_catalog("enumerate")
    etag = _etag(call)
    place = locate(call.rights, _path(call))
    if place.prop is not None:
        answer = properties.show(call.rights, place)
    else:
        answer = json_answer(200, _doc(call, place))
    preconditions.check("GET", call.request.headers, etag)
    return replace(answer, headers={**answer.headers, "ETag": etag})


def change(call: Call, names: Sequence[str]) -> Answer:
    """Answer a POST, PUT or DELETE of an element or of a property of one."""
    request = call.request
    call.rights.demand_catalog("enumerate")
    call.deny_snapshot()
    preconditions.check(request.method, request.headers, _etag(call))
    if request.is_probe:
        raise preconditions.Probed
    doc = document(request)
    journal = Journal(
        method=request.method,
        path=request.path,
        who=request.client.id,
        etag_at=lambda now: preconditions.etag(
            request.client.roles, "*", call.version(str(moment(now)))
        ),
    )
    with call.store.remodelling(call.catalog, journal) as model:
        builder = Builder(
            store=call.store,
            catalog=call.catalog,
            model=model,
            client=request.client,
        )
        place = locate(builder.rights, _path(call))
        if place.prop is not None:
            answer = properties.change(builder, request.method, place, doc)
        else:
            answer = _step(request.method, place)(builder, place, doc)
            builder.finish()
            alter.forget_broken_bindings(builder)
    headers = {**answer.headers, "ETag": _etag(call)}
    return replace(answer, headers=headers, changed=True)


def _path(call: Call) -> str:
    return call.tail.partition("?")[0]


def document(request: Request) -> Any:
    """Return the JSON of a body, or None for none; a comment is taken as its text."""
    if request.path.partition("?")[0].endswith("/comment"):
        return request.body.decode(errors="replace")
    return json_of(request)


def _etag(call: Call) -> str:
    version = call.version(str(moment(call.catalog.model_at)))
    return preconditions.etag(call.request.client.roles, "*", version)


def _doc(call: Call, place: Place) -> Any:
    if place.kind == "catalog":
        raise HttpError(405)
    if place.kind == "schemas":
        at = call.catalog.model_at if call.at is None else call.at
        doc = documents.model_doc(call.rights, snaptime=encode(at))
        doc.update(call.naming(catalog=False))
        return doc
    if place.kind in _CHANGED and place.kind != "reference" and not place.elements:
        raise not_found(f"There is no {place.kind} {place.name[:80]!r}.")
    docs = [
        documents.element_doc(call.rights, place.table, item) for item in place.elements
    ]
    if place.kind == "fkeys":
        return [[doc] for doc in docs]
    return docs[0] if place.kind in ("schema", "table", "column", "key") else docs


# ---- adding


def _post_schema(builder: Builder, place: Place, doc: Any) -> Answer:
    builder.schema({"schema_name": place.name})
    return text_answer(201, "")


def _post_table(builder: Builder, place: Place, doc: Any) -> Answer:
    assert place.schema is not None
    doc = a_mapping(doc)
    made = builder.table(place.schema, doc)
    builder.add_fkeys(made, a_list(doc.get("foreign_keys")))
    return json_answer(201, documents.table_doc(builder.rights, made, fresh=True))


def _post_column(builder: Builder, place: Place, doc: Any) -> Answer:
    assert place.table is not None
    column = builder.add_column(place.table, a_mapping(doc))
    told = documents.column_doc(builder.rights, place.table, column, fresh=True)
    return json_answer(201, told)


def _post_key(builder: Builder, place: Place, doc: Any) -> Answer:
    assert place.table is not None
    key = builder.add_key(place.table, a_mapping(doc))
    return json_answer(201, [documents.key_doc(place.table, key)])


def _post_fkey(builder: Builder, place: Place, doc: Any) -> Answer:
    table = place.table
    assert table is not None
    fkeys = builder.add_fkeys(table, [doc])
    rights = builder.rights
    return json_answer(201, [documents.fkey_doc(rights, table, i) for i in fkeys])


def _post_many(builder: Builder, place: Place, doc: Any) -> Answer:
    """Make several schemas, tables and foreign keys; those links come last."""
    if isinstance(doc, dict):
        docs = a_mapping(doc.get("schemas"))
        schemas = [
            _schema(builder, {"schema_name": name, **a_mapping(item)})
            for name, item in docs.items()
        ]
        for name, item in docs.items():
            _links(builder, {"schema_name": name, **item})
        made = {
            item.name: documents.schema_doc(builder.rights, item) for item in schemas
        }
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
        schema = builder.rights.seen_schema(str(doc.get("schema_name")))
        made = builder.table(schema, doc)
        return lambda: documents.table_doc(builder.rights, made)
    if "schema_name" in doc:
        whole = _schema(builder, doc)
        return lambda: documents.schema_doc(builder.rights, whole)
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
    doc = a_mapping(doc)
    if not place.elements:
        return _put_new(builder, place, doc)
    alter.alter(builder, place, doc)
    (element,) = place.elements[:1]
    return json_answer(200, documents.element_doc(builder.rights, place.table, element))


def _put_new(builder: Builder, place: Place, doc: Mapping[str, Any]) -> Answer:
    """Make what is not there yet, as a POST would, but with another status."""
    step, name = _MADE.get(place.kind, (None, ""))
    if step is None:
        raise HttpError(405)
    answer = step(builder, place, {name: place.name, **doc} if name else doc)
    return replace(answer, status=200)


def _delete(builder: Builder, place: Place, doc: Any) -> Answer:
    if not place.elements and place.kind not in ("reference", "references"):
        raise not_found(f"There is no {place.kind} {place.name[:80]!r}.")
    alter.drop(builder, place)
    return empty_answer()


_Step: TypeAlias = Callable[[Builder, Place, Any], Answer]
_POSTS: dict[Kind, _Step] = {
    "schemas": _post_many,
    "schema": _post_schema,
    "tables": _post_table,
    "columns": _post_column,
    "keys": _post_key,
    "fkeys": _post_fkey,
}
_CHANGED: tuple[Kind, ...] = ("schema", "table", "column", "key", "fkey", "reference")
_STEPS: dict[str, dict[Kind, _Step]] = {
    "POST": _POSTS,
    "PUT": dict.fromkeys(_CHANGED, _put),
    "DELETE": dict.fromkeys((*_CHANGED, "references"), _delete),
}
del _STEPS["PUT"]["fkey"], _STEPS["DELETE"]["fkey"]
#: What a PUT makes, and the member that has its name.
_MADE: dict[Kind, tuple[_Step, str]] = {
    "table": (_post_table, "table_name"),
    "column": (_post_column, "name"),
    "key": (_post_key, ""),
}


def _step(method: str, place: Place) -> _Step:
    try:
        return _STEPS[method][place.kind]
    except KeyError:
        raise HttpError(405) from None

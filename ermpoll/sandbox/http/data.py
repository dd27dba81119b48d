"""Requests for rows: entity, attribute, attributegroup, aggregate, entity_rid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol
from urllib.parse import quote, unquote

from ermpoll.sandbox.errors import bad_request, not_found
from ermpoll.sandbox.http import formats, preconditions
from ermpoll.sandbox.http.call import Call
from ermpoll.sandbox.http.messages import Answer, Request, empty_answer, json_answer
from ermpoll.sandbox.model import acls
from ermpoll.sandbox.model.identifiers import encode, moment, normalise
from ermpoll.sandbox.model.model import Model
from ermpoll.sandbox.query import select
from ermpoll.sandbox.query.parser import parse
from ermpoll.sandbox.query.syntax import DataQuery
from ermpoll.sandbox.store.journal import Journal
from ermpoll.sandbox.store.store import CatalogState, Store
from ermpoll.sandbox.write import insert, update
from ermpoll.sandbox.write.fields import Body, WrittenRows
from ermpoll.sandbox.write.rows import Transaction

_PREPARED = 2000


class PreparedWrite(Protocol):
    """A prepared write."""

    def run(self, work: Transaction, body: Body) -> WrittenRows:
        """Do it, inside a transaction."""


#: API and method to what prepares the write and the rights it needs.
_WRITES: dict[
    tuple[str, str],
    tuple[Callable[[DataQuery, Model], PreparedWrite], tuple[str, ...]],
] = {
    ("entity", "POST"): (insert.insert, ("insert",)),
    ("entity", "PUT"): (insert.upsert, ("insert", "update")),
    ("entity", "DELETE"): (update.delete, ("delete",)),
    ("attribute", "DELETE"): (update.delete, ("update",)),
    ("attributegroup", "PUT"): (update.update, ("update",)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An address that was understood, for as long as the model stays as it is."""

    query: DataQuery
    read: select.Read | None = None
    write: PreparedWrite | None = None


def read(call: Call, names: Sequence[str]) -> Answer:
    """Answer a GET of rows."""
    request = call.request
    acls.demand(call.model, request.client, "select")
    prepared = _prepared(call.catalog, "GET", call.tail, call.at)
    current = _checked_etag(call)
    assert prepared.read is not None
    return _read(call.store, request, prepared.query, prepared.read, current)


def write(call: Call, names: Sequence[str]) -> Answer:
    """Answer a PUT, POST or DELETE of rows."""
    request = call.request
    api = call.tail.partition("/")[0]
    for right in _WRITES[api, request.method][1]:
        acls.demand(call.model, request.client, right)
    call.deny_snapshot()
    prepared = _prepared(call.catalog, request.method, call.tail, None)
    _checked_etag(call)
    assert prepared.write is not None
    return _write(call.store, call.catalog, request, prepared.query, prepared.write)


def _checked_etag(call: Call) -> str:
    """Return the ETag of now, or refuse a request whose preconditions fail."""
    request = call.request
    current = _etag(request, call.catalog.changed_at)
    preconditions.check(request.method, request.headers, current, vary="accept")
    return current


def _prepared(
    catalog: CatalogState, method: str, tail: str, at: int | None
) -> Prepared:
    known: Prepared | None = catalog.prepared.get((method, tail))
    if known is not None:
        return known
    query = parse(tail)
    if method == "GET":
        known = Prepared(query=query, read=select.prepare(query, catalog.model, at=at))
    else:
        make = _WRITES[query.api, method][0]
        known = Prepared(query=query, write=make(query, catalog.model))
    if len(catalog.prepared) >= _PREPARED:
        catalog.prepared.clear()
    catalog.prepared[method, tail] = known
    return known


def _etag(request: Request, version: int) -> str:
    return preconditions.etag(request.client.roles, request.accept, version)


def headers_of(etag: str) -> dict[str, str]:
    """Return the headers of an answer about rows."""
    return {"ETag": etag, "Vary": "accept"}


def _read(
    store: Store, request: Request, query: DataQuery, read: select.Read, etag: str
) -> Answer:
    kind = formats.output_type(query.option("accept"), request.accept, formats.JSON)
    rows = read.run(store.db)
    types = [(output.name, output.type) for output in read.outputs]
    body = formats.write(
        kind, rows, types, get=True, json_arrays=query.option("arrays") == ("json",)
    )
    headers = {"Content-Type": kind, **headers_of(etag)}
    name = query.option("download")
    if name:
        file = f"{quote(name[0])}.{formats.suffix(kind)}"
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{file}"
    return Answer(status=200, body=body, headers=headers)


def _write(
    store: Store,
    catalog: CatalogState,
    request: Request,
    query: DataQuery,
    write: PreparedWrite,
) -> Answer:
    kind = formats.JSON
    body = formats.JsonBody(items=[])
    rows: Any = body
    if request.method != "DELETE":
        kind = formats.input_type(request.headers.get("Content-Type"))
        rows = formats.read(kind, request.body)
    journal = Journal(
        method=request.method,
        path=request.path,
        who=request.client.id,
        etag_at=lambda now: _etag(request, now),
    )
    with store.writing(catalog, journal) as now:
        work = Transaction(
            store=store,
            catalog=catalog,
            journal=journal,
            now=now,
            who=request.client.id,
        )
        written = write.run(work, rows)
        out = written.rows()
    headers = headers_of(_etag(request, now))
    if request.method == "DELETE":
        answer = empty_answer(headers)
    else:
        answer = _echo(request, query, kind, written, out, headers)
    return replace(answer, rows=len(journal.rows), changed=True)


def _echo(
    request: Request,
    query: DataQuery,
    kind: str,
    written: WrittenRows,
    rows: list[dict[str, Any]],
    headers: dict[str, str],
) -> Answer:
    kind = formats.output_type(query.option("accept"), request.accept, kind)
    types = [(item.name, item.type) for item in written.fields()]
    body = formats.write(kind, rows, types, get=False, json_arrays=False)
    return Answer(status=200, body=body, headers={"Content-Type": kind, **headers})


def find_rid(call: Call, names: Sequence[str]) -> Answer:
    """Answer ``entity_rid/RID``: which table has that row, or had it."""
    rid = unquote(names[0])
    acls.demand(call.model, call.request.client, "select")
    if not rid or "/" in rid:
        raise bad_request("A RID is needed.")
    etag = _checked_etag(call)
    doc = _found(call.store, call.model, normalise(rid))
    return json_answer(200, doc, headers_of(etag))


def _found(store: Store, model: Model, rid: str) -> dict[str, Any]:
    gone: tuple[int, dict[str, Any]] | None = None
    for table in model.tables():
        slot = table.columns["RID"].slot
        doc = {"RID": rid, "schema_name": table.schema, "table_name": table.name}
        if store.db.execute(
            f"SELECT 1 FROM {table.slot} WHERE {slot} = ?", (rid,)
        ).fetchone():
            return doc
        (until,) = store.db.execute(
            f"SELECT max(until) FROM {table.slot}h WHERE {slot} = ?", (rid,)
        ).fetchone()
        if until is not None:
            gone = until, doc
    if gone is None:
        raise not_found(f"There is no row {rid[:80]!r}.")
    until, doc = gone
    return {
        **doc,
        "deleted_at": moment(until).isoformat(),
        "last_visible_at": moment(until - 1).isoformat(),
        "last_visible_snaptime": encode(until - 1),
    }

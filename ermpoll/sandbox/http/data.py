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
from ermpoll.sandbox.model.acls import Rights
from ermpoll.sandbox.model.identifiers import encode, moment, normalise
from ermpoll.sandbox.model.model import TableDef
from ermpoll.sandbox.query import select
from ermpoll.sandbox.query.parser import parse
from ermpoll.sandbox.query.syntax import DataQuery
from ermpoll.sandbox.store import history
from ermpoll.sandbox.store.journal import Journal
from ermpoll.sandbox.store.store import Store
from ermpoll.sandbox.write import insert, update
from ermpoll.sandbox.write.fields import Body, WrittenRows
from ermpoll.sandbox.write.rows import Transaction

_PREPARED = 2000


class PreparedWrite(Protocol):
    """A prepared write."""

    @property
    def table(self) -> TableDef:
        """Where it goes."""

    def run(self, work: Transaction, body: Body) -> WrittenRows:
        """Do it, inside a transaction."""


#: API and method to what prepares the write.
_WRITES: dict[tuple[str, str], Callable[[DataQuery, Rights], PreparedWrite]] = {
    ("entity", "POST"): insert.insert,
    ("entity", "PUT"): insert.upsert,
    ("entity", "DELETE"): update.delete,
    ("attribute", "DELETE"): update.delete,
    ("attributegroup", "PUT"): update.update,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An address that was understood, for as long as the model stays as it is."""

    query: DataQuery
    read: select.Read | None = None
    write: PreparedWrite | None = None


def read(call: Call, names: Sequence[str]) -> Answer:
    """Answer a GET of rows."""
    call.rights.demand_catalog("enumerate")
    prepared = _prepared(call)
    current = _checked_etag(call)
    assert prepared.read is not None
    return _read(call.store, call.request, prepared.query, prepared.read, current)


def write(call: Call, names: Sequence[str]) -> Answer:
    """Answer a PUT, POST or DELETE of rows."""
    call.rights.demand_catalog("enumerate")
    call.deny_snapshot()
    prepared = _prepared(call)
    _checked_etag(call)
    assert prepared.write is not None
    if call.request.is_probe:
        raise preconditions.Probed(len(prepared.write.table.columns))
    return _write(call, prepared.query, prepared.write)


def _checked_etag(call: Call) -> str:
    """Return the ETag of now, or refuse a request whose preconditions fail."""
    request = call.request
    current = _etag(call, call.catalog.changed_at)
    preconditions.check(request.method, request.headers, current, vary="accept")
    return current


def _prepared(call: Call) -> Prepared:
    """Return what an address means to a client, read once while the model holds."""
    known, method = call.catalog.prepared, call.request.method
    key = method, call.tail, call.request.client
    if key not in known:
        query = parse(call.tail)
        rights = call.rights
        if len(known) >= _PREPARED:
            known.clear()
        if method == "GET":
            plan = select.prepare(query, rights, at=call.at)
            known[key] = Prepared(query=query, read=plan)
        else:
            make = _WRITES[query.api, method]
            known[key] = Prepared(query=query, write=make(query, rights))
    prepared: Prepared = known[key]
    return prepared


def _etag(call: Call, at: int) -> str:
    request, version = call.request, call.version(str(moment(at)))
    return preconditions.etag(request.client.roles, request.accept, version)


def headers_of(etag: str) -> dict[str, str]:
    """Return the headers of an answer about rows."""
    return {"ETag": etag, "Vary": "accept"}


def _read(
    store: Store, request: Request, query: DataQuery, read: select.Read, etag: str
) -> Answer:
    kind = formats.output_type(query.option("accept"), request.accept, formats.JSON)
    rows = read.run(store.db, for_csv=kind == formats.CSV)
    types = [(output.name, output.type) for output in read.outputs]
    body = formats.write(
        kind, rows, types, get=True, json_arrays=query.option("arrays") == ("json",)
    )
    headers = {"Content-Type": kind, **headers_of(etag)}
    name = query.option("download")
    if name:
        file = f"{quote(name[0], safe='')}.{formats.suffix(kind)}"
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{file}"
    return Answer(
        status=200, body=body, headers=headers, rows=len(rows), columns=len(types)
    )


def _write(call: Call, query: DataQuery, write: PreparedWrite) -> Answer:
    store, catalog, request = call.store, call.catalog, call.request
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
        etag_at=lambda now: _etag(call, now),
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
    headers = headers_of(_etag(call, now))
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
    call.rights.demand_catalog("enumerate")
    rid = unquote(names[0])
    if not rid or "/" in rid:
        raise bad_request("A RID is needed.")
    etag = _checked_etag(call)
    doc = _found(call, normalise(rid))
    return json_answer(200, doc, headers_of(etag))


def find_text(call: Call, names: Sequence[str]) -> Answer:
    """Answer ``textfacet/PATTERN``: nothing, as where no column is set up for it."""
    call.rights.demand_catalog("enumerate")
    return json_answer(200, [], headers_of(_checked_etag(call)))


def _found(call: Call, rid: str) -> dict[str, Any]:
    """Return which table has a row at the time that is asked for, or had it before."""
    db, catalog = call.store.db, call.catalog
    at = catalog.changed_at if call.at is None else call.at
    found = history.whereabouts(db, catalog.id, rid, at)
    if found is None:
        raise not_found(f"There is no row {rid[:80]!r}.")
    table, until = found
    doc = {"RID": rid, "schema_name": table.schema, "table_name": table.name}
    if until is None:
        return doc
    last = history.last_change(db, catalog.id, until - 1) or until - 1
    return {
        **doc,
        "deleted_at": moment(until).isoformat(),
        "last_visible_at": moment(last).isoformat(),
        "last_visible_snaptime": encode(last),
    }

"""No request, however odd, gets a 5xx or stops the server."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.lark import from_lark
from lark import Lark

from ermpoll.sandbox import Box, demo
from ermpoll.sandbox.http.messages import Request
from ermpoll.sandbox.http.routes import Service
from ermpoll.sandbox.model import clients
from ermpoll.sandbox.model.clients import Logins
from ermpoll.sandbox.schema import catalogs
from ermpoll.sandbox.store.store import Store
from tests.helpers.sandbox_client import Client, closing

# 2,000 examples take as long as the machine needs for them
pytestmark = pytest.mark.timeout(300)

#: Enough to meet each rule of the grammar; the long run goes further.
_EXAMPLES = 2000 if "long" in os.environ.get("ERMPOLL_REQUIRE", "") else 80
_WORDS = [
    *("Image", "Imaging", "Dataset", "Subject", "A", "B", "RID", "RMT", "Bytes"),
    *("Processing_Status", "Metadata", "Tags", "Acquired", "Priority", "Released"),
    *("cnt", "cnt_d", "min", "array", "bin", "any", "all", "left", "limit", "*"),
    *("1", "-1", "0", "1e9", "true", "2026-01-01", "new", "%7B%7D", "%5B%5D"),
    *("%00", "%ff", "%27%3B--", "%22", "none", "csv", "accept", "defaults", "%28"),
]
_GRAMMAR = Lark(
    files("ermpoll.sandbox.query").joinpath("grammar.lark").read_text(encoding="utf-8"),
    parser="lalr",
)
_ADDRESSES = from_lark(
    _GRAMMAR,
    start="start",
    explicit={
        "NAME": st.sampled_from(_WORDS),
        "OUTER": st.sampled_from(["left", "right", "full"]),
        "OPERATOR": st.sampled_from(
            ["::null::", "::gt::", "::leq::", "::regexp::", "::desc::", "::x::"]
        ),
    },
)
#: Of names that are there, so that most of what is made gets as far as the rows.
_COLUMNS = st.sampled_from(
    [
        *("RID", "RMT", "RCB", "File_Name", "Bytes", "Acquired", "Metadata", "Tags"),
        *("Priority", "Processing_Status", "Retry_At", "Dataset", "*"),
    ]
)
_VALUES = st.sampled_from(
    [
        *("", "new", "1", "-5", "1.5", "2026-01-01", "2026-01-01T00%3A00%3A00%2B01"),
        *("%7B%22a%22%3A1%7D", "%5B1%2Cnull%5D", "%5E.*%24", "true", "VG", "%00"),
    ]
)
_OPERANDS = st.one_of(
    _VALUES,
    st.tuples(st.sampled_from(["any", "all"]), st.lists(_VALUES, max_size=3)).map(
        lambda pair: f"{pair[0]}({','.join(pair[1])})"
    ),
)
_OPERATORS = st.sampled_from(
    ["=", "::lt::", "::geq::", "::gt::", "::regexp::", "::ciregexp::"]
)
_PREDICATES = st.recursive(
    st.tuples(_COLUMNS, _OPERATORS, _OPERANDS).map("".join)
    | _COLUMNS.map("{}::null::".format),
    lambda inner: (
        st.tuples(inner, st.sampled_from("&;"), inner).map(
            lambda parts: f"({''.join(parts)})"
        )
        | inner.map("!({})".format)
    ),
    max_leaves=4,
)
_ELEMENTS = _PREDICATES | st.sampled_from(
    [
        *("D:=Imaging:Dataset", "$I", "$D", "Imaging:Image", "(Dataset)", "(Subject)"),
        *("left(RID)=(Imaging:Image:Dataset)", "(Imaging:Image:Dataset)", "I:RID=VG"),
        *("F:=full(Subject)=(Imaging:Subject:RID)", "(Modality)", "!(I:RID=VG)"),
    ]
)
_CALLS = st.tuples(
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(["cnt", "cnt_d", "min", "max", "sum", "avg", "array", "array_d"]),
    _COLUMNS,
).map(lambda call: f"{call[0]}:={call[1]}({call[2]})")
_BINS = st.tuples(_COLUMNS, st.sampled_from(["3;0;9", "1;2025-01-01;2027-01-01"])).map(
    lambda bin: f"b:=bin({bin[0]};{bin[1]})"
)
_LISTS = st.lists(_COLUMNS | _BINS, min_size=1, max_size=3, unique=True).map(",".join)
_TAILS = st.sampled_from(
    [
        *("", "@sort(RID)", "@sort(RID::desc::,Bytes)?limit=3", "?limit=0"),
        *("@sort(Bytes,RID)@after(::null::,VG)", "@sort(Tags)@before(x)?limit=2"),
        *("@sort(a)", "@sort(b::desc::)@after(1)", "@sort(Metadata)@after(%7B%7D)"),
        *("?accept=csv", "@sort(Acquired)@before(2026-01-01)?limit=1", "?accept=json"),
    ]
)
_SOUND = st.tuples(
    st.sampled_from(["entity", "attribute", "attributegroup", "aggregate"]),
    st.lists(_ELEMENTS, max_size=4),
    _LISTS,
    st.lists(_CALLS, min_size=1, max_size=2).map(",".join),
    _TAILS,
).map(
    lambda parts: (
        "/".join([parts[0], "I:=Imaging:Image", *parts[1]])
        + {
            "entity": "",
            "attribute": f"/{parts[2]}",
            "attributegroup": f"/{parts[2]};{parts[3]}",
            "aggregate": f"/{parts[3]}",
        }[parts[0]]
        + parts[4]
    )
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(_WORDS) | st.text(max_size=4), inner, max_size=4
        )
    ),
    max_leaves=12,
)
_BODIES = _JSON.map(json.dumps).map(str.encode) | st.binary(max_size=60)
_METHODS = st.sampled_from(["GET", "PUT", "POST", "DELETE"])
_KINDS = st.sampled_from(["application/json", "text/csv", "application/x-json-stream"])


class Fuzzed:
    """A service without sockets, whose demo is made anew when it was dropped."""

    def __init__(self) -> None:
        self.store = Store()
        self.service = Service(self.store, Logins())
        demo.make(self.store)

    def status(
        self,
        method: str,
        path: str,
        body: bytes,
        kind: str,
        client: clients.Client | None = None,
    ) -> int:
        headers = {"Accept": "*/*", "Content-Type": kind}
        request = Request(method=method, path=path, headers=headers, body=body)
        status = self.service.answer(request, client).status
        assert not self.store.db.in_transaction
        if method == "DELETE" and status == 204:
            self.store.clear()
            demo.make(self.store)
        return status


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[Fuzzed]:
    fuzzed = Fuzzed()
    yield fuzzed
    fuzzed.store.close()


@settings(max_examples=_EXAMPLES, deadline=None)
@given(address=_ADDRESSES | _SOUND | _SOUND, method=_METHODS, body=_BODIES, kind=_KINDS)
def test_no_address_of_the_grammar_gets_a_5xx(
    fuzzed: Fuzzed, address: str, method: str, body: bytes, kind: str
) -> None:
    path = f"/ermrest/catalog/1/{address}"

    assert fuzzed.status(method, path, body, kind) < 500


@settings(max_examples=_EXAMPLES // 5, deadline=None)
@given(rows=st.lists(st.dictionaries(st.sampled_from(_WORDS), _JSON), max_size=3))
def test_no_body_gets_a_5xx(fuzzed: Fuzzed, rows: list[dict[str, Any]]) -> None:
    body = json.dumps(rows).encode()

    for method, path in (
        ("POST", "entity/Imaging:Image"),
        ("PUT", "entity/Imaging:Image"),
        ("PUT", "attributegroup/Imaging:Image/RID,Tags;Metadata,Acquired,Bytes"),
        ("POST", "schema"),
        ("POST", "schema/Imaging/table"),
        ("POST", "schema/Imaging/table/Image/column"),
        ("POST", "schema/Imaging/table/Image/foreignkey"),
        ("PUT", "acl"),
    ):
        address = f"/ermrest/catalog/1/{path}"
        first = json.dumps(rows[0] if rows else None).encode()
        for sent in (body, first):
            assert fuzzed.status(method, address, sent, "application/json") < 500


_DOCS = st.fixed_dictionaries(
    {},
    optional={
        "schema_name": st.sampled_from(["Imaging", "New", "", 5]),
        "table_name": st.sampled_from(["Image", "New", None]),
        "kind": st.sampled_from(["table", "view"]),
        "comment": st.none() | st.text(max_size=3) | st.integers(),
        "annotations": _JSON,
        "acls": _JSON,
        "name": st.sampled_from(["RID", "Bytes", "x" * 70, "\ud800", ""]),
        "type": _JSON | st.just({"typename": "int4"}) | st.just({"typename": "x[][]"}),
        "nullok": st.sampled_from([True, False, None, 1, "x"]),
        "default": _JSON,
        "column_definitions": _JSON,
        "keys": _JSON,
        "unique_columns": st.lists(st.sampled_from(["RID", "Bytes", "x", 1])),
        "names": _JSON,
        "foreign_key_columns": _JSON
        | st.just([{"table_name": "Image", "column_name": "Bytes"}]),
        "referenced_columns": _JSON
        | st.just([{"table_name": "Dataset", "column_name": "RID"}]),
        "foreign_keys": _JSON,
        "tables": _JSON,
        "schemas": _JSON,
        "on_delete": st.sampled_from(["CASCADE", "no", 3, []]),
        "owner": _JSON,
        "id": _JSON,
    },
)
_MODEL_PARTS = st.sampled_from(
    [
        *("schema", "Imaging", "table", "Image", "column", "key", "foreignkey"),
        *("Bytes", "RID", "annotation", "acl", "acl_binding", "comment", "x", ""),
        *("reference", "Imaging:Dataset", "Dataset", "%ff", "%2F", "select"),
    ]
)
_MODEL_PATHS = st.lists(_MODEL_PARTS, max_size=8).map("/".join) | st.tuples(
    st.just("schema/Imaging/table/Image/"), st.lists(_MODEL_PARTS, max_size=4)
).map(lambda pair: pair[0] + "/".join(pair[1]))


@settings(max_examples=_EXAMPLES, deadline=None)
@given(path=_MODEL_PATHS, method=_METHODS, doc=_DOCS | _JSON)
def test_no_model_request_gets_a_5xx(
    fuzzed: Fuzzed, path: str, method: str, doc: Any
) -> None:
    body = json.dumps(doc).encode()

    for address in (f"/ermrest/catalog/1/{path}", "/ermrest/catalog"):
        assert fuzzed.status(method, address, body, "application/json") < 500


_STEPS = st.fixed_dictionaries(
    {},
    optional={
        "inbound": _JSON | st.just(["Imaging", "Image_Dataset_fkey"]),
        "outbound": _JSON | st.just(["Imaging", "Image_Dataset_fkey"]),
        "context": _JSON | st.just("base"),
        "alias": _JSON | st.just("A"),
        "and": _JSON | st.just([{"filter": "Bytes", "operand": 1}]),
        "or": _JSON,
        "filter": _JSON | st.sampled_from(["Bytes", ["base", "Tags"], [None, "RID"]]),
        "operand": _JSON,
        "operator": _JSON | st.sampled_from(["=", "lt", "null", "regexp", "ts"]),
        "negate": _JSON,
    },
)
_BINDINGS = st.fixed_dictionaries(
    {},
    optional={
        "types": _JSON | st.sampled_from([["select"], ["owner", "update"], ["insert"]]),
        "projection": _JSON
        | st.sampled_from(["Tags", "Bytes", ["RCB"]])
        | st.lists(_STEPS | _JSON, max_size=3).map(lambda steps: [*steps, "RID"]),
        "projection_type": _JSON | st.sampled_from(["acl", "nonnull"]),
        "scope_acl": _JSON | st.just(["*"]),
        "comment": _JSON,
    },
)
_BOUND = st.sampled_from(
    [
        "",
        "/column/Tags",
        "/column/RID",
        "/foreignkey/Dataset/reference/Imaging:Dataset/RID",
    ]
)


@settings(max_examples=_EXAMPLES, deadline=None)
@given(place=_BOUND, binding=_BINDINGS | _JSON, key=st.sampled_from(["", "/mine"]))
def test_no_binding_gets_a_5xx_and_none_that_is_taken_breaks_reading(
    fuzzed: Fuzzed, place: str, binding: Any, key: str
) -> None:
    address = f"/ermrest/catalog/1/schema/Imaging/table/Image{place}/acl_binding{key}"
    body = json.dumps(binding if key else {"mine": binding}).encode()

    assert fuzzed.status("PUT", address, body, "application/json") < 500
    rows = "/ermrest/catalog/1/entity/Imaging:Image?limit=1"
    assert fuzzed.status("GET", rows, b"", "", clients.Client("guest")) in (200, 403)


_HEADERS = st.dictionaries(
    st.sampled_from(
        [
            *("If-Match", "If-None-Match", "Accept", "Cookie", "Authorization"),
            *("Content-Type", "Content-Length", "Transfer-Encoding", "Expect"),
        ]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(
    line=st.sampled_from([b"GET", b"PUT", b"FROB", b""]),
    target=st.binary(max_size=30),
    headers=_HEADERS,
    body=st.binary(max_size=50),
)
def test_raw_bytes_never_stop_the_server(
    shared_box: Box, line: bytes, target: bytes, headers: dict[str, str], body: bytes
) -> None:
    place = urlsplit(shared_box.url)
    fields = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
    data = line + b" /" + target + b" HTTP/1.1\r\n" + fields.encode() + b"\r\n" + body

    with socket.create_connection((place.hostname or "", place.port or 0)) as raw:
        raw.sendall(data)
        raw.shutdown(socket.SHUT_WR)
        answer = raw.makefile("rb").read()

    assert not answer or b" 5" not in answer.splitlines()[0][8:10]
    with closing(Client(shared_box.url)) as client:
        assert client.get("/").status == 200


_INJECTIONS = [
    "'; DROP TABLE t1; --",
    '"; DROP TABLE t1; --',
    "x' OR '1'='1",
    '" OR 1=1 --',
    "?1",
    "i0.c1",
    "a\\'b",
    "%s%n",
]


@pytest.mark.parametrize("text", _INJECTIONS)
def test_sql_in_names_and_values_is_only_text(client: Client, text: str) -> None:
    name = quote(text, safe="")
    client.table("Plain", {"v": "text"})
    client.post("/entity/Plain", [{"v": "other"}])
    doc = catalogs.table_doc(text, {text: "text"}, keys=((text,),))

    assert client.post("/schema/Ops/table", doc).status == 201
    assert client.post(f"/entity/{name}", [{text: text}]).status == 200

    for path in (
        f"entity/{name}/{name}={name}@sort({name})",
        f"attribute/{name}/{name}@sort({name})@before({name}z)?limit=5",
        f"attribute/X:={name}/{name}:={name}",
        f"attributegroup/{name}/{name};no:=cnt({name})",
        f"entity/{name}/{name}=any({name},b)?limit=1",
    ):
        rows = client.rows(f"/{path}")
        assert [row[text] for row in rows] == [text], path
    assert client.rows(f"/entity/Plain/v={name}") == []
    assert client.get(f"/entity/Plain?limit={name}").status == 400
    assert client.get(f"/entity/Plain@sort({name})").status == 409
    assert len(client.rows("/entity/Plain")) == 1

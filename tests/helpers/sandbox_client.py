"""A client that sends what it is given, byte for byte, and shows the whole answer."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ermpoll.sandbox.schema import catalogs


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def etag(self) -> str:
        return self.headers["etag"]


class Client:
    """One keep-alive connection to a catalog."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        place = urlsplit(url)
        self.root = place.path
        self.headers = {"Accept": "*/*", **(headers or {})}
        self.connection = http.client.HTTPConnection(
            place.hostname or "", place.port, timeout=20
        )

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request; `path` from ``/`` on is below the catalog."""
        data = body if isinstance(body, str | bytes | None) else json.dumps(body)
        if isinstance(data, str):
            data = data.encode()
        sent = {**self.headers, **(headers or {})}
        if data is not None and not any(
            name.lower() == "content-type" for name in sent
        ):
            sent["Content-Type"] = "application/json"
        self.connection.request(method, self.root + path, data, sent)
        response = self.connection.getresponse()
        return Answer(
            status=response.status,
            headers={name.lower(): value for name, value in response.getheaders()},
            text=response.read().decode(),
        )

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, headers=_dashed(headers))

    def put(self, path: str, body: Any, **headers: str) -> Answer:
        return self.send("PUT", path, body, _dashed(headers))

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.send("POST", path, body, _dashed(headers))

    def delete(self, path: str, **headers: str) -> Answer:
        return self.send("DELETE", path, headers=_dashed(headers))

    def rows(self, path: str) -> list[dict[str, Any]]:
        """Return the rows of a GET that must succeed."""
        answer = self.get(path)
        assert answer.status == 200, answer
        return list(answer.json)

    def table(
        self,
        name: str,
        columns: Mapping[str, str],
        *,
        keys: tuple[tuple[str, ...], ...] = (),
        required: tuple[str, ...] = (),
        fkeys: tuple[Mapping[str, Any], ...] = (),
    ) -> None:
        """Make table ``Ops:name``, and schema ``Ops`` if it is not there."""
        self.post("/schema/Ops")
        doc = catalogs.table_doc(name, columns, keys=keys, required=required)
        answer = self.post("/schema/Ops/table", {**doc, "foreign_keys": list(fkeys)})
        assert answer.status == 201, answer


def fkey(table: str, column: str, target: str, key: str, **more: str) -> dict[str, Any]:
    """Return the document of a foreign key between tables of schema ``Ops``."""
    place = {"schema_name": "Ops"}
    return {
        "foreign_key_columns": [{**place, "table_name": table, "column_name": column}],
        "referenced_columns": [{**place, "table_name": target, "column_name": key}],
        **more,
    }


def _dashed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@contextmanager
def closing(client: Client) -> Iterator[Client]:
    try:
        yield client
    finally:
        client.connection.close()

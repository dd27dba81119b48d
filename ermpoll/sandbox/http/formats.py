"""JSON, JSON streams and CSV: rows of bodies coming in, rows of answers going out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from ermpoll.sandbox.errors import HttpError, bad_request, conflict
from ermpoll.sandbox.model import jsons, scalars
from ermpoll.sandbox.model.types import Type
from ermpoll.sandbox.store.journal import Image
from ermpoll.sandbox.write.fields import Field

JSON = "application/json"
STREAM = "application/x-json-stream"
CSV = "text/csv"
_SUPPORTED = (JSON, STREAM, CSV)
_SHORT = {"csv": CSV, "json": JSON}
# json.dumps would make an encoder for every row.
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode
_FIELD = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|\r|$)')


def input_type(header: str | None) -> str:
    """Return the type of a body from its Content-Type, or refuse (415)."""
    kind = (header or JSON).split(";")[0].strip().lower()
    if kind not in _SUPPORTED:
        raise HttpError(
            415, f"The type {kind[:80]} is not one of {', '.join(_SUPPORTED)}."
        )
    return kind


@lru_cache(maxsize=64)
def output_type(option: tuple[str, ...] | None, accept: str, default: str) -> str:
    """Return the type to answer with: option, else Accept header, else default.

    As on the real service, q-values sort ascending: the least preferred of the types
    that are supported wins.
    """
    wanted = _SHORT.get(option[0], option[0]) if option else None
    if wanted in _SUPPORTED:
        return wanted
    choices = []
    for item in accept.split(","):
        kind, *parameters = (part.strip() for part in item.split(";"))
        quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        if kind.lower() in _SUPPORTED:
            choices.append((_number(quality), kind.lower()))
    return min(choices, key=lambda choice: choice[0])[1] if choices else default


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 1.0


def suffix(kind: str) -> str:
    """Return the ending of a file of that type."""
    return "csv" if kind == CSV else "json"


def error_type(accept: str) -> str:
    """Return the type that error texts go out as."""
    return "text/html" if "text/html" in accept else "text/plain"


# ---- going out


def write(
    kind: str,
    rows: list[dict[str, Any]],
    types: Sequence[tuple[str, Type]],
    *,
    get: bool,
    json_arrays: bool,
) -> bytes:
    """Return the body of an answer.

    Parameters
    ----------
    get
        True for GET: CSV in PostgreSQL's form, with a header also over no rows.
    json_arrays
        True: arrays in CSV are JSON.
    """
    if kind == CSV:
        return _csv(rows, types, get, json_arrays).encode()
    texts = [_ENCODE(row) for row in rows]
    if kind == STREAM:
        return "".join(f"{text}\n" for text in texts).encode()
    return ("[" + ",\n ".join(texts) + "]\n").encode()


def _csv(
    rows: Sequence[dict[str, Any]],
    types: Sequence[tuple[str, Type]],
    get: bool,
    json_arrays: bool,
) -> str:
    if not rows and not get:
        return ""
    form = partial(_copied, json_arrays) if get else _python
    lines = [",".join(_quoted(name) for name, _ in types)]
    for row in rows:
        lines.append(",".join(form(row.get(name), kind) for name, kind in types))
    return "".join(f"{line}\n" for line in lines)


def _quoted(text: str) -> str:
    if re.search(r'[",\r\n]', text) or text == "\\.":
        return '"' + text.replace('"', '""') + '"'
    return text


def _copied(json_arrays: bool, value: Any, kind: Type) -> str:
    """Return PostgreSQL's COPY text of a JSON value: NULL is empty, '' is quoted."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "t" if value else "f"
    if kind.array and not json_arrays:
        return _quoted(scalars.array_text(value))
    if kind.array:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return _quoted(text)
    if kind.is_json:
        return _quoted(str(value))
    if kind.scalar in ("timestamptz", "timestamp"):
        text = str(value).replace("T", " ")
        return text.removesuffix(":00") if "+" in text else text
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return '""' if value == "" else _quoted(str(value))


def _python(value: Any, kind: Type) -> str:
    """Return Python's text of a JSON value, as answers to writes have it."""
    if value is None:
        return ""
    if kind.scalar in ("timestamptz", "timestamp"):
        return str(value).replace("T", " ")
    return _quoted(str(value))


# ---- coming in


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonBody:
    """The rows of a JSON body."""

    items: list[dict[str, Any]]

    def kept(self, fields: Sequence[Field], others: Iterable[str]) -> list[Image]:
        """Return what is kept for each row; unknown names are passed over."""
        return [
            {
                item.name: item.type.from_json(row[item.name])
                if item.name in row
                else item.absent
                for item in fields
            }
            for row in self.items
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvBody:
    """The rows of a CSV body; None stands for an empty field without quotes."""

    head: list[str]
    items: list[dict[str, str | None]]

    def kept(self, fields: Sequence[Field], others: Iterable[str]) -> list[Image]:
        """Return what is kept for each row, or refuse.

        Unknown columns get a 409, missing ones a 400.
        """
        names = [item.name for item in fields]
        known = {*names, *others}
        for name in self.head:
            if name not in known:
                raise conflict(f"There is no column {name[:80]!r}.")
        for name in names:
            if name not in self.head:
                raise bad_request(f"The column {name!r} is missing in the CSV.")
        return [
            {item.name: item.type.from_csv(row[item.name]) for item in fields}
            for row in self.items
        ]


def read(kind: str, body: bytes) -> JsonBody | CsvBody:
    """Return the rows of a body of that type, or refuse (400)."""
    try:
        if kind == CSV:
            return _read_csv(body.decode())
        if kind == STREAM:
            items = [jsons.loads(line) for line in body.splitlines() if line.strip()]
        else:
            items = jsons.loads(body)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"The body is not {kind}.") from error
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise bad_request("The body must be an array of objects.")
    return JsonBody(items=items)


def _read_csv(text: str) -> CsvBody:
    lines = list(_csv_lines(text))
    if not lines:
        raise bad_request("The CSV has no header.")
    head = [field or "" for field in lines[0]]
    if len(set(head)) != len(head):
        raise bad_request("A column stands twice in the CSV.")
    for line in lines[1:]:
        if len(line) != len(head):
            raise bad_request("A line of the CSV has another number of fields.")
    return CsvBody(
        head=head, items=[dict(zip(head, line, strict=True)) for line in lines[1:]]
    )


def _csv_lines(text: str) -> Iterator[list[str | None]]:
    """Yield the fields of each line; Python's csv does not tell '' from nothing."""
    at, line = 0, list[str | None]()
    while at < len(text):
        found = _FIELD.match(text, at)
        if found is None:
            raise bad_request("The CSV has a stray quote.")
        quoted, bare, end = found.groups()
        line.append(bare or None if quoted is None else quoted.replace('""', '"'))
        at = found.end()
        if end != ",":
            yield line
            line = []
        elif at == len(text):
            yield [*line, None]

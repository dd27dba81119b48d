"""Plays recordings of a real service, as `tests/transcripts/README.md` has them."""

from __future__ import annotations

import json
import math
import re
import secrets
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from ermpoll.sandbox.model.identifiers import decode, encode, micros_of
from tests.helpers.sandbox_client import Answer, Client

_BOUND = re.compile(r"\$(RID|TIME|ETAG|CLIENT|SNAP|FRESH)\d+")
_ANY = re.compile(
    rf"{_BOUND.pattern}|\$USER_\w+|\$CAT\b|\$SNAP\(((?:TIME|SNAP)\d+)([+-]\d+)?\)"
)


class Symbols:
    """What each symbol of a transcript stands for."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self.bound = dict(known)

    # ---- in requests

    def filled(self, value: Any, *, encoded: bool = False) -> Any:
        """Return a request's part with the bound values in it."""
        if isinstance(value, str):
            return _ANY.sub(lambda found: self._text(found, encoded), value)
        if isinstance(value, dict):
            return {name: self.filled(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        return value

    def _text(self, found: re.Match[str], encoded: bool) -> str:
        symbol = found[0]
        if symbol.startswith("$FRESH") and symbol not in self.bound:
            self.bound[symbol] = f"t-{secrets.token_hex(6)}"
        if found[2]:
            text = encode(self._micros(self.bound[f"${found[2]}"]) + int(found[3] or 0))
        else:
            text = self.bound[symbol]
        return quote(text, safe="") if encoded else text

    def _micros(self, text: str) -> int:
        if ":" in text:
            return micros_of(datetime.fromisoformat(text))
        number = decode(text)
        assert number is not None
        return number

    # ---- in answers

    def agree(self, expected: Any, found: Any) -> bool:
        """Return whether the two are equal, binding symbols seen for the first time."""
        if isinstance(expected, str):
            return isinstance(found, str) and self._texts(expected, found)
        if isinstance(expected, dict) and isinstance(found, dict):
            # A row's RID comes first: other columns may hold it.
            names = sorted(expected, key=lambda name: name != "RID")
            return expected.keys() == found.keys() and all(
                self.agree(expected[name], found[name]) for name in names
            )
        if isinstance(expected, list) and isinstance(found, list):
            return len(expected) == len(found) and all(map(self.agree, expected, found))
        if isinstance(expected, float) and math.isnan(expected):
            return isinstance(found, float) and math.isnan(found)
        are_alike = isinstance(expected, bool) == isinstance(found, bool)
        return bool(are_alike and expected == found)

    def _texts(self, expected: str, found: str) -> bool:
        if _BOUND.fullmatch(expected):
            return self._bind(expected, found)
        new = [m[0] for m in _BOUND.finditer(expected) if m[0] not in self.bound]
        if not new:
            return bool(self.filled(expected) == found)
        pattern = re.escape(expected)
        for symbol in new:
            pattern = pattern.replace(re.escape(symbol), r"([0-9A-Z-]+)", 1)
        match = re.fullmatch(pattern, found)
        return match is not None and all(map(self._bind, new, match.groups()))

    def _bind(self, symbol: str, found: str) -> bool:
        if symbol in self.bound:
            return bool(self.bound[symbol] == found)
        kind = symbol.rstrip("0123456789")
        rivals = {v for k, v in self.bound.items() if k.rstrip("0123456789") == kind}
        self.bound[symbol] = found
        return found not in rivals


def _picked(doc: Any, path: list[str]) -> list[Any]:
    """Return what a path leads to, in a list; an empty one if nowhere."""
    if not path:
        return [doc]
    head, rest = path[0], path[1:]
    if head == "keys()":
        return [sorted(doc)]
    if head in ("*", "*sorted"):
        items = doc.values() if isinstance(doc, dict) else doc
        found = [(_picked(item, rest) or ["(absent)"])[0] for item in items]
        return [sorted(found, key=json.dumps) if head == "*sorted" else found]
    if isinstance(doc, dict) and head in doc:
        return _picked(doc[head], rest)
    if isinstance(doc, list) and head.isdigit() and int(head) < len(doc):
        return _picked(doc[int(head)], rest)
    return []


def _body(step: Mapping[str, Any], answer: Answer) -> Any:
    kind = answer.headers.get("content-type", "")
    if kind.startswith("application/json"):
        body = json.loads(answer.text) if answer.text.strip() else None
    elif kind.startswith("application/x-json-stream"):
        body = [json.loads(line) for line in answer.text.splitlines()]
    else:
        return answer.text or None
    if "pick" in step:
        found = {path: _picked(body, path.split(".")) for path in step["pick"]}
        return {path: items[0] for path, items in found.items() if items}
    return body


class Player:
    """Plays one transcript with the clients that it needs."""

    def __init__(
        self, clients: Mapping[str, Client], users: Mapping[str, str], catalog: str
    ) -> None:
        self.clients = clients
        self.catalog = catalog
        known = {f"$USER_{name}": client for name, client in users.items()}
        self.symbols = Symbols({**known, "$CAT": catalog})

    def play(self, steps: list[Mapping[str, Any]]) -> list[str]:
        """Return what differs, a line each."""
        failures = []
        for number, step in enumerate(steps, 1):
            request = step["request"]
            answer = self._answer(request)
            failures += [
                f"step {number} {request['method']} {request['path'][:200]}: {text}"
                for text in self._differences(step, answer)
            ]
        return failures

    def _answer(self, request: Mapping[str, Any]) -> Answer:
        client = self.clients[request.get("as", "test1")]
        at_service = request.get("at") == "service"
        client.root = "/ermrest" if at_service else f"/ermrest/catalog/{self.catalog}"
        body = self.symbols.filled(request.get("body"))
        headers = self.symbols.filled(request.get("headers") or {})
        if isinstance(body, str):
            headers = {"Content-Type": "text/csv", **headers}
        path = self.symbols.filled(request["path"], encoded=True)
        return client.send(request["method"], path, body, headers)

    def _differences(self, step: Mapping[str, Any], answer: Answer) -> list[str]:
        wanted = step["response"]
        if answer.status != wanted["status"]:
            return [f"status {answer.status}, not {wanted['status']}: {answer.text}"]
        if step.get("status_only"):
            return []
        pairs = list(self._headers(wanted["headers"], answer))
        if wanted["status"] < 400 and (wanted["body"] is not None or "pick" in step):
            pairs.append(self._bodies(step, answer))
        return [
            f"{found}, not {expected}"
            for expected, found in pairs
            if not self.symbols.agree(expected, found)
        ]

    def _bodies(self, step: Mapping[str, Any], answer: Answer) -> tuple[Any, Any]:
        expected, found = step["response"]["body"], _body(step, answer)
        if not step.get("unordered"):
            return expected, found
        return sorted(expected, key=_order), sorted(found, key=_order)

    def _headers(
        self, expected: Mapping[str, str], answer: Answer
    ) -> Iterator[tuple[str, str]]:
        for name in ("content-type", "etag", "location"):
            if name in expected:
                wanted, found = expected[name], answer.headers.get(name, "")
                if name == "content-type":
                    wanted, found = wanted.split(";")[0], found.split(";")[0]
                yield wanted, found


def _order(row: Any) -> str:
    """Return a sort key in which nothing has a part that differs from run to run."""
    if not isinstance(row, dict):
        return json.dumps(row)
    system = ("RID", "RCT", "RMT", "RCB", "RMB")
    return json.dumps({k: v for k, v in row.items() if k not in system}, sort_keys=True)

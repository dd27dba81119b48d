"""Recordings of a real service, replayed against the sandbox."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.sandbox.client import Answer, Client

_FILES = sorted(Path(__file__).parents[2].joinpath("transcripts").glob("*.json"))
_SYMBOL = re.compile(r"\$(RID|TIME|ETAG|CLIENT)\d+")


class Symbols:
    """What each symbol of a transcript stands for."""

    def __init__(self) -> None:
        self.bound: dict[str, str] = {}

    def agree(self, expected: Any, found: Any) -> bool:
        """Return whether the two are equal, binding symbols seen for the first time."""
        if isinstance(expected, str) and _SYMBOL.fullmatch(expected):
            return self._bind(expected, found)
        if isinstance(expected, dict) and isinstance(found, dict):
            return expected.keys() == found.keys() and all(
                self.agree(expected[name], found[name]) for name in expected
            )
        if isinstance(expected, list) and isinstance(found, list):
            return len(expected) == len(found) and all(map(self.agree, expected, found))
        return bool(expected == found) and type(expected) is type(found)

    def _bind(self, symbol: str, found: Any) -> bool:
        if symbol in self.bound:
            return bool(self.bound[symbol] == found)
        kind = symbol.rstrip("0123456789")
        rivals = {v for k, v in self.bound.items() if k.rstrip("0123456789") == kind}
        self.bound[symbol] = found
        return isinstance(found, str) and found not in rivals

    def filled(self, value: Any, *, encode: bool = False) -> Any:
        """Return a request's part with the bound values in it."""
        if isinstance(value, str):
            return _SYMBOL.sub(
                lambda m: (
                    quote(self.bound[m[0]], safe="") if encode else self.bound[m[0]]
                ),
                value,
            )
        if isinstance(value, dict):
            return {name: self.filled(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        return value


def _answer(client: Client, request: dict[str, Any], symbols: Symbols) -> Answer:
    return client.send(
        request["method"],
        symbols.filled(request["path"], encode=True),
        symbols.filled(request.get("body")),
        symbols.filled(request.get("headers") or {}),
    )


def _body(answer: Answer) -> Any:
    kind = answer.headers.get("content-type", "")
    if kind.startswith("application/json"):
        return json.loads(answer.text)
    if kind.startswith("application/x-json-stream"):
        return [json.loads(line) for line in answer.text.splitlines()]
    return answer.text or None


def _sorted(rows: Any) -> Any:
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


def _differences(step: dict[str, Any], answer: Answer, symbols: Symbols) -> list[str]:
    expected = step["response"]
    if answer.status != expected["status"]:
        return [f"status {answer.status}, not {expected['status']}: {answer.text}"]
    if step.get("status_only"):
        return []
    pairs = list(_headers(expected["headers"], answer))
    if expected["status"] < 400 and expected["body"] is not None:
        pairs.append((expected["body"], _body(answer)))
    if step.get("unordered"):
        pairs[-1] = (_sorted(pairs[-1][0]), _sorted(pairs[-1][1]))
    return [
        f"{found}, not {wanted}"
        for wanted, found in pairs
        if not symbols.agree(wanted, found)
    ]


def _headers(expected: dict[str, str], answer: Answer) -> Iterator[tuple[str, str]]:
    for name in ("content-type", "etag", "location"):
        if name in expected:
            wanted, found = expected[name], answer.headers.get(name, "")
            if name == "content-type":
                wanted, found = wanted.split(";")[0], found.split(";")[0]
            yield wanted, found


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.stem)
def test_transcript_replays_without_a_difference(file: Path, client: Client) -> None:
    symbols, failures = Symbols(), []

    for number, step in enumerate(json.loads(file.read_text())["steps"], 1):
        answer = _answer(client, step["request"], symbols)
        for difference in _differences(step, answer, symbols):
            request = step["request"]
            failures.append(
                f"step {number} {request['method']} {request['path']}: {difference}"
            )

    assert failures == []


def test_all_ten_transcripts_are_here() -> None:
    assert Counter(file.suffix for file in _FILES) == {".json": 10}

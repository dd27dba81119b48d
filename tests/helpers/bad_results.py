"""What a function of the user's may give back that can't be read, by name."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any


class Lazy(Mapping[str, Any]):
    """Changes that are fetched when they are read, and then can't be had."""

    def __getitem__(self, name: str) -> Any:
        raise ConnectionError("the store is away")

    def __iter__(self) -> Iterator[str]:
        return iter(["result"])

    def __len__(self) -> int:
        return 1


class Keyless(Lazy):
    def __iter__(self) -> Iterator[str]:
        raise ValueError("no keys")


class Itemless(dict[str, Any]):
    def items(self) -> Any:
        raise ValueError("no items")


class Endless(Lazy):
    def __getitem__(self, name: str) -> Any:
        return name

    def __iter__(self) -> Iterator[str]:
        n = 0
        while True:
            n += 1
            yield f"{n:>09999}"


class Array:
    def tolist(self) -> Any:
        raise RuntimeError("the file is closed")


class Same:
    def tolist(self) -> Any:
        return self


class Day(datetime.date):
    def isoformat(self) -> str:
        raise RuntimeError("no such day")


class Shy:
    """Says nothing of its kind."""

    @property
    def __class__(self) -> Any:
        raise RuntimeError("whose class?")


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text either")


class Muted(Lazy):
    def __getitem__(self, name: str) -> Any:
        raise Mute


def deep(levels: int) -> list[Any]:
    whole: list[Any] = []
    for _ in range(levels):
        whole = [whole]
    return whole


def looped() -> list[Any]:
    whole: list[Any] = []
    whole += [whole, whole]
    return whole


def twofold(levels: int) -> list[Any]:
    """As many lists as atoms, though it is small here."""
    whole: list[Any] = []
    for _ in range(levels):
        whole = [whole, whole]
    return whole


#: What makes each of them, and a word of the reason.
BAD: dict[str, tuple[Any, str]] = {
    "a mapping that raises": (Lazy, "ConnectionError: the store is away"),
    "a mapping without keys": (Keyless, "ValueError: no keys"),
    "a dict without items": (lambda: Itemless(a=1), "ValueError: no items"),
    "a mapping without an end": (Endless, "larger than 10 MB"),
    "an array that raises": (lambda: {"data": Array()}, "data: can't be read: Run"),
    "an array that is itself": (lambda: {"data": Same()}, "more than 200 levels"),
    "a date that raises": (lambda: {"result": Day(2026, 1, 1)}, "no such day"),
    "an object that raises": (lambda: {"data": [Shy()]}, "whose class?"),
    "a result that raises": (Shy, "whose class?"),
    "an error without text": (Muted, "Mute"),
    "a list in itself": (lambda: {"data": looped()}, "more than 200 levels"),
    "5,000 levels": (lambda: {"data": deep(5000)}, "more than 200 levels"),
    "201 levels": (lambda: {"data": deep(201)}, "more than 200 levels"),
    "2 to the 100 lists": (lambda: {"data": twofold(100)}, "larger than 10 MB"),
    "5,000 digits": (lambda: {"priority": 10**5000}, "more than 1000 digits"),
    "digits inside": (lambda: {"data": {"n": [10**5000]}}, "more than 1000 digits"),
    "50 MB": (lambda: {"data": "x" * 50_000_000}, "larger than 10 MB"),
    "12 MB of umlauts": (lambda: {"result": "ü" * 6_000_000}, "larger than 10 MB"),
    "a text": (lambda: "done", "expected a dict of changes or None, found str"),
}


def by_name(row: dict[str, Any]) -> Any:
    """Work and transform: what the row's name asks for, if it is a bad one."""
    bad = BAD.get(row["name"])
    return bad[0]() if bad else {"result": "fine"}

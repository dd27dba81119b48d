"""How values of each type come in, are kept and go out."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.client import Client


@pytest.mark.parametrize(
    ("column", "value", "stored"),
    [
        ("state", 5, "5"),
        ("state", True, "true"),
        ("state", {"a": [1]}, '{"a": [1]}'),
        ("n", "7", 7),
        ("ok", "yes", True),
        ("ok", 0, False),
        ("f", 0.1, 0.1),
        ("f", "2", 2.0),
        ("at", "2026-01-01", "2026-01-01T00:00:00+00:00"),
        ("at", "2026-01-01 01:02:03.5+01", "2026-01-01T00:02:03.5+00:00"),
        ("at", "2026-01-01T00:00:00.120000Z", "2026-01-01T00:00:00.12+00:00"),
        ("local", "2026-01-01T00:00:00+05:00", "2026-01-01T00:00:00"),
        ("tags", ["a", None, ""], ["a", None, ""]),
        ("doc", "text", "text"),
        ("doc", [{"b": 1, "a": None}], [{"a": None, "b": 1}]),
    ],
)
def test_values_are_stored_as_their_type(
    jobs: Client, column: str, value: Any, stored: Any
) -> None:
    answer = jobs.put(f"/attributegroup/Job/id;{column}", [{"id": 1, column: value}])

    assert answer.json == [{"id": 1, column: stored}]
    assert jobs.rows(f"/attribute/Job/id=1/{column}") == [{column: stored}]


def test_other_types_read_what_they_write(client: Client) -> None:
    columns = {
        "tz": "timetz",
        "t": "time",
        "i": "interval",
        "u": "uuid",
        "j": "json",
        "i8s": "int8[]",
        "ats": "timestamptz[]",
        "m": "markdown",
    }
    client.table("Typed", columns)
    row = {
        "tz": "12:30+02",
        "t": "12:30:00.5",
        "i": "1 day 2 hours 3 min",
        "u": "A0EEBC999C0B4EF8BB6D6BB9BD380A11",
        "j": {"b": [1]},
        "i8s": [2**53 + 1, None],
        "ats": ["2026-01-01"],
        "m": "*x*",
    }

    (written,) = client.post("/entity/Typed", [row]).json

    assert written == written | {
        "tz": "12:30:00+02",
        "t": "12:30:00.5",
        "i": "1 day 02:03:00",
        "u": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "j": {"b": [1]},
        "i8s": [2**53 + 1, None],
        "ats": ["2026-01-01T00:00:00+00:00"],
        "m": "*x*",
    }
    (read,) = client.rows("/entity/Typed")
    assert read == written

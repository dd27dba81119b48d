"""How values of each type come in, are kept and go out."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.sandbox_client import Client


@pytest.mark.parametrize(
    ("column", "value", "stored"),
    [
        ("state", 5, "5"),
        ("state", True, "true"),
        ("state", {"a": [1]}, '{"a": [1]}'),
        ("no", "7", 7),
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


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("1 year 2 months 3 days 04:05:06.7", "1 year 2 mons 3 days 04:05:06.7"),
        ("2 weeks", "14 days"),
        ("90 min", "01:30:00"),
        ("-01:30", "-01:30:00"),
        ("0 sec", "00:00:00"),
        ("1500 milliseconds", "00:00:01.5"),
    ],
)
def test_intervals_are_written_as_postgresql_does(
    client: Client, value: str, stored: str
) -> None:
    client.table("Span", {"i": "interval"})

    (row,) = client.post("/entity/Span", [{"i": value}]).json

    assert row["i"] == stored


@pytest.mark.parametrize(
    ("typename", "value"),
    [
        ("interval", "soon"),
        ("interval", "1 moment"),
        ("interval", ""),
        ("float8", "1_0"),
        ("int4", "1_0"),
        ("int4[]", ["x"]),
        ("int4[]", "{1,x}"),
        ("text[]", "a,b"),
        ("text[]", {"a": 1}),
        ("date", "2026-02-30"),
        ("time", "25:00"),
        ("uuid", "no"),
        ("boolean", "maybe"),
    ],
)
def test_what_a_type_can_not_hold_gets_a_400(
    client: Client, typename: str, value: Any
) -> None:
    client.table("Typed", {"v": typename})

    assert client.post("/entity/Typed", [{"v": value}]).status == 400


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("{}", []),
        ("{a,b}", ["a", "b"]),
        ('{"a,b",NULL,"NULL",""}', ["a,b", None, "NULL", ""]),
        ('{"a\\"b"}', ['a"b']),
        ('["a", null]', ["a", None]),
    ],
)
def test_arrays_are_read_from_text(client: Client, text: str, items: list[Any]) -> None:
    client.table("Typed", {"v": "text[]"})

    quoted = '"' + text.replace('"', '""') + '"'

    answer = client.post("/entity/Typed", f"v\n{quoted}\n", Content_Type="text/csv")

    assert answer.status == 200
    assert client.rows("/attribute/Typed/v") == [{"v": items}]
    # JSON has arrays of its own.
    assert client.post("/entity/Typed", [{"v": text}]).status == 400


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

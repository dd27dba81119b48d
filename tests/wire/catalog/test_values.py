from __future__ import annotations

import datetime
import decimal
import enum
import json
import math
import pathlib
import time
import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ermpoll
from ermpoll.catalog.model import Column, Table, read_table
from ermpoll.catalog.values import body_of, clean_text, read_changes, refusal
from ermpoll.errors import BadRequest, Conflict, Unreadable
from ermpoll.queue.plan import copied
from ermpoll.records import Change, same
from ermpoll.sandbox import Box
from tests.helpers.peers import Reply, serving
from tests.helpers.tables import add, make_table

TYPES = {
    "text": "text",
    "int2": "int2",
    "int4": "int4",
    "int8": "int8",
    "float8": "float8",
    "boolean": "boolean",
    "date": "date",
    "timestamptz": "timestamptz",
    "jsonb": "jsonb",
    "uuid": "uuid",
    "texts": "text[]",
    "ints": "int4[]",
}


class Word(str, enum.Enum):  # noqa: UP042 - as older code has them
    RED = "red"


class Number(enum.IntEnum):
    SEVEN = 7


# read_changes


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (0.5, 0.5),
        ("a", "a"),
        (Word.RED, "red"),
        (Number.SEVEN, 7),
        (np.int64(7), 7),
        (np.float64(0.5), 0.5),
        (np.bool_(True), True),
        (np.array([1, 2]), [1, 2]),
        (pd.NA, None),
        (pd.NaT, None),
        (pd.Timestamp("2026-01-02T03:04:05Z"), "2026-01-02T03:04:05+00:00"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.time(3, 4), "03:04:00"),
        (decimal.Decimal("1.10"), decimal.Decimal("1.10")),
        (decimal.Decimal("NaN"), "NaN"),
        (np.datetime64("2026-01-02"), "2026-01-02"),
        (np.datetime64("NaT"), None),
        (np.array(["2026-01-02", "NaT"], "M8[D]"), ["2026-01-02", None]),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (pathlib.PurePosixPath("/a/b"), "/a/b"),
        ((1, {"a": Word.RED}), [1, {"a": "red"}]),
        ({1: {2}}, {"1": [2]}),
    ],
    ids=repr,
)
def test_a_python_value_becomes_what_json_has(value, expected):
    found = read_changes({"data": value})["data"]

    assert found == expected
    assert type(found) is type(expected)
    body_of("entity/S:T", [{"data": found}])


@pytest.fixture
def in_los_angeles(monkeypatch):
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_los_angeles")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime.datetime(2026, 1, 2, 3, 4), "2026-01-02T03:04:00-08:00"),
        (datetime.datetime(2026, 7, 2, 3, 4), "2026-07-02T03:04:00-07:00"),
        (pd.Timestamp("2026-01-02T03:04:05.123"), "2026-01-02T03:04:05.123000-08:00"),
        (np.datetime64("2026-01-02T03:04:05.1", "ns"), "2026-01-02T03:04:05.1"),
        (np.datetime64("2026-01-02T03:04:05.1", "ms"), "2026-01-02T03:04:05.1"),
        (np.datetime64("2026-01-02T03", "h"), "2026-01-02T03:00:00-08:00"),
        (pd.Series(pd.to_datetime(["2026-01-02"])), ["2026-01-02T00:00:00-08:00"]),
        (
            np.array(["2026-01-02T03:04", "NaT"], "M8[ns]"),
            ["2026-01-02T03:04:00-08:00", None],
        ),
        (
            datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC),
            "2026-01-02T03:04:00+00:00",
        ),
    ],
    ids=repr,
)
def test_a_time_without_a_zone_is_of_this_machine_s(value, expected):
    found = read_changes({"data": value})["data"]

    if isinstance(expected, str) and expected.endswith(".1"):
        expected = f"{expected}00000-08:00"
    assert found == expected


@pytest.mark.usefixtures("in_los_angeles")
def test_the_zone_is_in_the_plan_and_in_what_the_catalog_keeps(catalog, rid):
    at = datetime.datetime(2026, 1, 2, 3, 4)
    asked = read_changes({"timestamptz": at})

    catalog.put("attributegroup/Ops:Job/RID;timestamptz", [{"RID": rid, **asked}])

    assert asked["timestamptz"] == "2026-01-02T03:04:00-08:00"
    [row] = catalog.rows(f"entity/Ops:Job/RID={rid}")
    kept = datetime.datetime.fromisoformat(row["timestamptz"])
    assert kept == at.astimezone()


@pytest.mark.parametrize(
    "value",
    [
        np.timedelta64(1, "ns"),
        np.timedelta64(1, "D"),
        np.array([1], "m8[s]"),
        pd.Timedelta(1),
    ],
    ids=repr,
)
def test_a_length_of_time_has_no_form_in_json(value):
    with pytest.raises(Unreadable, match="has no form in JSON"):
        read_changes({"data": value})


@pytest.mark.parametrize("unit", ["s", "ms"])
def test_a_time_past_the_calendar_is_refused(unit):
    with pytest.raises(Unreadable, match="calendar of Python"):
        read_changes({"data": np.datetime64("20000-01-01", unit)})


DIGITS = "123456789012345678901234567890123456.789"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (DIGITS, decimal.Decimal),
        (f"-{DIGITS}", decimal.Decimal),
        ("0.1234567890123456789", decimal.Decimal),
        ("1e400", decimal.Decimal),
        ("1.5", float),
        ("0.1", float),
        ("0.30000000000000004", float),
        ("1.7976931348623157e+308", float),
        ("123456789012345678901234567890123456789", int),
    ],
)
@pytest.mark.parametrize("shape", ['{"RID": "1-A", "x": %s}', '{"x": {"deep": [%s]}}'])
def test_a_number_comes_and_goes_with_all_its_digits(text, kind, shape):
    with serving(Reply(body=f"[{shape % text}]")) as peer:
        door = ermpoll.connect(peer.url, {})
        [row] = door.rows("entity/S:T")
        door.put("entity/S:T", [read_changes(copied(row))])
        door.close()

    found = row["x"] if "RID" in row else row["x"]["deep"][0]
    assert type(found) is kind
    sent = json.loads(peer.sent[-1].body, parse_float=str, parse_int=str)[0]["x"]
    sent = sent if "RID" in row else sent["deep"][0]
    assert decimal.Decimal(sent) == decimal.Decimal(text)
    assert isinstance(sent, str)
    assert f'"{sent}"' not in peer.sent[-1].body, "a number, no text"


@pytest.mark.parametrize(
    ("before", "after", "one"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (True, True, True),
        ([1], [True], False),
        ({"valid": 1}, {"valid": True}, False),
        ({"a": [{"b": 0}]}, {"a": [{"b": False}]}, False),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1.0}]}, True),
        ([1, 2], [1], False),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ("1", 1, False),
        (None, False, False),
        (None, None, True),
        (0.1, decimal.Decimal("0.1"), True),
        (decimal.Decimal("0.10"), 0.1, True),
        (decimal.Decimal(1), True, False),
        (decimal.Decimal(DIGITS), float(DIGITS), False),
        ("1.5", decimal.Decimal("1.5"), False),
        ([], {}, False),
    ],
)
def test_two_values_are_one_by_value_and_a_bool_with_a_bool_only(before, after, one):
    assert same(before, after) is one
    assert same(after, before) is one
    change = Change(rid="1", rmt="t", before={"x": before}, after={"x": after})
    assert change.diff == ({} if one else {"x": (before, after)})


@pytest.mark.parametrize("value", [b"bytes", object(), 1j, datetime.timedelta(1)])
def test_what_json_has_no_form_for_is_refused_by_its_type(value):
    kind = type(value).__name__

    with pytest.raises(Unreadable, match=f"data: {kind} has no form in JSON"):
        read_changes({"data": value})


# refusal


@pytest.fixture(scope="module")
def catalog(shared_box: Box) -> Iterator[ermpoll.Catalog]:
    shared_box.faults()
    catalog = ermpoll.connect(shared_box.new_catalog(), {})
    make_table(catalog, TYPES)
    yield catalog
    catalog.close()


@pytest.fixture(scope="module")
def table(catalog: ermpoll.Catalog) -> Table:
    return read_table(catalog, "Ops:Job")


@pytest.fixture(scope="module")
def rid(catalog: ermpoll.Catalog) -> str:
    (rid,) = add(catalog, {"text": "here"})
    return str(rid)


def accepted(catalog: ermpoll.Catalog, rid: str, column: str, value: Any) -> bool:
    """Whether the catalog takes the value."""
    try:
        catalog.put(
            f"attributegroup/Ops:Job/RID;{column}", [{"RID": rid, column: value}]
        )
    except (BadRequest, Conflict):
        return False
    return True


@pytest.mark.parametrize(
    ("column", "value", "word"),
    [
        ("RID", "1-2", "system column"),
        ("RMT", "2026-01-01", "system column"),
        ("text", "a\0b", "NUL"),
        ("text", "\ud800", "surrogate"),
        ("jsonb", {"a": ["\0"]}, "NUL"),
        ("jsonb", {"a\0": 1}, "NUL"),
        ("jsonb", [math.nan], "no form"),
        ("float8", math.inf, "no form"),
        ("float8", True, "no float8"),
        ("float8", "much", "no float8"),
        ("int4", 2**31, "no int4"),
        ("int4", -(2**31) - 1, "no int4"),
        ("int2", 40_000, "no int2"),
        ("int8", 2**63, "no int8"),
        ("int8", "9" * 5000, "no int8"),
        ("int4", "1.5", "no int4"),
        ("int4", 1.5, "no int4"),
        ("int4", True, "no int4"),
        ("boolean", "perhaps", "no boolean"),
        ("date", "soon", "no date"),
        ("timestamptz", 1700000000, "no timestamptz"),
        ("uuid", "1234", "no uuid"),
        ("ints", "1", "no list"),
        ("ints", [1, "x"], "no int4"),
    ],
)
def test_what_the_catalog_would_refuse_is_told_before(table, column, value, word):
    assert word in str(refusal(table.columns[column], value))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("text", 7),
        ("text", ""),
        ("int4", 2**31 - 1),
        ("int4", " -7 "),
        ("int8", -(2**63)),
        ("float8", "1e300"),
        ("float8", 7),
        ("boolean", "yes"),
        ("boolean", False),
        ("date", "2026-02-03"),
        ("timestamptz", "2026-02-03T04:05:06+01:00"),
        ("jsonb", {"a": [None, 1.5, "x"]}),
        ("uuid", "0189d5a2-8c64-7c4e-9f0c-0a1b2c3d4e5f"),
        ("texts", ["a", None]),
        ("ints", []),
        ("text", None),
    ],
)
def test_what_the_catalog_takes_is_not_refused(catalog, table, rid, column, value):
    assert refusal(table.columns[column], value) is None
    assert accepted(catalog, rid, column, value)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(["1", "-7", "1.5", "1e3", "true", "t", "2026-01-01", " 7"]),
)


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.sampled_from(sorted(TYPES)), st.one_of(scalars, st.lists(scalars, max_size=3))
)
def test_a_refusal_is_never_wrong(catalog, table, rid, column, value):
    """A value we refuse is one that the catalog refuses as well."""
    reason = refusal(table.columns[column], value)

    if reason is not None and "may not be NULL" not in reason:
        assert not accepted(catalog, rid, column, value), reason


def test_rights_and_nulls_are_known_from_the_model():
    strict = Column(name="a", typename="text", base="text", nullok=False)
    foreign = Column(name="a", typename="text", base="text", may_update=False)

    assert refusal(strict, None) == "may not be NULL"
    assert refusal(foreign, "x") == "may not be written by this login"


def test_a_refused_value_is_shown_cut(table):
    assert len(str(refusal(table.columns["int4"], "x" * 1000))) < 70


# clean_text


@given(st.text(st.characters()), st.one_of(st.none(), st.integers(1, 50)))
def test_cleaned_text_is_taken_and_fits(text, length):
    clean = clean_text(text, length)

    assert "\0" not in clean
    clean.encode()
    assert length is None or len(clean) <= length
    if length is None or len(text) <= length:
        assert len(clean) + text.count("\0") == len(text)

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from ermpoll.errors import UsageError
from ermpoll.queue.reading.conditions import anywhere, condition, narrowed, order_key

INT, TIME = "Int64", "datetime64[us, UTC]"
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "dtype", "path"),
    [
        ("confocal", "string", "X::ciregexp::confocal"),
        ("a.b (c)", "string", "X::ciregexp::a%5C.b%20%5C%28c%5C%29"),
        ("a..b", "string", "X::ciregexp::a%5C.%5C.b"),
        ("=new", "string", "X=new"),
        ("empty", "string", "X::null::;X="),
        ("Empty", INT, "X::null::"),
        ("filled", INT, "!(X::null::)"),
        ("5", INT, "X::geq::5/X::leq::5"),
        ("1,000..2_000", INT, "X::geq::1000/X::leq::2000"),
        ("5..", INT, "X::geq::5"),
        ("..", INT, "!(X::null::)"),
        ("..0.5", "Float64", "X::leq::0.5"),
        (">5", INT, "X::gt::5"),
        ("<= -5", INT, "X::leq::-5"),
    ],
)
def test_what_is_typed_becomes_a_filter_of_a_path(text, dtype, path):
    assert condition("X", text, dtype).path == path


@pytest.mark.parametrize(
    ("text", "first", "behind"),
    [
        ("2026-11-20", "2026-11-19T23:00:00", "2026-11-20T23:00:00"),
        ("2026-11-20..2026-11-21", "2026-11-19T23:00:00", "2026-11-21T23:00:00"),
        ("2026-11-20 14:30", "2026-11-20T13:30:00", "2026-11-20T13:31:00"),
    ],
)
def test_a_day_ends_with_the_day_in_the_zone_of_who_types_it(text, first, behind):
    made = condition("X", text, TIME, BERLIN)

    assert made.test(f"{first}+00:00")
    assert not made.test(f"{behind}+00:00")
    assert not made.test(None)
    assert first.replace(":", "%3A") in made.path


@pytest.mark.parametrize(
    ("text", "dtype", "yes", "no"),
    [
        ("CON", "string", ["confocal", "falcon"], ["light", None, ""]),
        ("=new", "string", ["new", "New"], ["newer", None]),
        ("empty", "string", [None, ""], ["a", " "]),
        ("filled", INT, [0, 5], [None]),
        ("2..3", INT, [2, 3], [1, 4, None, "2"]),
        (">2", INT, [3], [2]),
        ("level", "object", [{"levels": 3}, ["level"]], [{"a": 1}, None]),
        (">2026-11-20", TIME, ["2026-11-21T00:00:00+00:00"], ["2026-11-20T12:00:00Z"]),
    ],
)
def test_what_is_typed_is_a_test_of_a_value(text, dtype, yes, no):
    made = condition("X", text, dtype)

    assert [made.test(value) for value in yes] == [True] * len(yes)
    assert [made.test(value) for value in no] == [False] * len(no)


@pytest.mark.parametrize(
    ("text", "dtype", "said"),
    [
        ("many", INT, r"X: expected a number, a range like 5\.\.10.*found 'many'"),
        ("yesterday", TIME, "X: expected a time like 2026-11-20.*found 'yesterday'"),
    ],
)
def test_what_is_no_range_is_refused_in_words(text, dtype, said):
    with pytest.raises(UsageError, match=said):
        condition("X", text, dtype)


def test_a_search_is_in_any_text_and_joins_what_stands_above_the_columns():
    columns = {"A": "string", "N": INT, "J": "object", "T": TIME}

    path = narrowed(columns, "x/y", {"N": "5..", "A": " "})

    assert path == "N::geq::5/A::ciregexp::x%2Fy;J::ciregexp::x%2Fy"


def test_a_number_is_searched_among_the_numbers_as_well():
    found = anywhere({"A": "string", "N": INT}, "12,345")

    assert found["N"].path == "N::geq::12345/N::leq::12345"
    assert found["A"].test("no 12,345")
    assert not found["N"].test(123456)
    assert set(anywhere({"A": "string", "N": INT}, "-")) == {"A"}


def test_null_comes_last_and_numbers_come_before_texts():
    values = [None, "b", 2, "A", {"z": 1}, 1.5]

    assert sorted(values, key=order_key) == [1.5, 2, "A", "b", {"z": 1}, None]

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from ermpoll.render.values import (
    Cell,
    block,
    cell,
    clean,
    clock,
    counted,
    duration,
    joined,
    line,
    pair,
)

NOW = datetime(2026, 11, 24, 9, 32, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0 s"),
        (41.9, "41 s"),
        (182, "3 min 02 s"),
        (7500, "2 h 05 min"),
        (3 * 86400 + 4 * 3600, "3 d 4 h"),
    ],
)
def test_seconds_are_put_into_words(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "typename", "made"),
    [
        (None, "string", Cell(text="NULL", kind="null")),
        ("", "string", Cell(text="empty text", kind="empty")),
        (False, "boolean", Cell(text="false", kind="flag")),
        (1.5, "Float64", Cell(text="1.5", kind="number")),
        pytest.param(
            10**5000,
            "Float64",
            Cell(text="an integer of 16,610 bits", kind="number"),
            id="huge",
        ),
        ("null", "object", Cell(text='"null"', kind="json")),
        ({"a": {1, 2}}, "object", Cell(text='{"a": "a set"}', kind="json")),
        ("infinity", "datetime64[us, UTC]", Cell(text="infinity")),
        (
            "2026-11-24T09:32:07",
            "datetime64[us, UTC]",
            Cell(
                text="2026-11-24 09:32:07",
                kind="time",
                iso="2026-11-24T09:32:07.000000Z",
            ),
        ),
    ],
)
def test_a_value_is_put_into_words_by_its_type(value, typename, made):
    assert cell(value, typename) == made


def test_a_time_that_its_zone_cannot_hold_is_shown_as_it_was_sent():
    made = cell(
        "9999-12-31T23:59:59+00:00", "datetime64[us, UTC]", zone=ZoneInfo("Asia/Tokyo")
    )

    assert made == Cell(text="9999-12-31T23:59:59+00:00")


def test_values_that_no_json_can_be_made_of_are_named_by_their_type():
    ring = []
    ring.append(ring)

    assert cell(ring, "object").text == "a list"
    assert pair(ring, [*ring], "object")[0].text == "a list"


def test_a_long_json_value_is_encoded_only_as_far_as_shown():
    assert len(cell({"a": "x" * 1_000_000}, "object").text) <= 121


def test_a_cut_text_says_how_long_it_is():
    assert clean("x" * 300, 5) == "xxxxx… (300 characters)"


def test_a_block_keeps_its_lines_and_its_end():
    assert block("first\nsecond\x00\nlast", 12) == "…second⟨U+0000⟩\nlast"


def test_a_moment_of_another_day_has_its_date():
    yesterday = NOW - timedelta(days=1)

    assert clock(NOW, NOW).text == "09:32:07"
    assert clock(yesterday, NOW).text == "2026-11-23 09:32:07"


def test_numbers_and_lists_read_as_words():
    assert counted(1, "row") == "1 row"
    assert counted(1204, "entry", "entries") == "1,204 entries"
    assert joined(["a", "b"]) == "a, b"
    assert joined(map(str, range(12)), limit=2) == "0, 1 and 10 more"
    assert line("two\nlines  here") == "two lines here"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7385961816, "7,385,961,816"),
        (-12345.5, "-12,345.5"),
        (2026, "2026"),
        (1e22, "1e+22"),
        (Decimal("123456.10"), "123,456.10"),
        (Decimal("NaN"), "NaN"),
        (float("inf"), "inf"),
    ],
)
def test_long_numbers_have_separators_and_years_have_none(value, text):
    assert cell(value).text == text

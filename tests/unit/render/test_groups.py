from __future__ import annotations

import pytest

from ermpoll.render.groups import grouped, masked


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("GPU 3 fell off the bus (row S6)", "GPU … fell off the bus (row …)"),
        ("cannot read /data/in/slide-0412.czi at 1,234", "cannot read … at …"),
        ("cannot read C:\\data\\x y", "cannot read … y"),
        ("no slide-12.czi there", "no … there"),
        ("in raw/2026/a: bad", "in …: bad"),
        ("503 from https://x.org/a?b=1, at 12:30", "… from …, at …"),
        ("at 2026-01-01T12:00:00.5Z and 2026-01-01", "at … and …"),
        ("job 6a1f0c9e-1111-2222-3333-123456789abc lost", "job … lost"),
        ("at 0x7f3a, checksum 9f86d081884c", "at …, checksum …"),
        ("1-7RT2: bad", "…: bad"),
        ("n=-1.5e-3\n  and   more", "n=… and more"),
        ("boxes [1, 2, 3]", "boxes […]"),
    ],
)
def test_what_differs_from_row_to_row_is_masked(text, told):
    assert masked(text, "S6") == told


@pytest.mark.parametrize(
    "text",
    ["KeyError: 'series'", "either/or and read/write", "XS is no RID", ""],
)
def test_words_stay(text):
    assert masked(text, "S6") == text


def test_errors_that_are_alike_are_one_group_the_largest_first():
    rows = [
        {"RID": "1-A", "error": "out of memory"},
        {"RID": "1-B", "error": "GPU 1 fell off the bus"},
        {"RID": "1-C", "error": "GPU 2 fell off the bus"},
        {"RID": "1-D", "error": None},
    ]
    first, second, third = grouped(rows, "error")

    assert (first.text, [row["RID"] for row in first.rows]) == (
        "GPU … fell off the bus",
        ["1-B", "1-C"],
    )
    assert (first.piece, second.piece, third.piece) == (
        "fell off the bus", "out of memory", "",
    )  # fmt: skip


def test_a_text_without_end_is_read_in_no_time():
    for text in ("a/" * 500_000, "9" * 1_000_000, "-" * 1_000_000, "a.1" * 300_000):
        assert len(masked(text)) <= 300


def test_the_rows_own_rid_is_masked_where_it_stands_as_a_word():
    assert masked("VY is lost, not VYX", "VY") == "… is lost, not VYX"

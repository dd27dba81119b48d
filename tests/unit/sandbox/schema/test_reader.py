"""Documents of a model, read without a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ermpoll.sandbox.errors import HttpError
from ermpoll.sandbox.schema import reader


@pytest.mark.parametrize(
    ("read", "doc"),
    [
        (reader.a_mapping, []),
        (reader.a_mapping, None),
        (reader.a_list, {}),
        (lambda doc: reader.text_of(doc, "name"), {}),
        (lambda doc: reader.text_of(doc, "name"), {"name": ""}),
        (lambda doc: reader.text_of(doc, "name"), {"name": 1}),
        (lambda doc: reader.text_of(doc, "name"), {"name": "a\0b"}),
        (lambda doc: reader.text_of(doc, "name"), {"name": "\ud800"}),
        (lambda doc: reader.text_of(doc, "name"), {"name": "ü" * 32}),
        (reader.common_of, {"comment": 1}),
        (reader.common_of, {"annotations": []}),
        (reader.common_of, {"acls": "all"}),
        (reader.typename_of, {}),
        (reader.typename_of, {"type": "text"}),
        (reader.typename_of, {"type": {"typename": None}}),
        (reader.constraint_name_of, {"names": ["k"]}),
        (reader.constraint_name_of, {"names": [["s", 1]]}),
        (lambda doc: reader.action_of(doc, "on_delete"), {"on_delete": "EXPLODE"}),
        (reader.column_names_of, []),
        (reader.column_names_of, ["a", "a"]),
        (reader.column_names_of, ["a", 1]),
    ],
)
def test_what_a_document_can_not_say_is_a_400(
    read: Callable[[Any], Any], doc: Any
) -> None:
    with pytest.raises(HttpError) as caught:
        read(doc)

    assert caught.value.status == 400


def test_what_a_document_leaves_out_or_has_as_null_it_does_not_say() -> None:
    said = reader.common_of({"comment": None, "acls": {}, "other": 1})

    assert said == {"acls": {}}
    assert reader.a_list(None) == []
    assert reader.constraint_name_of({"names": []}) is None
    assert reader.action_of({"on_delete": None}, "on_delete") == "NO ACTION"


def test_an_action_is_read_in_any_case() -> None:
    assert reader.action_of({"on_delete": "set null"}, "on_delete") == "SET NULL"


def test_a_name_of_63_bytes_is_taken() -> None:
    assert reader.text_of({"name": "a" * 63}, "name") == "a" * 63


_names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=63)


@given(st.lists(_names, min_size=2, max_size=20))
def test_a_default_name_always_fits(parts: list[str]) -> None:
    assert 0 < len(reader.default_name(parts).encode()) <= 63


@pytest.mark.parametrize("letter", ["a", "ü", "𝄞"])
@pytest.mark.parametrize("count", [5, 6, 8, 20])
def test_a_default_name_of_many_long_parts_fits_and_keeps_its_digest(
    letter: str, count: int
) -> None:
    parts = [letter * 15] * count
    one, other = (reader.default_name([*parts, end]) for end in ("key", "fkey"))

    assert len(one.encode()) <= 63
    assert one != other


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        # What the real service's code answers.
        (
            ["a" * 13] * 6,
            "aaaaaaaaaaaaa_aaaaaaaaaaa.._aaaaaaaaaaaaa_aaaaaaaaaaaaa_tCqqZ",
        ),
        (
            ["a" * 15] * 8 + ["key"],
            "aaaaaaaaaaaaaaa_aaaaaaaaaaaaaaa_aaaaaaaaaaaaaaa_aaaaa..fWlfg",
        ),
        (["𝄞𝄞xx𝄞𝄞y", "y" * 60], "𝄞𝄞xx𝄞𝄞y_yyyyyyyyyyyyy.._QHEue"),
    ],
)
def test_long_default_names_are_those_of_the_service(
    parts: list[str], name: str
) -> None:
    assert reader.default_name(parts) == name


@given(st.text("abcdefgh", min_size=60, max_size=63), st.integers(0, 9))
def test_default_names_of_what_differs_differ(table: str, number: int) -> None:
    one = reader.default_name([table, f"column{number}", "key"])

    assert one != reader.default_name([table, f"column{number}", "fkey"])
    assert one != reader.default_name([table, f"column{number + 1}", "key"])

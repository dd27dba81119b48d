"""Addresses as records."""

from __future__ import annotations

from typing import Any

import pytest

from ermpoll.sandbox.errors import HttpError
from ermpoll.sandbox.query.parser import parse
from ermpoll.sandbox.query.syntax import (
    STAR,
    Compare,
    Context,
    DataQuery,
    IsNull,
    Junction,
    LinkStep,
    Not,
    OutputItem,
    SortKey,
    TableRef,
)

_JOB = TableRef(alias=None, name=("Job",))


def _equal(column: str, *values: str, **more: Any) -> Compare:
    return Compare(column=(column,), operator="=", values=values, **more)


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("S:T", [TableRef(alias=None, name=("S", "T"))]),
        ("A:=S:T/$A", [TableRef(alias="A", name=("S", "T")), Context(alias="A")]),
        ("Job/a=1", [_JOB, _equal("a", "1")]),
        ("Job/a=", [_JOB, _equal("a", "")]),
        ("Job/any=any(any,)", [_JOB, _equal("any", "any", "", quantifier="any")]),
        (
            "Job/left/sort",
            [_JOB, *(TableRef(alias=None, name=(n,)) for n in ("left", "sort"))],
        ),
        ("Job/%2A%2F=%25", [_JOB, _equal("*/", "%")]),
        ("Job/a::null::", [_JOB, IsNull(column=("a",))]),
        (
            "Job/!a=1&b=2;c=3",
            [
                _JOB,
                Junction(
                    word="OR",
                    operands=(
                        Junction(
                            word="AND",
                            operands=(Not(operand=_equal("a", "1")), _equal("b", "2")),
                        ),
                        _equal("c", "3"),
                    ),
                ),
            ],
        ),
        (
            "Job/*::regexp::x",
            [_JOB, Compare(column=(STAR,), operator="regexp", values=("x",))],
        ),
        ("Job/(a,b)", [_JOB, LinkStep(alias=None, left=(("a",), ("b",)))]),
        (
            "Job/B:=left(a,A:b)=(S:T:c,d)",
            [
                _JOB,
                LinkStep(
                    alias="B",
                    left=(("a",), ("A", "b")),
                    right=(("S", "T", "c"), ("d",)),
                    kind="left",
                ),
            ],
        ),
    ],
)
def test_paths(text: str, elements: list[Any]) -> None:
    assert parse(f"entity/{text}") == DataQuery(api="entity", path=tuple(elements))


def test_projections_modifiers_and_options() -> None:
    text = (
        "attributegroup/Job/A:a,k:=bin(b;3;0;9);n:=cnt(*)"
        "@sort(n::desc::,k)@after(1,::null::)?limit=5&accept=text%2Fcsv;x&="
    )

    with pytest.raises(HttpError):
        parse(text)
    assert parse(text.removesuffix("&=")) == DataQuery(
        api="attributegroup",
        path=(_JOB,),
        outputs=(
            OutputItem(alias=None, column=("A", "a")),
            OutputItem(
                alias="k", column=("b",), function="bin", arguments=("3", "0", "9")
            ),
        ),
        extras=(OutputItem(alias="n", column=(STAR,), function="cnt"),),
        sort=(SortKey(name="n", descending=True), SortKey(name="k")),
        after=("1", None),
        options=(("limit", ("5",)), ("accept", ("text/csv",)), ("x", ())),
    )


def test_a_column_called_star_is_not_every_column() -> None:
    star, named = parse("attribute/Job/*").outputs, parse("attribute/Job/%2A").outputs

    assert [item.column for item in (*star, *named)] == [(STAR,), ("*",)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "entity",
        "entity/",
        "entity/Job/",
        "entity//Job",
        "entity/Job/a==1",
        "entity/Job/a=1=2",
        "entity/Job/a=b c",
        "entity/Job/a=%G0",
        "entity/Job/a=%ff",
        "entity/Job/a::Null::",
        "entity/Job/(a=1",
        "entity/Job/()",
        "entity/Job/$",
        "entity/A:=B:=Job",
        "entity/Job@sort()",
        "entity/Job@sort(a::null::)",
        "entity/Job@sort(a)@after(::desc::)",
        "entity/Job/@sort(a)",
        "entity/Job@nosuch(a)",
        "attribute/Job",
        "attribute/Job/a;b",
        "attribute/Job/a=1",
        "nosuch/Job",
    ],
)
def test_what_is_not_in_the_language_gets_a_400(text: str) -> None:
    with pytest.raises(HttpError) as refused:
        parse(text)

    assert refused.value.status == 400
    assert refused.value.text.startswith("Request malformed. Detail: ")

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ermpoll
from ermpoll.catalog import paths
from ermpoll.errors import UsageError
from ermpoll.sandbox import Box
from tests.helpers.tables import add, make_table

#: What a text column takes.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
wire = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def table(shared_box: Box) -> Iterator[ermpoll.Catalog]:
    """A table with a text and a number column, both of unpleasant names."""
    shared_box.faults()
    catalog = ermpoll.connect(shared_box.new_catalog(), {})
    make_table(catalog, {"a/b;c,d=ü": "text", "sort": "int4", "flag": "boolean"})
    yield catalog
    catalog.close()


def rows(catalog: ermpoll.Catalog, *parts: str) -> list[dict[str, Any]]:
    page = catalog.get(paths.join("entity", "Ops:Job", *parts))
    assert page is not None
    return page.rows


@wire
@given(texts, texts)
def test_a_filter_finds_the_value_and_no_other(table, value, other):
    wanted, unwanted = add(table, {"a/b;c,d=ü": value}, {"a/b;c,d=ü": other})

    found = {row["RID"] for row in rows(table, paths.equals("a/b;c,d=ü", value))}

    assert wanted in found
    assert (unwanted in found) == (value == other)


def test_several_values_and_null_are_found_together(table):
    made = add(table, *({"sort": n, "flag": f} for n, f in ((1, True), (2, None))))

    def found(column: str, *values: Any) -> set[str]:
        return {r["RID"] for r in rows(table, paths.equals(column, *values))}

    assert found("sort", 1, 2) >= set(made)
    assert made[0] not in found("flag", None, False)
    assert made[1] in found("flag", None, False)
    assert made[0] in found("flag", True)


def test_nothing_to_compare_with_is_refused():
    with pytest.raises(UsageError, match="expected a value to compare 'state' with"):
        paths.equals("state")


def test_a_lone_surrogate_is_refused_with_its_place():
    with pytest.raises(UsageError, match=r"lone surrogate in 'a\\ud800'"):
        paths.quote("a\ud800")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_quoted_name_holds_no_syntax(name):
    assert set(paths.quote(name)) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%"
    )


def test_parts_are_joined_without_doubled_slashes():
    assert paths.join("entity/", "", "/S:T", "a=1") == "entity/S:T/a=1"


def test_keys_and_targets_may_have_aliases():
    text = paths.keys_and_targets(["RID", "was:=a b"], ["a b", "x,y"])

    assert text == "RID,was:=a%20b;a%20b,x%2Cy"


def test_names_are_listed_quoted():
    assert paths.names(["RID", "a,b"]) == "RID,a%2Cb"


# orders


def test_an_order_ends_with_the_rid():
    assert paths.Order("priority::desc::, RCT").sort() == (
        "@sort(priority::desc::,RCT,RID)"
    )
    assert paths.Order("RID::desc::").sort() == "@sort(RID::desc::)"
    assert paths.Order("a b").columns == ["a b", "RID"]


@pytest.mark.parametrize("text", ["", "a,,b", "a,"])
def test_an_order_with_an_empty_key_is_refused(text):
    with pytest.raises(UsageError, match="expected an order like"):
        paths.Order(text)


@pytest.mark.parametrize("text", ["sort,flag", "a/b", "sort::desc::"])
def test_paging_past_each_row_meets_every_row_once(shared_box, text):
    catalog = ermpoll.connect(shared_box.new_catalog(), {})
    make_table(catalog, {"a/b": "text", "sort": "int4", "flag": "boolean"})
    values = [None, "", "x,y", "z(", "x,y"]
    made = add(
        catalog, *({"a/b": v, "sort": n % 2 or None} for n, v in enumerate(values))
    )
    order = paths.Order(text)
    met: list[Any] = []
    after = ""
    while page := catalog.get(f"entity/Ops:Job{order.sort()}{after}?limit=2").rows:
        met += [row["RID"] for row in page]
        after = order.after(page[-1])

    assert sorted(met) == sorted(made)
    catalog.close()


def test_the_order_by_one_column_takes_any_name():
    order = paths.Order.by("Size, GB::desc::", descending=True)

    assert order.sort() == "@sort(Size%2C%20GB%3A%3Adesc%3A%3A::desc::,RID)"
    assert order.after({"Size, GB::desc::": None, "RID": "1-A"}) == (
        "@after(::null::,1-A)"
    )
    assert paths.Order.by("RID").columns == ["RID"]

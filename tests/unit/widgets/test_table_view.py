from __future__ import annotations

from ermpoll.widgets.parts.table_view import TableView, apply

ROWS = [
    {"RID": "1", "Name": "b", "Size": 3},
    {"RID": "2", "Name": "A", "Size": None},
    {"RID": "3", "Name": None, "Size": 1},
]
TYPES = {"Name": "string", "Size": "Int64"}


def rids(view, **more):
    return [row["RID"] for row in apply(view, ROWS, TYPES, ("RID", "Name"), **more)]


def test_a_column_is_sorted_upwards_then_downwards_then_not_at_all():
    up = TableView().sorted_by("Name")
    down = up.sorted_by("Name")

    assert rids(up) == ["2", "1", "3"]
    assert rids(down) == ["1", "2", "3"]
    assert down.sorted_by("Name") == TableView()
    assert down.sorted_by("Size") == TableView(order="Size")


def test_what_is_asked_of_columns_and_the_search_narrow_together():
    asked = TableView().filtered("Size", "1..").searched("B")

    assert rids(asked) == ["1"]
    assert asked.narrows
    assert not asked.searched(" ").filtered("Size", "").narrows


def test_a_row_that_shows_two_values_is_found_by_either_and_sorted_by_the_last():
    def values(row, column):
        return (row.get(column), "new" if row["RID"] == "3" else "z")

    assert rids(TableView().filtered("Name", "=new"), values=values) == ["3"]
    assert rids(TableView().sorted_by("Name"), values=values)[0] == "3"

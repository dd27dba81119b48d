from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ermpoll.records import Change, Page, PlannedPut, Running

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_a_change_tells_the_columns_that_differ_and_new_ones():
    change = Change(
        rid="1-A",
        rmt="t",
        before={"state": "new", "name": "a"},
        after={"state": "done", "name": "a", "note": None},
    )

    assert change.diff == {"state": ("new", "done"), "note": (None, None)}


def test_a_put_tells_its_rows_in_order():
    put = PlannedPut(path="entity/S:T", rows=({"RID": "1-B"}, {"RID": "1-A"}))

    assert put.rids == ("1-B", "1-A")


@pytest.mark.parametrize(
    "record",
    [
        Page(rows=[{"name": "Ada"}], etag=None, url="https://catalog.example"),
        Change(rid="1-A", rmt="t", before={"name": "Ada"}, after={"name": "Ada"}),
        PlannedPut(path="entity/S:T", rows=({"name": "Ada"},)),
        Running(rid="1-A", since=NOW, row={"name": "Ada"}),
    ],
    ids=lambda record: type(record).__name__,
)
def test_what_a_row_holds_stays_out_of_a_repr(record):
    assert "Ada" not in repr(record)

from __future__ import annotations

import ermpoll
from tests.helpers.tables import add, queue

NEW = {"state": "actionable"}


def test_rows_are_read_whatever_their_state_without_those_that_are_gone(catalog):
    a, b = add(catalog, {"state": "complete"}, NEW)

    found = queue(catalog).read_rows([b, "1-NONE", a])

    assert {rid: row["state"] for rid, row in found.items()} == {
        a: "complete",
        b: "actionable",
    }


def test_each_listing_shows_its_own_columns_beside_those_asked_for(catalog):
    table = queue(catalog, columns=["name"])

    assert table.columns == ("RID", "name")
    assert table.shown_columns("held") == ("RID", "name", "owner", "RMT", "RMB")
    assert table.shown_columns("failures") == (
        "RID", "name", "state", "error", "attempts", "RMT",
    )  # fmt: skip


def test_a_row_has_a_page_in_chaise(catalog):
    server, _, number = catalog.url.partition("/ermrest/catalog/")

    link = queue(catalog).link("1-A B")

    assert link == f"{server}/chaise/record/#{number}/Ops:Job/RID=1-A%20B"


def test_a_read_only_catalog_is_why_nothing_can_be_written(catalog):
    still = queue(ermpoll.connect(catalog.url, read_only=True))

    assert still.why_not_writable == "the catalog was connected read-only"
    assert queue(catalog).why_not_writable == ""

from __future__ import annotations

import pytest

from ermpoll.widgets.parts.row_readers import ListRows, QueueRows
from ermpoll.widgets.parts.table_view import TableView


def read(reader, view, size):
    """All pages of a view."""
    page = reader.page(view, None, size)
    yield page
    while page.more:
        page = reader.page(view, reader.place(view, page.rows[-1]), size)
        yield page


VIEWS = [
    TableView(),
    TableView(order="Bytes"),
    TableView(order="File_Name", descending=True),
    TableView(order="Acquired").filtered("Bytes", "..5000000000"),
    TableView().searched("light"),
    TableView().filtered("Priority", "2").filtered("File_Name", "h5"),
]


@pytest.mark.parametrize("view", VIEWS)
def test_a_catalog_and_rows_at_hand_show_the_same_in_a_view(jobs, view):
    rows = jobs.candidates(limit=1000).rows
    remote = QueueRows(jobs)
    local = ListRows(lambda: rows, lambda: remote.columns, jobs.types)

    made = [
        [row["RID"] for page in read(reader, view, 7) for row in page.rows]
        for reader in (remote, local)
    ]

    assert made[0] == made[1]
    assert remote.count(view) == local.count(view) == len(made[0]) > 0


def test_failed_rows_are_paged_the_newest_first(jobs):
    reader = QueueRows(jobs, failures=True)

    pages = list(read(reader, TableView(), 4))

    rids = [row["RID"] for page in pages for row in page.rows]
    assert rids == list(jobs.failures(limit=500).rids)
    assert reader.count(TableView()) == len(rids)
    assert {len(page.rows) for page in pages[:-1]} == {4}


def test_what_has_no_order_or_is_not_read_is_not_sorted_by(box):
    jobs = box.jobs(columns=("File_Name", "Metadata"))
    reader = QueueRows(jobs)

    assert reader.sortable("File_Name")
    assert reader.sortable("RID")
    assert not reader.sortable("Metadata")
    assert not reader.sortable("Bytes")


def test_of_300_columns_20_are_shown(box):
    reader = QueueRows(box.jobs(), columns=[f"C{n}" for n in range(300)])

    assert len(reader.columns) == 20


def test_of_a_table_without_chosen_columns_those_that_hold_something_come_first(box):
    reader = QueueRows(box.jobs(columns=None))

    reader.page(TableView(), None, 10)

    names = reader.columns
    assert names[0] == "Processing_Status"
    assert names.index("File_Name") < names.index("Processing_Error")
    assert names.index("Processing_Error") < names.index("RMT")
    assert len(names) == 20


def test_behind_a_row_that_is_gone_rows_at_hand_begin_anew():
    rows = [{"RID": "1"}, {"RID": "2"}]
    reader = ListRows(lambda: rows, lambda: (), {})

    assert reader.page(TableView(), {"RID": "9"}, 1).rows == [{"RID": "1"}]
    assert reader.page(TableView(), {"RID": "1"}, 1).rows == [{"RID": "2"}]

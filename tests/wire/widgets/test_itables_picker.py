from __future__ import annotations

import sys

import pytest

import ermpoll
from ermpoll.errors import UsageError
from tests.helpers import pages
from tests.helpers.conditions import wait_until

pytest.importorskip("itables.widget")


@pytest.fixture
def preview(jobs, keep):
    return keep(ermpoll.preview(jobs, table="itables"))


def test_rows_selected_in_itables_are_what_the_preview_acts_on(preview):
    rids = preview.candidates.rids
    preview.table._table.selected_rows = [1, 3]

    assert preview.selected == (rids[1], rids[3])
    wait_until(lambda: preview.buttons.arm.description == "Claim 2…")
    assert len(preview.claim()) == 2


def test_all_rows_that_were_read_are_in_the_table(jobs, keep, box):
    box.add(60)

    preview = keep(ermpoll.preview(jobs, table="itables"))

    assert len(preview.shown) == jobs.waiting() > 50


def test_long_texts_are_cut_before_they_are_sent(jobs, keep, box):
    box.add(1, File_Name="x" * 5000, Priority=-1)

    preview = keep(ermpoll.preview(jobs, table="itables"))

    names = preview.table._table.df["File_Name"]
    assert any(name.startswith("x" * 400 + "…") for name in names)


def test_texts_are_text_though_rids_are_links(jobs, keep, box):
    evil = "<img src=x onerror='PWN=1'>"
    rid = box.add(1, File_Name=evil, Metadata={evil: evil}, Priority=-1)[0]
    jobs = box.jobs(columns=("File_Name", "Metadata", "Priority"))

    preview = keep(ermpoll.preview(jobs, table="itables"))

    row = preview.table._table.df.set_index("RID").filter(like=f">{rid}<", axis=0)
    assert row.index[0].startswith('<a href="http')
    assert pages.text_of(row.index[0]) == rid
    assert pages.text_of(row["File_Name"].iloc[0]) == evil
    assert "<img" not in str(row.iloc[0].to_dict())
    assert row["Priority"].iloc[0] == -1


def test_selecting_by_code_selects_in_the_table(preview):
    rids = preview.candidates.rids

    preview.select([rids[2]])

    assert preview.table._table.selected_rows == [2]


def test_the_selection_shrinks_with_the_table(preview, jobs, box):
    rids = preview.candidates.rids
    preview.select([rids[1], rids[-1]])
    with jobs.claim(rows=rids[10:], limit=len(rids)) as claim:
        preview.look_now()

        assert len(claim) == len(rids) - 10
        assert preview.selected == (rids[1],)
        assert preview.buttons.arm.description == "Claim 1…"


def test_a_selection_that_comes_late_from_a_longer_table_does_no_harm(preview):
    rids = preview.candidates.rids

    preview.table._table.selected_rows = [2, len(rids), 5000]
    preview.refresh()

    assert preview.selected == (rids[2],)
    assert preview.buttons.arm.description == "Claim 1…"


def test_a_table_of_another_kind_or_without_itables_says_what_to_do(jobs, monkeypatch):
    with pytest.raises(UsageError, match="expected table to be"):
        ermpoll.preview(jobs, table="grid")

    monkeypatch.setitem(sys.modules, "itables.widget", None)
    with pytest.raises(UsageError, match="pip install 'ermpoll\\[lab\\]'"):
        ermpoll.preview(jobs, table="itables")

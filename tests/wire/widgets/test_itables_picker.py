from __future__ import annotations

import sys

import pytest

import ermpoll
from ermpoll.errors import UsageError
from tests.helpers.conditions import wait_until

pytest.importorskip("itables.widget")


@pytest.fixture
def preview(jobs, keep):
    return keep(ermpoll.preview(jobs, table="itables"))


def test_rows_selected_in_itables_are_what_the_preview_acts_on(preview):
    rids = preview.candidates.rids
    preview._picks.widget.selected_rows = [1, 3]

    assert preview.selected == (rids[1], rids[3])
    wait_until(lambda: preview.buttons.claim.description == "Claim 2 selected")
    assert len(preview.claim()) == 2


def test_all_rows_that_were_read_are_in_the_table(jobs, keep, box):
    box.add(60)

    preview = keep(ermpoll.preview(jobs, table="itables"))

    assert len(preview.shown) == jobs.waiting() > 50


def test_long_texts_are_cut_before_they_are_sent(jobs, keep, box):
    box.add(1, File_Name="x" * 5000, Priority=-1)

    preview = keep(ermpoll.preview(jobs, table="itables"))

    assert "x" * 400 + "…" in set(preview._picks.widget.df["File_Name"])


def test_selecting_by_code_selects_in_the_table(preview):
    rids = preview.candidates.rids

    preview.select([rids[2]])

    assert preview._picks.widget.selected_rows == [2]


def test_the_selection_shrinks_with_the_table(preview, jobs, box):
    rids = preview.candidates.rids
    preview.select([rids[1], rids[-1]])
    with jobs.claim(rows=rids[10:], limit=len(rids)) as claim:
        preview.look_now()

        assert len(claim) == len(rids) - 10
        assert preview.selected == (rids[1],)
        assert "1 selected" in preview._title.value


def test_a_selection_that_comes_late_from_a_longer_table_does_no_harm(preview):
    rids = preview.candidates.rids

    preview._picks.widget.selected_rows = [2, len(rids), 5000]
    preview.refresh()

    assert preview.selected == (rids[2],)
    assert preview.buttons.claim.description == "Claim 1 selected"


def test_a_table_of_another_kind_or_without_itables_says_what_to_do(jobs, monkeypatch):
    with pytest.raises(UsageError, match="expected table to be"):
        ermpoll.preview(jobs, table="grid")

    monkeypatch.setitem(sys.modules, "itables.widget", None)
    with pytest.raises(UsageError, match="pip install 'ermpoll\\[lab\\]'"):
        ermpoll.preview(jobs, table="itables")

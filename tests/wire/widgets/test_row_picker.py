from __future__ import annotations

import pytest

import ermpoll
from ermpoll.widgets.parts.row_picker import RowPicker


@pytest.fixture
def preview(jobs, keep):
    return keep(ermpoll.preview(jobs))


def test_what_is_ticked_is_selected_and_stays_so_when_the_order_changes(preview):
    rids = preview.candidates.rids
    preview._picks._boxes[1].value = True

    preview._down.value = True
    preview.refresh()

    assert preview.selected == (rids[1],)
    assert preview.buttons.claim.description == "Claim 1 selected"


def test_a_click_that_is_under_way_to_a_row_just_gone_ticks_no_other(jobs):
    shown = jobs.candidates(limit=13)
    picks = RowPicker("Rows", 10, lambda: None)
    picks.show(jobs, shown.rows[3:], ["RID"])
    *kept, last = picks._boxes

    picks.show(jobs, [shown.rows[0], *shown.rows[3:12]], ["RID"])
    last.value = True
    kept[0].value = True

    assert picks.selected == (shown.rids[3],)
    for n in (1, 2):
        picks.show(jobs, shown.rows[n : n + 10], ["RID"])
    assert picks.selected == (shown.rids[3],)
    picks.close()

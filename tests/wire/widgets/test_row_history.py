from __future__ import annotations

import pytest

import ermpoll
from ermpoll.errors import ReadingStopped, UsageError
from ermpoll.widgets.parts.row_history import RowHistory
from tests.helpers import pages


def test_a_preview_tells_what_became_of_the_first_ticked_row(jobs, keep):
    preview = keep(ermpoll.preview(jobs))
    rid = preview.candidates.rids[1]
    preview.select([rid])

    told = preview.history()

    assert told.rid == rid
    assert "came to be" in pages.text_of(preview.table.widget.page["details"][rid])
    assert not preview.buttons.history.disabled


def test_a_monitor_tells_what_became_of_a_failed_row(monitor, jobs):
    rid = jobs.failures().rids[0]
    assert monitor.buttons.history.disabled
    monitor.select([rid])

    told = monitor.history()

    assert told.rid == rid
    details = monitor._table.failed.table.widget.page["details"]
    assert rid in pages.text_of(details[rid])
    assert not monitor.buttons.history.disabled


def test_without_a_ticked_row_it_says_what_to_do(jobs):
    with pytest.raises(UsageError, match="tick one"):
        RowHistory(jobs).open([])


def test_a_reading_ends_when_its_panel_is_closed(jobs):
    drawer = RowHistory(jobs)
    drawer.close()

    with pytest.raises(ReadingStopped):
        drawer.open(jobs.candidates(1).rows)
    assert drawer.html == ""

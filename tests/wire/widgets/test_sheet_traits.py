from __future__ import annotations

from datetime import UTC

import pytest

from ermpoll.widgets.parts.paging import Pages
from ermpoll.widgets.parts.row_readers import ListRows
from ermpoll.widgets.parts.row_table import rows_drawn
from ermpoll.widgets.parts.sheet_traits import Chip, page_trait, pressed
from ermpoll.widgets.parts.table_view import TableView
from tests.helpers import pages as stand_ins

CHIPS = [
    Chip(key="bad", text="2 failed", filters={"what": "=failed"}),
    Chip(key="gpu", text="GPU, 211", filters={"what": "=failed", "why": "=gpu"}),
]


def test_one_chip_is_pressed_at_a_time_and_pressed_again_shows_all():
    asked = TableView().filtered("Size", "5")

    bad = pressed(CHIPS, "bad", asked)
    gpu = pressed(CHIPS, "gpu", bad)

    assert bad.filters == {"Size": "5", "what": "=failed"}
    assert gpu.filters == {"Size": "5", "what": "=failed", "why": "=gpu"}
    assert pressed(CHIPS, "gpu", gpu) == asked


@pytest.mark.parametrize("wide", [1, 300])
def test_a_page_stays_small_and_shows_each_row_that_can_be_ticked(wide):
    names = tuple(f"column <{n}>" for n in range(wide))
    rows = [
        {"RID": f"1-{n}", **dict.fromkeys(names, "<&" * 500_000)} for n in range(50)
    ]
    # so long that fewer rows would be shown, could they not be ticked
    jobs = stand_ins.jobs(
        columns=names, link=lambda rid: f"https://x.example/{'y' * 2500}"
    )
    made = Pages(ListRows(lambda: rows, lambda: names, {}), 50, lambda: None)
    made.load()

    trait = page_trait(made, rows_drawn(jobs, "Rows", lambda: names), UTC, {})

    assert sum(len(str(part).encode()) for part in trait.values()) < 200_000
    text = stand_ins.text_of(trait["html"])
    assert "1-49" in text
    assert "(1,000,000 characters)" in text
    assert len(trait["rids"]) == 50

from __future__ import annotations

from ermpoll import render
from ermpoll.render.page import fitted
from tests.helpers import pages


def test_a_table_of_300_columns_with_cells_of_a_megabyte_stays_small():
    names = tuple(f"column <{number}>" for number in range(300))
    rows = [{"RID": "1-A", **dict.fromkeys(names, "<&" * 500_000)}] * 60
    shown = pages.candidates(rows, columns=names, jobs=pages.jobs(columns=names))

    html = render.candidates(shown)

    assert len(html.encode()) <= 200_000
    assert "20 of 300 columns" in pages.text_of(html)
    assert "(1,000,000 characters)" in pages.text_of(html)


def test_what_never_gets_small_enough_is_cut_as_far_as_can_be():
    tried = []

    fitted(lambda caps: tried.append(caps.rows) or "x" * 1_000_000)

    assert tried[0] == 50
    assert tried[-1] == 3

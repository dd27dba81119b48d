from __future__ import annotations

from ermpoll import render
from ermpoll.history import Comparison
from ermpoll.history.comparison import RowPair, of_cells, pair_cells
from ermpoll.render.comparisons import since_before
from ermpoll.render.page import Caps
from tests.helpers import pages
from tests.helpers.lives import at


def comparison(first, second, **told):
    cells = pair_cells({"name": "<b>x"}, first, second)
    row = RowPair(rid="1-A", likeness=of_cells(cells), cells=cells, **told)
    return Comparison(jobs=pages.jobs(), rows=(row,), names={"ada": "Ada <i>"})


def test_what_the_catalog_says_is_escaped():
    shown = comparison(
        {"name": "<script>"}, {"name": "<img>"}, note="<u>", done_at=at(9), by="ada"
    )

    page = render.comparison(shown)

    for hostile in ("<b>x", "<script>", "<img>", "<u>", "Ada <i>"):
        assert hostile not in page
    assert "&lt;script&gt;" in page


def test_the_text_names_each_cell_that_differs():
    shown = comparison({"name": "a", "state": "done"}, {"name": "b", "state": "done"})

    assert render.comparison_text(shown).splitlines()[1:] == [
        "1-A other",
        "    name other: a a, b b",
    ]


def test_times_stand_where_there_are_any():
    cells = {"state": "done"}

    assert "would claim" in render.comparison(comparison(cells, cells, at=at(5)))
    assert "would claim" not in render.comparison(comparison(cells, cells))


def test_a_run_beside_the_one_before_shows_what_differs_alone():
    alike = pair_cells({"state": "new"}, {"state": "done"}, {"state": "done"})
    apart = pair_cells({"state": "new"}, {"state": "done"}, {"state": "review"})
    rows = (
        RowPair(rid="1-A", likeness=of_cells(alike), cells=alike),
        RowPair(rid="1-B", likeness=of_cells(apart), cells=apart, note="<u>"),
    )
    shown = Comparison(jobs=pages.jobs(), rows=rows, labels=("run before", "this run"))

    page = since_before(shown, Caps())

    text = pages.text_of(page)
    assert "1 cell would be written differently, in 1 row" in text
    assert "other 1-B state new done review other <u>" in text
    assert "1-A" not in text
    assert "<u>" not in page

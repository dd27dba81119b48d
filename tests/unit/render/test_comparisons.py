from __future__ import annotations

from ermpoll import render
from ermpoll.history import Comparison
from ermpoll.history.comparison import RowPair, of_cells, pair_cells
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

from __future__ import annotations

import pytest

from ermpoll.errors import UsageError
from ermpoll.widgets.parts import paging
from ermpoll.widgets.parts.paging import Pages
from ermpoll.widgets.parts.row_readers import ListRows

ROWS = [{"RID": f"{n}", "Size": n} for n in range(25)]


class Counted(ListRows):
    """A reader that counts its readings, and may fail."""

    def __init__(self):
        super().__init__(lambda: ROWS, lambda: ("Size",), {"Size": "Int64"})
        self.readings = self.counts = 0
        self.error = None

    def count(self, view):
        self.counts += 1
        return super().count(view)

    def page(self, view, after, limit):
        self.readings += 1
        if self.error:
            raise self.error
        return super().page(view, after, limit)


@pytest.fixture
def pages():
    made = Pages(Counted(), 10, lambda: None)
    made.load()
    return made


def shown(pages):
    return [row["RID"] for row in pages.page.rows]


def test_pages_turn_forth_and_back_and_not_past_the_ends(pages):
    for step, first in ((-1, "0"), (1, "10"), (1, "20"), (1, "20"), (-1, "10")):
        pages.turn(step)
        pages.load(anew=False)
        assert shown(pages)[0] == first
    pages.turn(0)
    pages.load(anew=False)

    assert (shown(pages)[0], pages.first, pages.total) == ("0", 0, 25)


def test_a_turned_page_costs_no_count_and_remembers_no_row(pages):
    counted = pages.reader.counts

    for step in (1, 1, -1):
        pages.turn(step)
        pages.load(anew=False)

    assert pages.reader.counts == counted
    assert pages.place.befores == ({"RID": "9"},)
    pages.load()
    assert pages.reader.counts == counted + 1


def test_a_reading_that_was_overtaken_is_left_out(pages):
    for text in ("1", "12", "12.."):
        pages.want(pages.view.filtered("Size", text))
    before = pages.reader.readings
    for _ in range(3):
        pages.load(anew=False)

    assert pages.reader.readings == before + 1
    assert shown(pages)[0] == "12"


def test_a_page_that_cannot_be_read_leaves_what_was_there_and_can_be_tried_again(pages):
    pages.reader.error = UsageError("away")
    pages.turn(1)
    with pytest.raises(UsageError):
        pages.load()
    assert (shown(pages)[0], pages.view) == ("0", pages.place.view)

    pages.reader.error = None
    pages.turn(1)
    pages.load()

    assert shown(pages)[0] == "10"


def test_all_that_match_are_read_unless_they_are_too_many(pages, monkeypatch):
    monkeypatch.setattr(paging, "_STRIDE", 7)
    view = pages.view.filtered("Size", ">=5")

    assert len(pages.all(view)) == 20
    monkeypatch.setattr(paging, "MOST", 19)
    with pytest.raises(UsageError, match="at most 19 rows to act on, found more"):
        pages.all(view)

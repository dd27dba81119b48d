from __future__ import annotations

import pytest

from ermpoll.shown import MOST_LINES, Shown, brief


class Page(Shown):
    def __init__(self, rows: int) -> None:
        self._rows = rows

    def __repr__(self) -> str:
        return f"<Page of {self._rows}>"

    def _repr_html_(self) -> str:
        return "".join(f"<p>row {n}</p>" for n in range(self._rows))


class Printed:
    """What IPython hands out."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def text(self, obj: str) -> None:
        self.words.append(obj)


def test_print_shows_the_page_as_lines_and_repr_stays_one():
    assert str(Page(2)) == "row 0\nrow 1"
    assert repr(Page(2)) == "<Page of 2>"


@pytest.mark.parametrize(
    ("cycle", "shown"), [(False, "row 0\nrow 1"), (True, "<Page of 2>")]
)
def test_ipython_shows_the_same_but_in_a_circle(cycle, shown):
    printer = Printed()
    Page(2)._repr_pretty_(printer, cycle)

    assert printer.words == [shown]


def test_a_screen_is_enough_and_what_is_cut_is_counted():
    whole, cut = str(Page(MOST_LINES)), str(Page(MOST_LINES + 1))

    assert whole.splitlines()[-1] == f"row {MOST_LINES - 1}"
    assert cut.splitlines()[-2:] == ["row 18", "… and 2 more lines"]
    assert len(cut.splitlines()) == MOST_LINES
    assert brief("") == ""


def test_what_shows_nothing_says_so():
    with pytest.raises(NotImplementedError):
        str(Shown())

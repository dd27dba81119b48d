"""A lesson stands whatever a student clicks: every cell is right, every check passes.

A student runs a cell, clicks about in the panels that are there, and runs the next.
At the end all cells are run once more, over all that the clicks have done.
"""

from __future__ import annotations

import random

import nbformat
import pytest

from tests.end_to_end.test_notebooks import NOTEBOOKS

pytestmark = [pytest.mark.chromium, pytest.mark.long, pytest.mark.timeout(300)]

SEEDS = range(2)
#: Clicks after each cell, at most.
CLICKS = 4
OFFERED = "button:enabled:visible, input[type=checkbox]:visible"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_lesson_stands_whatever_was_clicked(path, seed, running_lab, open_book):
    running_lab.copy(path.name)
    book, student = open_book(path.name), Student(seed)
    cells = nbformat.read(path, as_version=4).cells
    of_code = [n for n, cell in enumerate(cells) if cell.cell_type == "code"]

    for index in of_code[:-1]:
        book.run_cell(index)
        assert (student, index, amiss(book)) == (student, index, [])
        student.click_about(book, index)
    assert student.clicked or not book.page.locator(".jupyter-button").count()
    # the last one ends the lesson: a panel that is over invites nobody
    book.run_cell(of_code[-1])
    book.run_all()

    assert (student, amiss(book), book.complaints) == (student, [], [])


def amiss(book) -> list[str]:
    """The error outputs, but for the news of a broker that a lesson cuts off."""
    lines = "\n".join(book.errors()).splitlines()
    return [line for line in lines if line and not line.startswith("no notices: ")]


class Student:
    """Clicks what panels offer, by chance; knows what it clicked after which cell."""

    def __init__(self, seed: int) -> None:
        self.seed, self.clicked = seed, []
        self._chance = random.Random(seed)

    def __repr__(self) -> str:
        return f"<student {self.seed}: {'; '.join(self.clicked)}>"

    def click_about(self, book, index: int) -> None:
        """Click a few times in all the panels there are."""
        before: set[str] = set()
        for _ in range(self._chance.randint(0, CLICKS)):
            offered = book.page.locator(".ermpoll-live").locator(OFFERED)
            names = offered.evaluate_all("all => all.map(one => one.innerText)")
            if not names:
                return
            name = self._choose(set(names), before)
            before = set(names)
            self._click(offered.nth(self._any(names, name)), f"{index} {name}")
            book.page.wait_for_timeout(self._chance.choice((0, 100, 1000)))

    def _choose(self, names: set[str], before: set[str]) -> str:
        """Choose a name, more likely one that a click has brought: a question."""
        new = names - before if before else set()
        asked = new and self._chance.random() < 0.6
        return self._chance.choice(sorted(new if asked else names))

    def _any(self, names: list[str], name: str) -> int:
        return self._chance.choice([n for n, one in enumerate(names) if one == name])

    def _click(self, chosen, told: str) -> None:
        from playwright.sync_api import Error

        try:
            chosen.click(timeout=1000)
        except Error:
            return  # it was put away or switched off meanwhile
        self.clicked.append(told)

"""What a panel leaves in a notebook for those who open it without its kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

from ermpoll.widgets.still import EVERY_S, VIEW, Still, in_kernel


class Page:
    """A panel and the page that shows it, and a clock."""

    def __init__(self) -> None:
        self.text, self.now = "<p>begun</p>", 100.0
        self.shown: list[Mapping[str, Any]] = []
        self.written: list[str] = []
        self.still = Still(lambda: self.text, lambda: self.now, self._show)

    def _show(self, bundle: Mapping[str, Any], *, display_id: bool = False) -> Any:
        self.shown.append(bundle)
        return self if display_id else None

    def update(self, bundle: Mapping[str, Any], *, raw: bool) -> None:
        assert raw
        self.written.append(bundle["text/plain"])

    def says(self, text: str) -> None:
        self.text = f"<p>{text}</p>"
        self.still.write()


@pytest.fixture
def page() -> Page:
    made = Page()
    made.still.begin({"model_id": "7"})
    return made


def test_it_is_two_outputs_that_know_each_other(page):
    still, living = page.shown

    assert f'class="{page.still.name}"' in still["text/html"]
    assert "begun" in still["text/html"]
    assert living == {VIEW: {"model_id": "7"}, "text/plain": ""}


def test_it_is_written_as_the_panel_changes_but_not_too_often(page):
    page.says("one")
    page.says("two")
    assert page.written == []
    assert page.still.due_s == EVERY_S
    page.now += EVERY_S
    assert page.still.due_s == 0
    page.says("three")
    assert page.written == ["three"]
    # nothing is owed, so no thread has to wake for it
    assert page.still.due_s is None


def test_what_has_not_changed_is_not_written(page):
    page.now += EVERY_S
    page.says("begun")

    assert page.written == []


def test_the_last_state_is_written_at_once(page):
    page.text = "<p>the end</p>"
    page.still.write(last=True)

    assert page.written == ["the end"]


def test_a_panel_that_is_on_no_page_writes_nothing():
    page = Page()
    page.still.write(last=True)

    assert page.written == []
    assert page.still.due_s is None


def test_here_is_no_kernel():
    assert not in_kernel()


CELLS = [
    "import ermpoll\nbox = ermpoll.sandbox.start()\njobs = box.jobs()",
    "agent = ermpoll.Agent(jobs, lambda row: None, name='night')\n"
    "panel = agent.panel()\npanel",
    "done = agent.run(until_idle=True).done\n"
    "told = lambda: ' '.join(str(panel._repr_mimebundle_()['text/plain']).split())\n"
    "while f'{done} completed' not in told():\n    pass\n"
    "panel.close()\nprint(done)",
]


@pytest.fixture(scope="module")
def book() -> Any:
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    NotebookClient(made, timeout=60).execute()
    return made


def test_a_saved_notebook_has_the_last_state(book):
    still, living = book.cells[1].outputs
    done = int(book.cells[2].outputs[0].text)

    assert done > 0
    assert f"{done} completed" in still.data["text/plain"].replace("\n", " ")
    assert VIEW in living.data
    assert "text/html" not in living.data


def test_an_export_shows_it_once(book):
    page, _ = HTMLExporter().from_notebook_node(book)

    assert page.count("As it was when the notebook was saved") == 1
    assert "model not found" not in page

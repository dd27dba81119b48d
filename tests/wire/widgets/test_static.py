"""Panels where there are no widgets: saved files, exports and terminals."""

from __future__ import annotations

import copy
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter, MarkdownExporter

TOKEN = "planted-8c1d2f7e55b04a7c"
CELLS = [
    "import ermpoll\n"
    f"box = ermpoll.sandbox.start(token={TOKEN!r})\njobs = box.jobs()\n"
    "def hold(row):\n    return {'Processing_Status': 'hold'}",
    "ermpoll.preview(jobs)",
    "ermpoll.dry_run(jobs, hold, limit=3)",
    "console = ermpoll.console(jobs, lambda row: {'Priority': 1}, workers=2)\nconsole",
    "console.start()\nconsole.stop()",
    "console.agent",
    "jobs.plan(hold, limit=2)",
    "console.close()\nbox.stop()",
]


@pytest.fixture(scope="module")
def book():
    """A notebook run without a browser, its widgets' state stored."""
    made = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS]
    )
    NotebookClient(made, timeout=60, store_widget_state=True).execute()
    return made


@pytest.mark.timeout(90)
def test_every_panel_keeps_a_view_html_and_text_in_a_saved_notebook(book):
    for cell in book.cells[1:4]:
        still, living = cell.outputs
        assert set(still.data) == {"text/plain", "text/html"}
        assert set(living.data) == {
            "text/plain",
            "application/vnd.jupyter.widget-view+json",
        }


def test_data_objects_are_static_html_alone(book):
    for cell in book.cells[5:7]:
        assert set(cell.outputs[-1].data) == {"text/plain", "text/html"}


def test_an_export_to_html_tells_the_story(book):
    # As JupyterLab saves it: without the state of the widgets.
    saved = copy.deepcopy(book)
    del saved.metadata["widgets"]

    html, _ = HTMLExporter(template_name="basic").from_notebook_node(saved)

    for part in ("<del>new</del> <ins>hold</ins>", "0 writes sent", "stopped"):
        assert part in html
    assert "<script>window" not in html


def test_an_export_to_markdown_tells_the_story(book):
    text, _ = MarkdownExporter().from_notebook_node(book)

    assert "<del>new</del> <ins>hold</ins>" in text
    assert "0 writes sent" in text


def test_no_login_is_in_a_saved_notebook_with_its_widgets_state(book):
    saved = copy.deepcopy(book)
    for cell in saved.cells:
        cell.source = ""

    assert "widgets" in saved.metadata
    assert TOKEN not in nbformat.writes(saved)


@pytest.mark.timeout(60)
def test_a_terminal_shows_panels_as_text():
    code = (
        "import ermpoll\nbox = ermpoll.sandbox.start()\njobs = box.jobs()\n"
        "change = lambda row: {'Processing_Status': 'hold'}\n"
        "display(ermpoll.dry_run(jobs, change, limit=2))\n"
        "display(ermpoll.watch(jobs))\nbox.stop()\n"
    )
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "IPython",
            "--no-banner",
            "--colors=NoColor",
            "-c",
            code,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )

    assert "-new +hold" in run.stdout, run.stderr
    assert "watch of Imaging:Image ○ not started" in run.stdout


def test_importing_the_widgets_starts_nothing_and_loads_no_pandas():
    code = (
        "import sys, threading, ermpoll.widgets\n"
        "assert 'pandas' not in sys.modules\n"
        "print([thread.name for thread in threading.enumerate()])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert run.stdout.strip() == "['MainThread']"

"""The course runs unattended, keeps its form, and leaks no login."""

from __future__ import annotations

import ast
import re
import secrets
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
LIMIT_S = 20

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code(path: Path) -> list[nbformat.NotebookNode]:
    book = nbformat.read(path, as_version=4)
    return [cell for cell in book.cells if cell.cell_type == "code"]


def prose(path: Path) -> str:
    book = nbformat.read(path, as_version=4)
    return "\n".join(cell.source for cell in book.cells if cell.cell_type != "code")


def tree(cell: nbformat.NotebookNode) -> ast.Module:
    """The cell as Python, its magics left out."""
    if cell.source.startswith("%%"):
        return ast.parse(cell.source.partition("\n")[2])
    return ast.parse(re.sub(r"(?m)^[!%].*$", "", cell.source))


def test_the_course_is_complete() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "00_start",
        "01_claim_rows",
        "02_dry_run",
        "03_poll_and_notices",
        "04_operate",
        "05_real_catalog",
    ]


@each_notebook
@pytest.mark.timeout(120)
def test_notebook_runs_unattended_and_stores_no_login(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = secrets.token_hex(16)
    monkeypatch.setenv("ERMPOLL_TOKEN", secret)
    monkeypatch.setenv("ERMPOLL_HOST", "localhost")
    book = nbformat.read(path, as_version=4)
    runner = NotebookClient(
        book,
        timeout=60,
        kernel_name="python3",
        store_widget_state=True,
        resources={"metadata": {"path": str(tmp_path)}},
    )

    began = time.monotonic()
    runner.execute()
    took_s = time.monotonic() - began

    assert took_s < LIMIT_S, f"{path.stem} took {took_s:.0f} s"
    assert secret not in nbformat.writes(book)
    assert not any(secret in file.read_text() for file in tmp_path.glob("*.*"))
    assert not [
        (output.name, output.text)
        for cell in book.cells
        for output in cell.get("outputs", [])
        if output.get("name") == "stderr"
    ]


@each_notebook
def test_notebook_has_one_cell_of_literal_parameters(path: Path) -> None:
    tagged = [c for c in code(path) if "parameters" in c.metadata.get("tags", [])]

    assert len(tagged) == 1
    assert tagged[0] is not None
    for statement in tree(tagged[0]).body:
        assert isinstance(statement, ast.AnnAssign), "a parameter says its type"
        assert statement.value is not None
        ast.literal_eval(statement.value)


@each_notebook
def test_notebook_has_the_parts_of_a_lesson(path: Path) -> None:
    text = prose(path)

    for part in ("**Goal.**", "**Time.**", "**One idea.**"):
        assert part in text
    for heading in ("Break it on purpose", "Check yourself", "Clean up"):
        assert re.search(rf"(?m)^## .*{heading}", text), heading
    assert any("assert " in cell.source for cell in code(path)[-3:])


@each_notebook
def test_notebook_is_short_and_needs_no_helpers(path: Path) -> None:
    book = nbformat.read(path, as_version=4)

    assert len(book.cells) <= 30
    for cell in code(path):
        for node in ast.walk(tree(cell)):
            if isinstance(node, ast.FunctionDef):
                lines = (node.end_lineno or 0) - node.lineno
                assert lines <= 5, f"{node.name} has {lines} lines in its body"


@each_notebook
def test_notebook_uses_public_names_only(path: Path) -> None:
    for cell in code(path):
        for node in ast.walk(tree(cell)):
            if isinstance(node, ast.Attribute):
                private = node.attr.startswith("_") and not node.attr.endswith("__")
                assert not private, f"{node.attr} is private"
            if isinstance(node, ast.ImportFrom) and node.module:
                assert not node.module.startswith("ermpoll."), node.module


@each_notebook
def test_only_the_last_notebook_knows_a_real_catalog(path: Path) -> None:
    uses = any("ERMPOLL_CATALOG" in cell.source for cell in code(path))

    assert uses == (path.stem == "05_real_catalog")

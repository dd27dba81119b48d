"""The import contracts hold, and would notice a wrong import."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    """Run the contracts of ``tree`` on its own copy of the package."""
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
            "--no-logo",
        ],
        cwd=tree,
        env={"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the package and its contracts, to spoil."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "ermpoll", tmp_path / "ermpoll", ignore=ignore)
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path


def test_every_contract_is_kept(tree: Path) -> None:
    done = lint(tree)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("planning", "from ermpoll import catalog", "layers below it"),
        ("frames", "import ermpoll.render", "layers below it"),
        ("schedule", "from ermpoll.notices import Notices", "layers below it"),
        ("sandbox/__init__", "import ermpoll.frames", "layers below it"),
        ("agent", "import ermpoll.sandbox", "needs the sandbox"),
        ("jobqueue", "import pandas", "pandas has one door"),
        ("catalog", "import jinja2", "jinja2 has one door"),
        ("agent", "import requests", "requests has one door"),
        ("poller", "import pika", "pika has one door"),
        ("cli", "import ipywidgets", "ipywidgets has one door"),
        ("catalog", "import tornado.web", "tornado has one door"),
        ("catalog", "import lark", "lark has one door"),
        ("catalog", "import deriva.core", "deriva has one door"),
    ],
)
def test_a_wrong_import_breaks_a_contract(
    tree: Path, module: str, line: str, contract: str
) -> None:
    path = tree / "ermpoll" / f"{module}.py"
    if not path.exists():
        path = tree / "ermpoll" / module / "__init__.py"
    path.write_text(f"{path.read_text()}\n{line}\n")

    done = lint(tree)

    assert done.returncode == 1, done.stderr
    broken = [text for text in done.stdout.splitlines() if "BROKEN" in text]
    assert any(contract in text for text in broken), broken


def test_a_module_that_no_layer_names_is_found(tree: Path) -> None:
    (tree / "ermpoll" / "helpers.py").write_text('"""Everything else."""\n')

    done = lint(tree)

    assert done.returncode == 1
    assert "helpers" in done.stdout

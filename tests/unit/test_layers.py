"""The import contracts hold, and would notice a wrong import."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


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


def copied(folder: Path) -> Path:
    """Copy the package and its contracts, to be spoiled."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "ermpoll", folder / "ermpoll", ignore=ignore)
    shutil.copy(ROOT / ".importlinter", folder)
    return folder


def test_every_contract_is_kept(tmp_path: Path) -> None:
    done = lint(copied(tmp_path))

    assert done.returncode == 0, done.stdout + done.stderr


#: Imports that each break a contract of their own.
WRONG = {
    "queue/plan": "ermpoll.polling",
    "render/frames": "ermpoll.catalog",
    "polling/schedule": "ermpoll.agent",
    "history/past": "ermpoll.history.versions",
    "sandbox/__init__": "ermpoll.render.frames",
    "sandbox/query/scope": "ermpoll.sandbox.schema",
    "agent/agent": "ermpoll.sandbox",
    "agent/held_jobs": "ermpoll.agent.cycle",
    "queue/queue": "pandas",
    "queue/results": "jinja2",
    "polling/poller": "pika",
    "queue/guarded_put": "requests",
    "cli": "ipywidgets",
    "queue/writer": "tornado",
    "queue/reading/queries": "lark",
    "queue/definition": "regex",
    "catalog/client": "deriva",
}

#: A circle inside a package, for the type checker alone.
CIRCLE = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import ermpoll.render.page
"""


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What is said of a copy with all the wrong imports in it."""
    tree = copied(tmp_path_factory.mktemp("wrong"))
    for module, imported in WRONG.items():
        path = tree / "ermpoll" / f"{module}.py"
        path.write_text(f"{path.read_text()}\nimport {imported}\n")
    path = tree / "ermpoll/render/values.py"
    path.write_text(f"{path.read_text()}{CIRCLE}")
    done = lint(tree)
    assert done.returncode == 1, done.stderr
    return done.stdout


@pytest.mark.parametrize("module", WRONG)
def test_a_wrong_import_is_found(complaints: str, module: str) -> None:
    importer = module.removesuffix("/__init__").replace("/", ".")

    assert f"ermpoll.{importer} -> {WRONG[module]} " in complaints


def test_a_circle_of_imports_for_the_type_checker_is_found(complaints: str) -> None:
    assert "No cycles are allowed in ermpoll.render." in complaints


def test_every_contract_has_an_import_that_breaks_it(complaints: str) -> None:
    assert " KEPT" not in complaints


def test_a_module_that_no_layer_names_is_found(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    (tree / "ermpoll" / "helpers.py").write_text('"""Everything else."""\n')

    done = lint(tree)

    assert done.returncode == 1
    assert "helpers" in done.stdout

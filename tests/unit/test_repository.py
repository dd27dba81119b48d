"""The files that tools read agree with each other."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TEST_COMMAND = 'pip install -e ".[test]" && pytest'
LAB_COMMAND = 'pip install -e ".[lab]" && ermpoll lab'


def bounds(requirements: list[str]) -> dict[str, str]:
    """Name (without extras) -> version bounds, of requirement strings."""
    parsed = (re.fullmatch(r"([\w.-]+)(?:\[.*\])?(.*)", one) for one in requirements)
    return {found[1]: found[2] for found in parsed if found}


def conda() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "environment.yml").read_text())  # type: ignore[no-any-return]


def test_environment_yml_asks_for_what_pyproject_does() -> None:
    wanted = bounds(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["lab"])

    plain = [line for line in conda()["dependencies"] if isinstance(line, str)]
    found = bounds([re.sub(r"(\w)=(?=\d)", r"\1==", line) for line in plain])

    assert found.pop("pip") == ""
    assert found.pop("python") == "==3.12"  # exact: Binder ignores a minimum
    assert found == wanted


def test_environment_yml_installs_this_package_with_lab() -> None:
    assert {"pip": ["-e .[lab]"]} in conda()["dependencies"]
    assert conda()["channels"] == ["conda-forge"]
    assert "# - rabbitmq-server" in (ROOT / "environment.yml").read_text()


def test_extras_build_on_each_other() -> None:
    extras = PROJECT["optional-dependencies"]

    assert "ermpoll[lab]" in extras["test"]
    assert "ermpoll[test]" in extras["dev"]


@pytest.mark.parametrize("command", [LAB_COMMAND, TEST_COMMAND])
def test_readme_has_the_two_commands_word_for_word(command: str) -> None:
    assert command in (ROOT / "README.md").read_text().splitlines()


def test_ci_runs_the_test_command_of_the_readme_and_asks_for_everything() -> None:
    script = (ROOT / ".ci/run").read_text()

    assert TEST_COMMAND in script
    assert "ERMPOLL_REQUIRE=rabbitmq,chromium,long" in script
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_the_workflow_runs_the_same_script_on_the_oldest_and_newest_python() -> None:
    job = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"][
        "check"
    ]

    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.13"]
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]


def test_the_hooks_are_the_linters_that_ci_runs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    script = (ROOT / ".ci/run").read_text()

    for hook in hooks["repos"][0]["hooks"]:
        tool = hook["entry"].removesuffix(" --force-exclude")
        assert f"\n{tool}" in script, f"{tool} is not run by .ci/run"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stored_bare(path: Path) -> None:
    book = nbformat.read(path, as_version=nbformat.NO_CONVERT)

    nbformat.validate(book)
    assert (book.nbformat, book.nbformat_minor) == (4, 5)
    assert set(book.metadata) <= {"kernelspec", "language_info"}
    assert book.metadata["kernelspec"]["name"] == "python3"
    for cell in book.cells:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None


def lines_of_code(path: Path) -> int:
    """Lines that are neither blank nor comment nor docstring."""
    text = path.read_text()
    lines = {
        number
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.strip().startswith("#")
    }
    for node in ast.walk(ast.parse(text)):
        kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        if isinstance(node, kinds) and ast.get_docstring(node) is not None:
            told = node.body[0]
            lines -= set(range(told.lineno, (told.end_lineno or 0) + 1))
    return len(lines)


def test_no_module_holds_two_ideas() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / "ermpoll").rglob("*.py")
        if (lines := lines_of_code(path)) > 300
    }

    assert not long, "split these at an idea; the limit is 300 lines of code"


#: What fails a test that calls it.
CHECKS = {"raises", "warns", "fail", "wait_until", "wait_for_state", "text_of"}


def own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """What stands in a function itself, without the functions inside it."""
    for node in ast.iter_child_nodes(function):
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from own_nodes(node)


def called(node: ast.AST) -> str:
    """The last part of the name that is called, or ""."""
    name = node.func if isinstance(node, ast.Call) else None
    return getattr(name, "attr", "") or getattr(name, "id", "")


def can_pass_unseen(test: ast.FunctionDef) -> bool:
    """Whether nothing is asserted, or the test may return before."""
    nodes = list(own_nodes(test))
    asserts = any(isinstance(node, ast.Assert) for node in ast.walk(test))
    checks = any(called(node) in CHECKS for node in nodes)
    return not (asserts or checks) or any(isinstance(n, ast.Return) for n in nodes)


def sleeps(text: str) -> list[str]:
    """Waits for a time on an event that nobody sets."""
    named = set(re.findall(r"(\w+)(?:: \S+)? = (?:threading\.)?Event\(\)", text))
    unset = [re.escape(name) for name in named if f"{name}.set" not in text]
    return [
        found
        for event in [r"(?<!asyncio\.)Event\(\)", *unset]
        for found in re.findall(rf"^.*\b{event}\.wait\([^)].*$", code_of(text), re.M)
    ]


def code_of(text: str) -> str:
    """A module without its texts: what runs in a notebook or a child may take time."""
    return re.sub(r'"""(?s:.*?)"""', "", text)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_a_test_asserts(path: Path) -> None:
    tests = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]

    assert [test.name for test in tests if can_pass_unseen(test)] == []


def test_nothing_sleeps_but_where_time_is_what_is_tried() -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / "tests").rglob("*.py")
        if path.name != "conditions.py" and (lines := sleeps(path.read_text()))
    }

    assert found == {}, "use wait_until or let_pass of tests/helpers/conditions.py"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("threading.Event()" + ".wait(1)", 1),
        ("pause = threading.Event()\npause.wait(0.2)", 1),
        ("done = threading.Event()\ndone.set()\ndone.wait(5)", 0),
        ("never = Event()\nnever.wait()", 0),
    ],
)
def test_a_sleep_is_found(text: str, found: int) -> None:
    assert len(sleeps(text)) == found


@pytest.mark.parametrize(
    "body",
    ["run_it()", "if x:\n  return\n assert x", "def f():\n  return 1\n f()"],
)
def test_a_test_that_can_pass_unseen_is_found(body: str) -> None:
    [test] = ast.parse(f"def test_it():\n {body}").body

    assert isinstance(test, ast.FunctionDef)
    assert can_pass_unseen(test)


def test_changelog_names_the_version_being_worked_on() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()

    assert "## [Unreleased]" in text or "## [0.1.0]" in text


@pytest.mark.parametrize(
    "command",
    [[sys.executable, "-m", "ermpoll"], [f"{sysconfig.get_path('scripts')}/ermpoll"]],
    ids=["module", "script"],
)
def test_the_command_is_there_under_both_names(command: list[str]) -> None:
    done = subprocess.run([*command, "--version"], capture_output=True, text=True)

    assert done.stdout.startswith("ermpoll "), done.stderr

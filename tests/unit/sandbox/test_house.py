"""The sandbox's house keeps its order."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import grimp
import pytest

KIT = Path(__file__).parents[3] / "ermpoll"
HOUSE = KIT / "sandbox"
PACKAGES = sorted(path.parent for path in HOUSE.rglob("__init__.py"))


def _classes(path: Path) -> list[str]:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return [node.name for node in body if isinstance(node, ast.ClassDef)]


def test_no_class_of_the_sandbox_is_called_like_another_of_the_kit() -> None:
    counts = Counter(name for path in KIT.rglob("*.py") for name in _classes(path))
    ours = {name for path in HOUSE.rglob("*.py") for name in _classes(path)}

    assert [name for name in sorted(ours) if counts[name] > 1] == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_folder_has_at_most_sixteen_modules(package: Path) -> None:
    assert len(list(package.glob("*.py"))) <= 16 + 1


@pytest.mark.parametrize("package", PACKAGES[1:], ids=lambda path: path.name)
def test_a_package_says_what_it_knows_and_where_to_begin(package: Path) -> None:
    text = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""

    assert "Not here:" in text
    assert "first" in text
    assert len(text.splitlines()) <= 12


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = grimp.build_graph("ermpoll")
    modules = {name for name in graph.modules if name.startswith("ermpoll.sandbox")}
    below = {
        name: graph.find_modules_directly_imported_by(name) & modules
        for name in modules
    }
    while free := [name for name in below if not below[name] & below.keys()]:
        for name in free:
            del below[name]

    assert sorted(below) == []

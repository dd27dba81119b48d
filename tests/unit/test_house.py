"""The package keeps its own order: folders, names, docstrings, tests.

What imports what is checked by the contracts, in `test_layers`.
"""

from __future__ import annotations

import ast
import importlib
import io
import re
import sys
import tokenize
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
HOME = ROOT / "ermpoll"
MODULES = sorted(HOME.rglob("*.py"))
PACKAGES = sorted(path.parent for path in MODULES if path.name == "__init__.py")
#: What the kit is made of, without the sandbox.
KIT = sorted({path.relative_to(HOME).parts[0] for path in HOME.glob("*/__init__.py")})
KIT.remove("sandbox")
FOLDERS = ("ermpoll", "tests", "docs", "notebooks")
MOST_MODULES = 16
#: They say what there is and do nothing.
DECLARATIONS = {"render/shapes.py", "version.py"}


def called(path: Path) -> str:
    """A path as it is named to people."""
    return str(path.relative_to(ROOT))


def twice(named: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """What stands at more than one place, of (name, place)."""
    places = defaultdict(list)
    for name, place in named:
        places[name].append(place)
    return {name: found for name, found in places.items() if len(found) > 1}


def owner(path: Path) -> str:
    """The package whose names must differ: those of the sandbox each for itself."""
    parts = path.relative_to(HOME).parts[:-1]
    return "/".join(parts[:2] if parts[:1] == ("sandbox",) else parts[:1])


@pytest.mark.parametrize("folder", PACKAGES, ids=called)
def test_a_folder_can_be_seen_at_once(folder: Path) -> None:
    modules = [path.stem for path in folder.glob("*.py") if path.name != "__init__.py"]

    assert len(modules) <= MOST_MODULES


def test_no_two_classes_have_one_name() -> None:
    classes = [
        (node.name, called(path))
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    ]

    assert twice(classes) == {}


def test_no_two_modules_of_a_package_have_one_name() -> None:
    modules = [
        (f"{owner(path)}: {path.stem}", called(path))
        for path in MODULES
        if not path.stem.startswith("__")
    ]
    folders = [
        (f"{called(path.parent)}: {path.stem}", called(path))
        for path in [*MODULES, *PACKAGES]
        if not path.stem.startswith("__")
    ]

    assert twice(modules) == {}
    assert twice(folders) == {}


@pytest.mark.parametrize("folder", PACKAGES, ids=called)
def test_no_name_of_a_package_hides_one_of_its_modules(folder: Path) -> None:
    package = called(folder).replace("/", ".")
    modules = [path.stem for path in folder.glob("*.py") if path.stem[0] != "_"]
    for name in modules:
        importlib.import_module(f"{package}.{name}")

    home = vars(sys.modules[package])
    assert [name for name in modules if not isinstance(home[name], ModuleType)] == []


def test_what_is_installed_hides_nothing_of_pythons_own() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

    assert set(packages).isdisjoint(sys.stdlib_module_names)


@pytest.mark.parametrize(
    "folder",
    [folder for folder in PACKAGES if folder != HOME],
    ids=called,
)
def test_a_package_says_which_file_to_open_first(folder: Path) -> None:
    told = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""

    found = re.search(r"\bOpen\s+`(\w+)`\s+first\b", told)
    assert found, "expected: Open `module` first"
    assert (folder / f"{found[1]}.py").exists()


def modules_with_tests(package: str) -> set[str]:
    """The modules that a test module of their name serves."""
    kinds = ("unit", "wire") if package else ("unit", "wire", "end_to_end")
    return {
        path.stem.removeprefix("test_")
        for kind in kinds
        for path in (ROOT / "tests" / kind / package).rglob("test_*.py")
    }


@pytest.mark.parametrize("package", ["", *KIT])
def test_each_module_of_the_kit_has_its_tests(package: str) -> None:
    inside = (HOME / package).rglob("*.py") if package else HOME.glob("*.py")
    modules = {
        path.stem
        for path in inside
        if not path.stem.startswith("__")
        and str(path.relative_to(HOME)) not in DECLARATIONS
    }

    assert modules - modules_with_tests(package) == set()


def test_unit_and_wire_mirror_the_packages() -> None:
    folders = {
        path.name
        for kind in ("unit", "wire")
        for path in (ROOT / "tests" / kind).iterdir()
        if (path / "__init__.py").exists()
    }

    assert folders <= {*KIT, "sandbox", "bench"}


def prose(text: str) -> Iterator[str]:
    """The comments and docstrings of a module."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
    for node in ast.walk(ast.parse(text)):
        kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        if isinstance(node, kinds) and (told := ast.get_docstring(node)):
            yield told


def missing_files(texts: Iterable[str], names: set[str]) -> Sequence[str]:
    """The files that are spoken of and not there."""
    spoken = re.compile(r"(?<![\w/.*-])[\w/-]+\.(?:md|txt|ya?ml|toml)\b")
    return [
        found for text in texts for found in spoken.findall(text) if found not in names
    ]


@pytest.mark.parametrize("folder", ["ermpoll", "tests"])
def test_no_comment_points_to_a_file_that_is_not_there(folder: str) -> None:
    kept = [*ROOT.glob("*"), *ROOT.glob(".github/**/*")]
    kept += [path for name in FOLDERS for path in (ROOT / name).rglob("*")]
    names = {path.name for path in kept} | {called(path) for path in kept}
    texts = [
        text
        for path in (ROOT / folder).rglob("*.py")
        for text in prose(path.read_text())
    ]

    assert missing_files(texts, names) == []


def test_a_pointer_to_a_missing_file_is_found() -> None:
    texts = prose(
        '"""See rules.md."""\nx = "no.md"  # as README.md and `a/b.txt` say\n'
    )

    assert missing_files(texts, {"README.md"}) == ["a/b.txt", "rules.md"]

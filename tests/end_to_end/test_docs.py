"""What README and docs say is so: examples run, names and links exist."""

from __future__ import annotations

import inspect
import json
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ermpoll

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = sorted((ROOT / "docs").rglob("*.md"))


def blocks(text: str) -> list[str]:
    """The Python of a page."""
    return re.findall(r"(?ms)^```python\n(.*?)^```", text)


EXAMPLES = blocks(README)
WITH_CODE = [page for page in PAGES if blocks(page.read_text())]


def called(page: Path) -> str:
    return str(page.relative_to(ROOT / "docs").with_suffix(""))


def test_the_readme_has_an_example_of_twelve_lines() -> None:
    lines = [line for line in EXAMPLES[0].splitlines() if line.strip()]

    assert len(lines) <= 12


@pytest.mark.parametrize("source", EXAMPLES)
def test_example_runs(source: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", source],
        capture_output=True,
        text=True,
        timeout=50,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("page", WITH_CODE, ids=called)
def test_the_blocks_of_a_page_run_one_after_the_other(
    page: Path, box: ermpoll.sandbox.Box, tmp_path: Path
) -> None:
    line = {"url": box.url, "amqp": box.amqp_url, "pid": os.getpid()}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks(page.read_text()))],
        capture_output=True,
        text=True,
        timeout=50,
        cwd=tmp_path,
        env={
            **os.environ,
            "ERMPOLL_SANDBOX": json.dumps(line),
            "ERMPOLL_CATALOG": box.url,
        },
    )

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_every_how_to_is_listed() -> None:
    how_to = ROOT / "docs" / "how-to"
    listed = re.findall(r"\]\((\S+\.md)\)", (how_to / "index.md").read_text())

    assert sorted(listed) == sorted(
        page.name for page in how_to.glob("*.md") if page.stem != "index"
    )


def documented() -> set[int]:
    """What the reference shows, each by its identity."""
    found = set()
    for page in (ROOT / "docs" / "reference").glob("*.md"):
        for name in re.findall(r"^::: ([\w.]+)$", page.read_text(), re.M):
            shown = pkgutil.resolve_name(name)
            found.add(id(shown))
            if inspect.ismodule(shown):
                inside = vars(shown).values()
                found |= {id(it) for it in inside if it.__class__ is type}
    return found


@pytest.mark.parametrize("name", ermpoll.__all__)
def test_public_name_is_in_the_reference(name: str) -> None:
    assert id(getattr(ermpoll, name)) in documented()


LEFT_OUT = re.compile(
    r"^::: (\S+)\n    options:\n      filters: \[.*\^\((.*)\)\$", re.M
)
FILTERED = [found for page in PAGES for found in LEFT_OUT.findall(page.read_text())]


@pytest.mark.parametrize(("name", "words"), FILTERED)
def test_the_reference_shows_what_an_object_offers(name: str, words: str) -> None:
    shown, left_out = pkgutil.resolve_name(name), set(words.split("|"))

    offered = {one for one in dir(object.__new__(shown)) if not one.startswith("_")}

    assert not offered & left_out
    hidden = set(dir(shown)) - offered
    assert {one for one in hidden if not one.startswith("_")} <= left_out


@pytest.mark.parametrize("command", ["lab", "sandbox", "run", "prove", "adopt"])
def test_command_is_in_the_reference(command: str) -> None:
    page = ROOT / "docs/reference/command-line.md"
    assert f"`ermpoll {command} " in page.read_text()


@pytest.mark.parametrize(
    "document", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"], ids=str
)
def test_links_to_files_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text()
    targets = re.findall(r"\]\(([^)#\s]+)\)", text)
    targets += re.findall(r'(?:src|srcset)="([^"]+)"', text)

    local = [target for target in targets if "://" not in target]

    assert not [target for target in local if not (ROOT / target).exists()]


def test_every_notebook_is_linked() -> None:
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"(notebooks/{path.name})" in README


def test_benches_named_are_there() -> None:
    numbers = (ROOT / "docs/explanation/numbers.md").read_text()
    for name in re.findall(r"`(\w+)`", numbers.split("\n\n")[1]):
        assert (ROOT / "tests/bench" / f"{name}.py").exists(), name

"""What the README says is so: its example runs, its names and links exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import ermpoll

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"(?ms)^```python\n(.*?)^```", README)


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


@pytest.mark.parametrize("name", ermpoll.__all__)
def test_public_name_is_in_the_readme(name: str) -> None:
    assert re.search(rf"\b{name}\b", README)


@pytest.mark.parametrize("command", ["lab", "sandbox", "run", "prove", "adopt"])
def test_command_is_in_the_readme(command: str) -> None:
    assert f"ermpoll {command}" in README


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
    for name in re.findall(r"`(\w+)`", README.split("## Numbers")[1].split("\n\n")[1]):
        assert (ROOT / "tests/bench" / f"{name}.py").exists(), name

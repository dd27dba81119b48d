"""The map in `docs` is the house as it stands."""

from __future__ import annotations

import configparser
import pkgutil
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAP = (ROOT / "docs" / "architecture.md").read_text()
DIAGRAM, TEXT = MAP.split("```")[1], "".join(MAP.split("```")[::2])
NAMES = sorted(set(re.findall(r"`([^`]+)`", TEXT)))


def find(name: str) -> object:
    """What a dotted name stands for, below the package or it."""
    return pkgutil.resolve_name(name if name == "ermpoll" else f"ermpoll.{name}")


@pytest.mark.parametrize("name", NAMES)
def test_each_name_on_the_map_is_one_of_the_code(name: str) -> None:
    assert find(name) is not None


def test_a_name_that_is_gone_is_found() -> None:
    with pytest.raises(AttributeError):
        find("queue.jobqueue")


def test_the_packages_stand_in_the_order_of_the_contract() -> None:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    layers = contracts["importlinter:contract:layers"]["layers"]

    drawn = [re.split(r"\s{2,}", line)[0] for line in DIAGRAM.strip().splitlines()]

    assert drawn == re.sub(r"[()]", "", layers).strip().splitlines()


def test_whoever_wants_to_change_something_finds_the_map() -> None:
    assert "(docs/architecture.md)" in (ROOT / "CONTRIBUTING.md").read_text()

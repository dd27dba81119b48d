"""Which data files are used, and what is said of the others."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from ermpoll.sandbox.store.datafile import StoreError
from ermpoll.sandbox.store.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A data file with something in it."""
    path = tmp_path / "data.db"
    Store(path).close()
    return path


def test_only_its_owner_can_read_a_data_file(path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("version", "word"), [(0, "older"), (999, "newer")])
def test_a_file_of_another_version_is_named_so(
    path: Path, version: int, word: str
) -> None:
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {version}")
    db.close()

    with pytest.raises(StoreError, match=f"made by an? {word} ermpoll"):
        Store(path)


def test_a_damaged_file_is_named_so_and_left_alone(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:8192] = b"\xff" * 4096
    path.write_bytes(data)

    with pytest.raises(StoreError, match=r"left as it is|can't be used"):
        Store(path)

    assert path.read_bytes() == bytes(data)

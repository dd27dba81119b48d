"""The share of an agent beside others of its machine that take the same rows."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from ermpoll.agent.sharing.share import LEAST, Share
from ermpoll.catalog.slots import Slot


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_who_comes_second_joins_and_the_first_one_finds_out() -> None:
    first, second = Share("a table", None), Share("a table", None)

    joined = [first.joins(), second.joins(), second.joins()]
    first.find(None)

    assert joined == [False, True, False]
    assert (first.place, second.place) == ((0, 2), (1, 2))
    assert first.filter() != second.filter()
    second.stay(False)
    first.find(None)
    assert (first.place, first.filter()) == ((0, 1), "")
    first.stay(False)


def test_a_slot_is_the_place_unless_a_shard_was_told() -> None:
    found, told = Share("a table", None), Share("a table", (1, 2))
    for share in (found, told):
        share.find(Slot(2, 3))

    assert (found.place, told.place) == ((2, 3), (0, 1))


@pytest.mark.parametrize(("rows", "part"), [(400, 100), (401, 101), (20, LEAST)])
def test_of_the_last_rows_each_takes_a_part_that_is_worth_a_write(rows, part) -> None:
    share = Share("a table", None)
    share.find(Slot(0, 4))

    assert share.part(rows) == part

"""A sandbox with logins of Ann and Bob, and a stage in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import ermpoll
from ermpoll.teach.stage import Stage, stage_of


@pytest.fixture
def races() -> Iterator[ermpoll.sandbox.Box]:
    with ermpoll.sandbox.start(users=["ann", "bob"]) as box:
        yield box


@pytest.fixture
def stage(races: ermpoll.sandbox.Box) -> Stage:
    return stage_of(races.catalog(user="ann"), races.catalog(user="bob"))

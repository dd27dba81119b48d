from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import ermpoll
from ermpoll.compat import state_change
from ermpoll.sandbox import Box
from tests.bench.common import deriva_catalog
from tests.helpers.tables import add, make_table
from tests.wire.compat.state_change.place import COLUMNS


@pytest.fixture
def catalog(shared_box: Box) -> Iterator[ermpoll.Catalog]:
    """A catalog with five new rows in Ops:Job, and a table to touch."""
    shared_box.faults()
    catalog = ermpoll.connect(shared_box.new_catalog(), {})
    make_table(catalog, COLUMNS, keys=[["name"]])
    make_table(catalog, {"text": "text"}, name="Other")
    add(catalog, *({"name": f"job {n}", "state": "new"} for n in range(5)))
    yield catalog
    shared_box.faults()
    catalog.close()


@pytest.fixture
def theirs(catalog: ermpoll.Catalog) -> Any:
    """deriva-py's own class on the same catalog."""
    return deriva_catalog(catalog.url)


@pytest.fixture
def somebody(catalog: ermpoll.Catalog) -> Iterator[ermpoll.Catalog]:
    """Another client of the same catalog."""
    other = ermpoll.connect(catalog.url, {})
    yield other
    other.close()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A patience that a test can outwait."""
    monkeypatch.setattr(state_change, "PATIENCE_S", 0.4)

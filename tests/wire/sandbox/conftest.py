from __future__ import annotations

from collections.abc import Iterator

import pytest

import ermpoll
from ermpoll.sandbox import Box
from tests.helpers.sandbox_client import Client, closing
from tests.helpers.sandbox_jobs import make


@pytest.fixture
def client(shared_box: Box) -> Iterator[Client]:
    """A client on a new, empty catalog."""
    with closing(Client(shared_box.new_catalog())) as client:
        yield client
        # Hundreds of catalogs in one database would make each new one slow.
        client.delete("/")


@pytest.fixture
def demo(box: Box) -> Iterator[Client]:
    """A client on the fresh demo catalog."""
    with closing(Client(box.url)) as client:
        yield client


@pytest.fixture
def own_box() -> Iterator[Box]:
    """A sandbox of the test's own."""
    with ermpoll.sandbox.start() as box:
        yield box


@pytest.fixture
def jobs(client: Client) -> Client:
    """A client on a catalog with table ``Ops:Job`` and three rows."""
    return make(client)

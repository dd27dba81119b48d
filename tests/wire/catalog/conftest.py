from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

import ermpoll
from tests.helpers.peers import Peer, serving


@pytest.fixture
def peer(catalog: ermpoll.Catalog) -> Iterator[Peer]:
    """What a sandbox is sent."""
    with serving(behind=catalog.url) as peer:
        yield peer


@pytest.fixture
def door(catalog: ermpoll.Catalog, peer: Peer) -> Iterator[ermpoll.Catalog]:
    """The catalog, by way of the peer."""
    door = ermpoll.connect(f"http://{peer.netloc}{urlsplit(catalog.url).path}")
    yield door
    door.close()

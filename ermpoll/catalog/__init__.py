"""One ERMrest catalog over HTTP: addresses, logins, versions, permission to write.

It knows the service's protocol: statuses, ETags, snapshot times, the model document,
how values and addresses are written. It knows no queue, no state word and no thread
but the caller's. requests has its doors in `connection` and `transport`.

Open `client` first: `connect` and `Catalog`, with `get`, `put`, `post`, `delete`.
Then `transport` (one request and its answer), `etags` and `clock` (what an answer
tells of versions and time), `conditional` (reading again and again), `write_lock`
(one write at a time; `machine`: files by which processes take turns),
`write_permission` (a dry run refuses writes), `client_context` (what a request says of
itself), and `model`, `values`, `paths` for what is sent.
`shared` is what one process has of a catalog.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ermpoll.catalog.client import Catalog, connect

__all__ = ["Catalog", "connect"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        # Work that travels to another process needs no requests to begin.
        from ermpoll.catalog import client

        return getattr(client, name)
    raise AttributeError(f"module 'ermpoll.catalog' has no attribute {name!r}")

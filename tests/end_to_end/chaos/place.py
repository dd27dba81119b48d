"""The server that the storm rages on.

``python -m tests.end_to_end.chaos.place PORT AMQP_PORT FILE [bare]``: a sandbox in
which each login is believed its own name, so that the record says who wrote. In a bare
one nothing in a row says whose it is.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping

from ermpoll.sandbox.app import Options, Sandbox
from ermpoll.sandbox.http.server import Front
from ermpoll.sandbox.model.clients import ANONYMOUS, OWNER, Client, Logins
from ermpoll.sandbox.schema import catalogs
from ermpoll.sandbox.schema.create import Builder
from ermpoll.sandbox.store.journal import Journal
from ermpoll.sandbox.store.store import Store
from tests.end_to_end.chaos.headers import Headers
from tests.end_to_end.chaos.table import NAME, SCHEMA, columns

#: The role of everybody.
GUESTS = "guests"


class Guest(Client):
    """Somebody who owns the catalog like the others."""

    @property
    def roles(self) -> frozenset[str]:
        return frozenset((self.id, GUESTS))


class Named(Logins):
    """Believes everybody: the bearer token is the name."""

    def client(self, headers: Mapping[str, str]) -> Client:
        name = headers.get("Authorization", "").removeprefix("Bearer ")
        if self.expired or not name:
            return ANONYMOUS
        return OWNER if name == "owner" else Guest(name, name)


def build(store: Store, name: str = "1", *, owner: bool = True) -> None:
    """Make a catalog with the table in it, which all guests own."""
    catalog = catalogs.create(store, {"id": name}, OWNER)
    with store.remodelling(catalog, Journal(silent=True)) as model:
        model.acls["owner"] = [OWNER.id, GUESTS]
        builder = Builder(store=store, catalog=catalog, model=model, client=OWNER)
        schema = builder.schema({"schema_name": SCHEMA})
        doc = catalogs.table_doc(
            NAME, columns(owner=owner), keys=(("code",), ("number",))
        )
        builder.table(schema, doc)


async def _serve(port: int, amqp_port: int, data: str, *, owner: bool) -> None:
    fresh = not os.path.exists(data)
    sandbox = Sandbox(Options(port=port, amqp_port=amqp_port, data=data, control=True))
    sandbox.logins = sandbox.service.logins = Named("owner")
    spoilt = Headers(sandbox.emulation.respond)
    sandbox.front = Front(spoilt.respond, body_limit=sandbox.options.body_limit)
    sandbox._commands["headers"] = spoilt.spoil
    if fresh:
        sandbox.store.clear()
        build(sandbox.store, owner=owner)
    await sandbox.start()
    line = {"url": sandbox.url, "amqp": sandbox.amqp_url, "pid": os.getpid()}
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    _, http, amqp, file, *bare = sys.argv
    asyncio.run(_serve(int(http), int(amqp), file, owner=not bare))

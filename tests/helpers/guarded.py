"""A catalog with an owner, and with bob, who may write what he is told he may."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ermpoll
from ermpoll.sandbox import Box
from ermpoll.sandbox import box as boxes
from ermpoll.sandbox.app import Options
from ermpoll.sandbox.model.clients import User
from ermpoll.sandbox.process import SandboxThread
from tests.helpers.sandbox_client import Client, closing
from tests.helpers.tables import JOB, OPTIONAL, make_table

BOB = "https://sandbox.example.org/id/bob"
TABLE = "/schema/Ops/table/Job"


@contextmanager
def guarded_box() -> Iterator[Box]:
    """A sandbox with an owner and somebody else."""
    thread = SandboxThread(Options(token="own", users=(User.parse("bob:bob-token"),)))
    with boxes.of_thread(thread, token="own") as box:
        yield box


@contextmanager
def place_in(box: Box) -> Iterator[Place]:
    """A new catalog of it."""
    url = box.new_catalog()
    with closing(Client(url, {"Authorization": "Bearer own"})) as client:
        yield Place(url, client)


class Place:
    """A new catalog: its owner's connection, and bob's."""

    def __init__(self, url: str, client: Client) -> None:
        self.url, self.client = url, client
        self.owner = self.connect("own")
        make_table(self.owner, {**JOB, "keeper": "text"})
        self.acl("/acl/enumerate", ["*"])
        self.acl(f"{TABLE}/acl/select", ["*"])

    def connect(self, token: str) -> ermpoll.Catalog:
        return ermpoll.connect(self.url, {"bearer-token": token})

    def acl(self, path: str, who: Any) -> None:
        assert self.client.put(path, who).status < 300

    def by_row(self) -> None:
        """Let bob update the rows that he keeps."""
        binding = {"types": ["update"], "projection": "keeper"}
        self.acl(f"{TABLE}/acl_binding/keeper", binding)

    def queue(self, url: str = "", **options: object) -> ermpoll.Queue:
        catalog = ermpoll.connect(url or self.url, {"bearer-token": "bob-token"})
        return ermpoll.Queue(catalog, "Ops:Job", **{**OPTIONAL, **options})

"""Recordings of a real service, replayed against the sandbox."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

import ermpoll
from tests.helpers.sandbox_client import Client, closing
from tests.wire.sandbox.player import Player

_FILES = sorted(Path(__file__).parents[2].joinpath("transcripts").glob("*.json"))
_OTHER = "https://sandbox.example.org/id/test2"


@pytest.fixture(scope="module")
def clients() -> Iterator[Mapping[str, Client]]:
    """The owner, somebody without rights, and nobody."""
    with ExitStack() as stack:
        box = stack.enter_context(
            ermpoll.sandbox.start(token="one", tokens={"two": _OTHER})
        )
        logins = {
            "test1": {"Authorization": "Bearer one"},
            "test2": {"Authorization": "Bearer two"},
            "anonymous": {},
        }
        yield {
            name: stack.enter_context(closing(Client(box.url, headers)))
            for name, headers in logins.items()
        }


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.stem)
def test_transcript_replays_without_a_difference(
    file: Path, clients: Mapping[str, Client]
) -> None:
    owner = clients["test1"]
    owner.root = ""
    users = {
        "test1": owner.get("/authn/session").json["client"]["id"],
        "test2": _OTHER,
    }
    catalog = owner.post("/ermrest/catalog").json["id"]
    steps = json.loads(file.read_text())["steps"]

    assert Player(clients, users, catalog).play(steps) == []


def test_all_transcripts_are_here() -> None:
    assert len(_FILES) == 26

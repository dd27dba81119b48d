from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

import ermpoll
from ermpoll.catalog import write_permission
from ermpoll.errors import WriteRefused
from tests.helpers.peers import Peer, serving


@pytest.fixture
def peer() -> Iterator[Peer]:
    with serving() as peer:
        yield peer


@pytest.fixture
def door(peer: Peer) -> Iterator[ermpoll.Catalog]:
    """A catalog that is the peer."""
    door = ermpoll.connect(peer.url, {})
    yield door
    door.close()


WRITES: dict[str, Callable[[ermpoll.Catalog], object]] = {
    "PUT": lambda catalog: catalog.put("entity/S:T", [{}]),
    "POST": lambda catalog: catalog.post("entity/S:T", [{}]),
    "DELETE": lambda catalog: catalog.delete("entity/S:T"),
}


@pytest.mark.parametrize("method", WRITES)
def test_a_read_only_catalog_sends_no_write(peer, method):
    door = ermpoll.connect(peer.url, {}, read_only=True)

    with pytest.raises(WriteRefused, match="read-only here: would"):
        WRITES[method](door)
    door.get("entity/S:T")

    assert [sent.method for sent in peer.sent] == ["GET"]
    assert door.refused == (f"would {method} entity/S:T",)
    assert door.writes == 0
    assert "read-only" in repr(door)
    door.close()


@pytest.mark.parametrize("method", WRITES)
def test_a_dry_run_refuses_and_lists_writes(peer, door, method):
    with door.dry_run() as would, pytest.raises(WriteRefused, match="dry run"):
        WRITES[method](door)
    assert (peer.sent, would) == ([], [f"would {method} entity/S:T"])

    WRITES[method](door)
    assert (len(peer.sent), door.writes) == (1, 1)


def test_a_dry_run_refuses_writes_of_threads_that_the_function_starts(peer, door):
    raised: list[Exception] = []

    def write() -> None:
        try:
            door.put("entity/S:T", [])
        except WriteRefused as error:
            raised.append(error)

    with door.dry_run() as would:
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()

    assert len(raised) == 1
    assert (peer.sent, would) == ([], ["would PUT entity/S:T"])


def test_a_dry_run_refuses_writes_to_other_catalogs_made_by_the_function(peer, box):
    one, other = ermpoll.connect(box.url, {}), ermpoll.connect(peer.url, {})

    with one.dry_run() as would, pytest.raises(WriteRefused):
        other.put("entity/S:T", [])

    assert (peer.sent, would) == ([], ["would PUT entity/S:T"])


def test_running_work_goes_on_beside_a_dry_run(peer, door):
    ready, go = threading.Event(), threading.Event()

    def working() -> None:
        with write_permission.real():
            ready.set()
            go.wait(5)
            door.put("entity/S:T", [])

    thread = threading.Thread(target=working)
    thread.start()
    ready.wait(5)
    with door.dry_run() as would:
        go.set()
        thread.join()

    assert [sent.method for sent in peer.sent] == ["PUT"]
    assert would == []


def test_a_permit_inside_a_dry_run_is_none(peer, door):
    with door.dry_run(), write_permission.real(), pytest.raises(WriteRefused):
        door.put("entity/S:T", [])

    assert peer.sent == []


def test_the_end_of_one_of_two_dry_runs_leaves_the_other(door):
    with door.dry_run() as outer:
        with door.dry_run() as inner, pytest.raises(WriteRefused):
            door.put("entity/S:T", [])
        with pytest.raises(WriteRefused):
            door.delete("entity/S:T")

    assert (inner, outer) == (["would PUT entity/S:T"], ["would DELETE entity/S:T"])


def test_a_thread_s_write_is_listed_by_the_dry_run_that_goes_on(door):
    def write() -> None:
        with pytest.raises(WriteRefused):
            door.put("entity/S:T", [])

    with door.dry_run() as outer:
        with door.dry_run() as inner:
            pass
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()

    assert (inner, outer) == ([], ["would PUT entity/S:T"])

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from ermpoll.notices.amqp_connection import Link
from ermpoll.notices.amqp_url import Address


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def link_to(listener: socket.socket, options: str = "") -> Link:
    port = listener.getsockname()[1]
    address = Address.parse(f"amqp://127.0.0.1:{port}/{options}")
    return Link(address, "any", on_up=lambda: None, on_notice=lambda: None)


def test_a_connection_that_cannot_be_made_says_why(listener):
    link = link_to(listener)
    listener.close()

    assert link.run().startswith("refused: is RabbitMQ running")


def test_a_broker_that_says_nothing_has_its_time(listener):
    assert link_to(listener, "?stack_timeout=0.1").run().startswith("no answer from")


@pytest.mark.parametrize("bites", [b"", b"AMQP\x00\x00\x09\x01"])
def test_a_peer_that_says_nothing_does_not_keep_anybody_waiting(listener, bites):
    link, said = link_to(listener, "?socket_timeout=0.2"), []
    thread = threading.Thread(target=lambda: said.append(link.run()))
    thread.start()
    peer, _ = listener.accept()
    with peer:
        peer.recv(8)
        peer.sendall(bites)

        began = time.perf_counter()
        link.close("enough")
        thread.join(5)
        took_s = time.perf_counter() - began

    assert said == ["enough"]
    assert took_s < 0.2


def test_what_is_asked_of_a_connection_that_ended_is_passed_over(listener):
    link = link_to(listener, "?stack_timeout=0.1")
    link.run()

    called = []
    link.close("late")
    link.after(0.0, lambda: called.append(True))
    assert called == []

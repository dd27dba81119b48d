"""The loopback broker, as pika's clients see it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import (
    AMQPConnectionError,
    ChannelClosedByBroker,
    ProbableAuthenticationError,
)

import ermpoll
from ermpoll.sandbox import Box
from tests.helpers.sandbox_client import Client

EXCHANGE = "ermrest_changes"


@contextmanager
def _listening(url: str, **options: Any) -> Iterator[tuple[BlockingChannel, str]]:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.exchange_declare(EXCHANGE, exchange_type="fanout")
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, EXCHANGE)
    try:
        yield channel, queue
    finally:
        if connection.is_open:
            connection.close()


def _next(channel: BlockingChannel, queue: str, *, auto_ack: bool = True) -> Any:
    return next(channel.consume(queue, auto_ack=auto_ack, inactivity_timeout=5))


def _count(channel: BlockingChannel, queue: str, within_s: float = 0.2) -> int:
    items = channel.consume(queue, auto_ack=True, inactivity_timeout=within_s)
    return sum(1 for _ in iter(lambda: next(items)[0], None))


def test_a_write_sends_one_notice_without_contents(box: Box, demo: Client) -> None:
    with _listening(box.amqp_url) as (channel, queue):
        demo.put("/attributegroup/Imaging:Image/RID;Priority", [])
        method, properties, body = _next(channel, queue)

        assert (body, method.exchange, method.routing_key) == (b"change", EXCHANGE, "")
        assert properties == pika.BasicProperties()
        assert _count(channel, queue) == 0


def test_reads_and_refused_writes_send_none(box: Box, demo: Client) -> None:
    with _listening(box.amqp_url) as (channel, queue):
        demo.get("/entity/Imaging:Dataset")
        demo.put("/attributegroup/Imaging:Image/RID;RID", [])
        demo.delete("/entity/Imaging:Image/RID=none")
        demo.post("/schema/Imaging")

        assert _count(channel, queue) == 0


def test_model_changes_and_new_catalogs_send_one_each(box: Box, demo: Client) -> None:
    with _listening(box.amqp_url) as (channel, queue):
        demo.post("/schema/New")
        demo.delete("/schema/New")
        demo.root = "/ermrest/catalog"
        demo.post("")

        assert _count(channel, queue) == 3


def test_every_listener_hears_every_notice(box: Box) -> None:
    with (
        _listening(box.amqp_url) as (one, first),
        _listening(box.amqp_url) as (two, second),
    ):
        box.add(1)

        assert _next(one, first)[2] == _next(two, second)[2] == b"change"


def test_acknowledgements_are_counted(box: Box) -> None:
    with _listening(box.amqp_url) as (channel, queue):
        for _ in range(3):
            box.add(1)
        items = channel.consume(queue, inactivity_timeout=5)
        tags = [next(items)[0].delivery_tag for _ in range(3)]
        assert box.connections()["unacknowledged"] == 3

        channel.basic_ack(tags[1], multiple=True)
        channel.basic_nack(tags[2], requeue=False)
        # A synchronous call: what was sent before it has been taken.
        channel.queue_purge(queue)

        assert box.connections()["unacknowledged"] == 0


def test_messages_can_be_fetched_one_by_one(box: Box) -> None:
    with _listening(box.amqp_url) as (channel, queue):
        assert channel.basic_get(queue, auto_ack=True)[0] is None
        box.add(1)

        assert channel.basic_get(queue, auto_ack=True)[2] == b"change"


def test_clients_can_publish_too(box: Box) -> None:
    with _listening(box.amqp_url) as (channel, queue):
        channel.basic_publish(EXCHANGE, "", b"mine")

        assert _next(channel, queue)[2] == b"mine"


def test_an_exchange_that_differs_closes_the_channel(box: Box) -> None:
    with _listening(box.amqp_url) as (channel, _):
        with pytest.raises(ChannelClosedByBroker, match="PRECONDITION_FAILED"):
            channel.exchange_declare(EXCHANGE, exchange_type="topic")

        again = channel.connection.channel()
        with pytest.raises(ChannelClosedByBroker, match="NOT_FOUND"):
            again.queue_bind("nosuch", EXCHANGE)


def test_a_closed_connection_takes_its_queue_along(box: Box) -> None:
    with _listening(box.amqp_url):
        assert box.connections()["connections"] == 1

    assert box.connections() == {
        "connections": 0,
        "consumers": 0,
        "unacknowledged": 0,
    }


def test_notices_can_be_muted_unheard(box: Box) -> None:
    with _listening(box.amqp_url) as (channel, queue):
        box.faults(mute_notices=True)
        box.add(1)
        assert _count(channel, queue) == 0

        box.faults()
        box.add(1)
        assert _next(channel, queue)[2] == b"change"


def test_connections_can_be_cut_and_refused(box: Box) -> None:
    with _listening(box.amqp_url) as (channel, queue):
        box.faults(cut_notices=True)
        with pytest.raises(AMQPConnectionError):
            _next(channel, queue)
        with pytest.raises(AMQPConnectionError), _listening(box.amqp_url):
            pass

        box.faults()
        with _listening(box.amqp_url):
            assert box.connections()["connections"] == 1


def test_consumers_can_be_cancelled(box: Box) -> None:
    with _listening(box.amqp_url) as (channel, queue):
        heard: list[bytes] = []
        cancelled: list[Any] = []
        channel.add_on_cancel_callback(cancelled.append)
        channel.basic_consume(queue, lambda *parts: heard.append(parts[3]), True)
        box.faults(cancel_consumers=True)

        channel.connection.process_data_events(1)
        box.add(1)
        channel.connection.process_data_events(0.1)

        assert (len(cancelled), heard) == (1, [])


def test_a_login_is_asked_for_when_configured() -> None:
    with ermpoll.sandbox.start(amqp_login=("ann", "p:w")) as box:
        wrong = box.amqp_url.replace("ann:p%3Aw", "ann:no")
        with pytest.raises(ProbableAuthenticationError), _listening(wrong):
            pass
        with _listening(box.amqp_url) as (channel, queue):
            box.add(1)
            assert _next(channel, queue)[2] == b"change"


def test_junk_ends_only_its_own_connection(box: Box) -> None:
    port = int(box.amqp_url.rpartition(":")[2])
    for junk in (b"GET / HTTP/1.1\r\n\r\n", b"AMQP\0\0\x09\x01" + b"\xff" * 64, b""):
        with socket.create_connection(("localhost", port), timeout=5) as raw:
            raw.sendall(junk)
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(4096):
                pass

    with _listening(box.amqp_url) as (channel, queue):
        box.add(1)
        assert _next(channel, queue)[2] == b"change"


def test_shared_queues_can_be_found_locked_unbound_and_deleted(box: Box) -> None:
    with _listening(box.amqp_url) as (channel, private):
        channel.queue_declare("shared")
        channel.queue_bind("shared", EXCHANGE)
        box.add(1)
        assert channel.queue_declare("shared", passive=True).method.message_count == 1
        channel.queue_unbind("shared", EXCHANGE)
        box.add(1)
        assert channel.queue_purge("shared").method.message_count == 1
        assert channel.queue_delete("shared").method.message_count == 0
        with pytest.raises(ChannelClosedByBroker, match="NOT_FOUND"):
            channel.queue_declare("shared", passive=True)

        other = pika.BlockingConnection(pika.URLParameters(box.amqp_url))
        with pytest.raises(ChannelClosedByBroker, match="RESOURCE_LOCKED"):
            other.channel().queue_declare(private, exclusive=True)
        other.close()


@pytest.mark.parametrize(
    "call",
    [
        lambda channel: channel.exchange_declare("nosuch", passive=True),
        lambda channel: channel.queue_purge("nosuch"),
        lambda channel: channel.basic_get("nosuch"),
        lambda channel: channel.queue_bind("here", "nosuch"),
    ],
)
def test_what_is_not_there_closes_the_channel_and_no_other(box: Box, call: Any) -> None:
    with _listening(box.amqp_url) as (channel, queue):
        other = channel.connection.channel()
        other.queue_declare("here", exclusive=True)
        with pytest.raises(ChannelClosedByBroker, match="NOT_FOUND"):
            call(other)

        box.add(1)
        assert _next(channel, queue)[2] == b"change"


def test_a_method_that_is_not_there_closes_the_connection(box: Box) -> None:
    expected = pytest.raises(AMQPConnectionError, match="NOT_IMPLEMENTED")
    with _listening(box.amqp_url) as (channel, _), expected:
        channel.tx_select()


def test_exchanges_of_ones_own_carry_what_is_published(box: Box) -> None:
    with _listening(box.amqp_url) as (channel, queue):
        channel.exchange_declare("mine", exchange_type="fanout")
        channel.queue_bind(queue, "mine")
        channel.basic_publish("mine", "", b"here")
        method, _, body = _next(channel, queue)

        assert (method.exchange, body) == ("mine", b"here")


def test_a_closed_channel_takes_its_consumers_along(box: Box) -> None:
    with _listening(box.amqp_url) as (channel, queue):
        channel.basic_consume(queue, lambda *_: None, auto_ack=False)
        other = channel.connection.channel()
        other.queue_declare("other", exclusive=True)
        other.basic_consume("other", lambda *_: None)
        assert box.connections()["consumers"] == 2

        other.close()

        assert box.connections()["consumers"] == 1


def test_a_client_that_does_not_read_gets_no_more_and_stops_nobody(box: Box) -> None:
    with _listening(box.amqp_url) as (deaf, deaf_queue):
        deaf.basic_consume(deaf_queue, lambda *_: None, auto_ack=True)
        big = b"x" * 100_000
        with _listening(box.amqp_url) as (channel, queue):
            for _ in range(100):
                channel.basic_publish(EXCHANGE, "", big)
            channel.queue_purge(queue)
            left = channel.queue_declare("left", exclusive=True).method.message_count
            box.add(1)
            assert (_next(channel, queue)[2], left) == (b"change", 0)


def test_a_cancel_leaves_other_connections_consumers_of_that_tag(box: Box) -> None:
    with (
        _listening(box.amqp_url) as (ours, our_queue),
        _listening(box.amqp_url) as (theirs, their_queue),
    ):
        heard: list[bytes] = []
        ours.basic_consume(our_queue, lambda *_: None, consumer_tag="listener")
        theirs.basic_consume(
            their_queue,
            lambda channel, method, properties, body: heard.append(body),
            auto_ack=True,
            consumer_tag="listener",
        )
        ours.basic_cancel("listener")
        ours.basic_publish(EXCHANGE, "", b"still there")
        theirs.connection.process_data_events(5)

        assert heard == [b"still there"]


def test_what_a_slow_reader_could_not_take_reaches_it_once_it_reads(box: Box) -> None:
    with (
        _listening(box.amqp_url) as (sender, _),
        _listening(box.amqp_url) as (slow, queue),
    ):
        heard: list[bytes] = []
        slow.basic_consume(
            queue,
            lambda channel, method, properties, body: heard.append(body),
            auto_ack=True,
        )
        # More than the sockets' buffers and the broker's own hold.
        for number in range(200):
            sender.basic_publish(EXCHANGE, "", b"%03d" % number + b"." * 100_000)
        while len(heard) < 200:
            before = len(heard)
            slow.connection.process_data_events(5)
            assert len(heard) > before, f"nothing after message {before}"

        assert [body[:3] for body in heard] == [b"%03d" % n for n in range(200)]


@pytest.mark.parametrize("size", [0, 1, 131_064, 131_065, 400_000])
def test_a_message_of_any_size_arrives_whole(box: Box, size: int) -> None:
    with _listening(box.amqp_url) as (channel, queue):
        channel.basic_publish(EXCHANGE, "", b"x" * size)

        assert _next(channel, queue)[2] == b"x" * size


def test_messages_of_two_channels_do_not_mix(box: Box) -> None:
    with _listening(box.amqp_url) as (channel, queue):
        other = channel.connection.channel()
        channel.basic_publish(EXCHANGE, "", b"a" * 300_000)
        other.basic_publish(EXCHANGE, "", b"b" * 300_000)

        heard = {_next(channel, queue)[2] for _ in range(2)}

        assert heard == {b"a" * 300_000, b"b" * 300_000}


def test_a_publisher_gets_its_confirmations(box: Box) -> None:
    with _listening(box.amqp_url) as (channel, queue):
        channel.confirm_delivery()

        channel.basic_publish(EXCHANGE, "", b"one")
        channel.basic_publish(EXCHANGE, "", b"two")

        assert _next(channel, queue)[2] == b"one"


def test_publishing_to_an_exchange_that_is_not_there_closes_the_channel(
    box: Box,
) -> None:
    with _listening(box.amqp_url) as (channel, _):
        other = channel.connection.channel()
        other.basic_publish("nowhere", "", b"lost")

        with pytest.raises(ChannelClosedByBroker, match="nowhere"):
            other.queue_declare("", exclusive=True)

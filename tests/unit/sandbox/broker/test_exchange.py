"""Exchanges and queues, without a connection."""

from __future__ import annotations

from ermpoll.sandbox.broker.exchange import (
    EXCHANGE,
    BrokerQueue,
    Consumer,
    Exchange,
)


class Listener:
    """Somebody who consumes a queue, and notes what comes."""

    def __init__(self, queue: BrokerQueue, tag: str = "ours") -> None:
        self.heard: list[bytes] = []
        self.congested = False
        self.told = 0
        queue.consumers.append(
            Consumer(
                owner=self,
                channel=1,
                tag=tag,
                deliver=lambda exchange, body: self.heard.append(body),
                is_congested=lambda: self.congested,
                cancelled=self._cancelled,
            )
        )

    def _cancelled(self) -> None:
        self.told += 1


def _bound(exchange: Exchange, name: str, owner: object = None) -> BrokerQueue:
    queue = exchange.queues[name] = BrokerQueue(name=name, owner=owner)
    exchange.bindings[EXCHANGE].add(name)
    return queue


def test_consumers_of_one_queue_take_turns() -> None:
    exchange = Exchange()
    queue = _bound(exchange, "q")
    one, two = Listener(queue, "one"), Listener(queue, "two")

    for body in (b"1", b"2", b"3"):
        exchange.publish(body)

    assert (one.heard, two.heard) == ([b"1", b"3"], [b"2"])


def test_a_congested_consumer_is_passed_over() -> None:
    exchange = Exchange()
    queue = _bound(exchange, "q")
    deaf, other = Listener(queue, "deaf"), Listener(queue, "other")
    deaf.congested = True

    exchange.publish(b"1")
    exchange.publish(b"2")

    assert (deaf.heard, other.heard) == ([], [b"1", b"2"])


def test_what_congestion_held_back_goes_out_in_order_afterwards() -> None:
    exchange = Exchange()
    queue = _bound(exchange, "q")
    listener = Listener(queue)
    listener.congested = True
    exchange.publish(b"1")
    exchange.publish(b"2")

    listener.congested = False
    queue.drain()

    assert listener.heard == [b"1", b"2"]


def test_consumers_are_dropped_by_owner_channel_and_tag() -> None:
    queue = BrokerQueue(name="q")
    ours, theirs = Listener(queue), Listener(queue)

    queue.drop_consumers(ours, channel=1, tag="another")
    queue.drop_consumers(ours, channel=2)
    assert [item.owner for item in queue.consumers] == [ours, theirs]

    queue.drop_consumers(ours, channel=1, tag="ours")
    assert [item.owner for item in queue.consumers] == [theirs]


def test_an_owner_that_goes_takes_its_queues_along_and_no_others() -> None:
    exchange = Exchange()
    owner = object()
    _bound(exchange, "mine", owner)
    _bound(exchange, "shared")

    exchange.forget(owner)

    assert list(exchange.queues) == ["shared"]
    assert exchange.bindings[EXCHANGE] == {"shared"}


def test_a_cancelled_consumer_is_told_and_hears_no_more() -> None:
    exchange = Exchange()
    listener = Listener(_bound(exchange, "q"))

    exchange.cancel_consumers()
    exchange.publish(b"1")

    assert (listener.told, listener.heard) == (1, [])

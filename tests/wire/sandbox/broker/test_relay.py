"""Notices of a sandbox to a real RabbitMQ, and to none."""

from __future__ import annotations

import pytest

import ermpoll
from tests.helpers.rabbitmq import EXCHANGE, Rabbit, free_port, rabbit
from tests.helpers.sandbox_client import Client, closing

__all__ = ["rabbit"]


@pytest.mark.rabbitmq
def test_notices_go_to_a_real_broker_when_given(rabbit: Rabbit) -> None:
    connection = rabbit.connect()
    channel = connection.channel()
    channel.exchange_declare(EXCHANGE, exchange_type="fanout")
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, EXCHANGE)

    with ermpoll.sandbox.start(amqp=rabbit.url) as box:
        box.add(1)
        items = channel.consume(queue, auto_ack=True, inactivity_timeout=10)
        method, _, body = next(items)

    assert box.amqp_url == rabbit.url
    assert (method.exchange, body) == (EXCHANGE, b"change")
    connection.close()


def test_a_broker_that_is_not_there_stops_no_write() -> None:
    url = f"amqp://localhost:{free_port()}/?connection_attempts=1&retry_delay=0"

    with ermpoll.sandbox.start(amqp=url) as box, closing(Client(box.url)) as client:
        statuses = [
            client.put("/attributegroup/Imaging:Image/RID;Priority", []).status
            for _ in range(3)
        ]

    assert statuses == [200, 200, 200]

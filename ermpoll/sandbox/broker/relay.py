"""Notices to a real broker, sent from a thread of their own."""

from __future__ import annotations

import logging
import queue
import threading

import pika
from pika.exceptions import AMQPError

from ermpoll.sandbox.broker.exchange import EXCHANGE

logger = logging.getLogger(__name__)


class Relay:
    """Publishes to the fanout of a real broker, as ERMrest does.

    As there, a notice that fails is tried once more on a new connection and then
    dropped: notices are hints.
    """

    def __init__(self, url: str) -> None:
        self._parameters = pika.URLParameters(url)
        self._connection: pika.BlockingConnection | None = None
        self._channel: pika.adapters.blocking_connection.BlockingChannel | None = None
        self._waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._run, name="ermpoll-sandbox-relay", daemon=True
        )
        self._thread.start()

    def publish(self) -> None:
        """Send one notice, soon."""
        self._waiting.put(b"change")

    def stop(self) -> None:
        """Send what waits, then end."""
        self._waiting.put(None)
        self._thread.join(10)

    def _run(self) -> None:
        while (body := self._waiting.get()) is not None:
            for _ in range(2):
                try:
                    self._send(body)
                    break
                except (AMQPError, OSError) as error:
                    logger.warning("a notice could not be sent: %r", error)
                    self._connection = None
        if self._connection is not None and self._connection.is_open:
            self._connection.close()

    def _send(self, body: bytes) -> None:
        if self._connection is None or self._channel is None:
            self._connection = pika.BlockingConnection(self._parameters)
            self._channel = self._connection.channel()
            self._channel.exchange_declare(EXCHANGE, exchange_type="fanout")
        self._channel.basic_publish(EXCHANGE, routing_key="", body=body)

"""One connection to a broker, from the first byte to the last.

A chain of pika's callbacks on a loop of its own: connect, channel, exchange,
queue, bind, consume. It ends once, and says why; trying again is the ``hub``'s.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pika
from pika.adapters.select_connection import IOLoop, SelectConnection
from pika.exceptions import ChannelClosedByBroker

from ermpoll.notices.amqp_errors import reason
from ermpoll.notices.amqp_url import Address

# pika logs each failed attempt as an error; without this a notebook without any
# logging set up would show them. The status says the same in words.
logging.getLogger("pika").addHandler(logging.NullHandler())

#: A broker has so long to confirm a close before the socket is simply closed.
_GOODBYE_S = 0.03
#: PRECONDITION_FAILED (declared otherwise) and ACCESS_REFUSED (may not declare).
_NOT_OURS = (406, 403)


class Link:
    """A subscription to a fanout exchange, for as long as one connection lasts.

    Parameters
    ----------
    on_up
        Called when notices will come from now on.
    on_notice
        Called for each notice.
    """

    def __init__(
        self,
        address: Address,
        exchange: str,
        *,
        on_up: Callable[[], None],
        on_notice: Callable[[], None],
    ) -> None:
        self._address = address
        self._exchange = exchange
        self._on_up = on_up
        self._on_notice = on_notice
        self._loop = IOLoop()
        self._connection: Any = None
        self._passive = False
        self._declared = False
        self._up = False
        self._ending = False
        self._reason = ""
        self._lock = threading.Lock()
        self._over = False

    def run(self) -> str:
        """Connect, listen, and return in words why that has ended.

        It is "" after :meth:`close` without a reason. All callbacks are called on
        this thread.
        """
        try:
            # This way of making it, unlike pika's create_connection(), gives a
            # connection that can be closed at each moment of its coming up.
            self._connection = SelectConnection(
                self._address.parameters,
                on_open_callback=self._connected,
                on_open_error_callback=self._closed,
                on_close_callback=self._closed,
                custom_ioloop=self._loop,
            )
            self._loop.call_later(self._address.open_s, self._check_up)
            self._loop.start()
        except AssertionError:
            # pika trips over its own abort of a greeting; only its end was wanted.
            if not self._ending:
                raise
        finally:
            self._terminate()
            with self._lock:
                self._over = True
                self._loop.close()
        return self._reason

    def after(self, wait_s: float, callback: Callable[[], None]) -> None:
        """Call back on this connection's thread, unless it ends first. Thread-safe."""
        self._call(lambda: self._loop.call_later(wait_s, callback))

    def close(self, why: str = "") -> None:
        """End the connection within 50 ms. Thread-safe; the first reason counts."""
        self._call(lambda: self._end(why))

    def _call(self, callback: Callable[[], object]) -> None:
        """Call back on the connection's thread, unless that has ended."""
        with self._lock:
            if not self._over:
                self._loop.add_callback_threadsafe(callback)

    def _connected(self, _: Any) -> None:
        self._open_channel()

    def _open_channel(self) -> None:
        self._connection.channel(on_open_callback=self._channel_open)

    def _channel_open(self, channel: Any) -> None:
        channel.add_on_close_callback(self._channel_closed)
        channel.add_on_cancel_callback(
            lambda _: self._end("the broker cancelled the consumer: queue deleted")
        )
        # As ERMrest does: neither durable nor auto-delete.
        channel.exchange_declare(
            self._exchange,
            exchange_type="fanout",
            passive=self._passive,
            callback=lambda _: self._exchange_known(channel),
        )

    def _exchange_known(self, channel: Any) -> None:
        self._declared = True
        channel.queue_declare(
            "", exclusive=True, callback=lambda ok: self._bind(channel, ok.method.queue)
        )

    def _bind(self, channel: Any, queue: str) -> None:
        channel.queue_bind(
            queue, self._exchange, callback=lambda _: self._consume(channel, queue)
        )

    def _consume(self, channel: Any, queue: str) -> None:
        # Acknowledged on delivery: RabbitMQ closes the channel of a consumer that
        # holds a message for longer than consumer_timeout.
        channel.basic_consume(
            queue,
            lambda *_: self._on_notice(),
            auto_ack=True,
            exclusive=True,
            callback=lambda _: self._listening(),
        )

    def _listening(self) -> None:
        self._up = True
        self._on_up()

    def _channel_closed(self, channel: Any, error: Exception) -> None:
        ours = self._declared or self._passive
        code = error.reply_code if isinstance(error, ChannelClosedByBroker) else 0
        if code in _NOT_OURS and not ours:
            # It exists as something else, or may only be used: take it as it is.
            self._passive = True
            self._open_channel()
        elif not self._ending:
            self._end(reason(error, self._address))

    def _check_up(self) -> None:
        if not self._up:
            self._end(reason(TimeoutError(), self._address))

    def _end(self, why: str) -> None:
        """Close gently; by force when the broker does not confirm at once."""
        if self._ending:
            return
        self._ending = True
        self._reason = why
        self._loop.call_later(_GOODBYE_S, self._loop.stop)
        if not (self._connection.is_closing or self._connection.is_closed):
            self._connection.close()

    def _closed(self, _: Any, error: Exception) -> None:
        if not self._ending:
            self._reason = reason(error, self._address)
        self._ending = True
        self._loop.stop()

    def _terminate(self) -> None:
        """Close the socket of a connection that did not end by itself."""
        connection = self._connection
        if connection is not None and not connection.is_closed:
            # pika has no public way to drop a connection whose peer says nothing.
            connection._terminate_stream(pika.exceptions.StreamLostError("dropped"))
            self._loop.process_timeouts()

"""A loopback AMQP 0-9-1 broker, as far as change notices need one.

Fanout exchanges, exclusive queues, and the connections that use them, on the event
loop of the sandbox. What is said on a connection is `peers`' affair.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools

from pika import spec

from ermpoll.sandbox.broker.connection import Peer
from ermpoll.sandbox.broker.exchange import EXCHANGE, BrokerQueue


class Broker:
    """The exchanges and queues, and the connections that use them.

    Parameters
    ----------
    login
        ``(user, password)`` that alone may connect, or None: anybody.
    """

    def __init__(self, login: tuple[str, str] | None = None) -> None:
        self.login = login
        self.exchanges: dict[str, str] = {EXCHANGE: "fanout"}
        self.bindings: dict[str, set[str]] = {EXCHANGE: set()}
        self.queues: dict[str, BrokerQueue] = {}
        self.peers: set[Peer] = set()
        self.names = itertools.count(1)
        #: True: connections are refused.
        self.refusing = False
        #: True: nothing is published.
        self.muted = False
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen and return the port."""
        self._server = await asyncio.start_server(self._accept, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close all connections and stop listening."""
        if self._server is not None:
            self._server.close()
        tasks = [peer.task for peer in self.peers]
        self.cut()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        peer = Peer(self, reader, writer)
        self.peers.add(peer)
        try:
            await peer.run()
        finally:
            self.peers.discard(peer)
            self._forget(peer)

    def _forget(self, peer: Peer) -> None:
        for queue in list(self.queues.values()):
            queue.consumers = [item for item in queue.consumers if item.peer != peer]
            if queue.owner is peer:
                self.drop_queue(queue.name)

    def drop_queue(self, name: str) -> None:
        """Take a queue away."""
        self.queues.pop(name, None)
        for bound in self.bindings.values():
            bound.discard(name)

    def publish(self, body: bytes = b"change", exchange: str = EXCHANGE) -> None:
        """Put a message in every queue bound to a fanout exchange."""
        if self.muted:
            return
        for name in self.bindings.get(exchange, ()):
            queue = self.queues[name]
            queue.messages.append((exchange, body))
            self.drain(queue)

    def drain(self, queue: BrokerQueue) -> None:
        """Deliver what waits in a queue to its consumers in turn."""
        while queue.messages and queue.consumers:
            consumer = queue.consumers.pop(0)
            queue.consumers.append(consumer)
            if consumer.peer.is_congested:
                return
            consumer.peer.deliver(consumer, *queue.messages.popleft())

    def cut(self) -> None:
        """Break every connection, without a word."""
        for peer in list(self.peers):
            peer.abort()

    def cancel_consumers(self) -> None:
        """Cancel every consumer, as a broker does that loses a queue."""
        for queue in self.queues.values():
            for item in queue.consumers:
                item.peer.send(item.channel, spec.Basic.Cancel(item.tag, True))
            queue.consumers.clear()

    @property
    def unacknowledged(self) -> int:
        """How many messages were delivered and wait for their acknowledgement."""
        return sum(len(peer.unacked) for peer in self.peers)

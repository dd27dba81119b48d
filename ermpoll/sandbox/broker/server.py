"""A loopback AMQP 0-9-1 broker, as far as change notices need one: its socket.

It runs on the event loop of the sandbox. What is said on a connection stands in
`connection`, what becomes of messages in `exchange`.
"""

from __future__ import annotations

import asyncio
import contextlib

from ermpoll.sandbox.broker.connection import Peer
from ermpoll.sandbox.broker.exchange import Exchange


class Broker:
    """An exchange, and the connections that use it.

    Parameters
    ----------
    login
        ``(user, password)`` that alone may connect, or None: anybody.
    """

    def __init__(self, login: tuple[str, str] | None = None) -> None:
        self.login = login
        self.exchange = Exchange()
        self.peers: set[Peer] = set()
        #: True: connections are refused.
        self.refusing = False
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
        peer = Peer(self.exchange, self.login, reader, writer)
        self.peers.add(peer)
        try:
            await peer.run()
        finally:
            self.peers.discard(peer)
            self.exchange.forget(peer)

    def cut(self) -> None:
        """Break every connection, without a word."""
        for peer in list(self.peers):
            peer.abort()

    @property
    def unacknowledged(self) -> int:
        """How many messages were delivered and wait for their acknowledgement."""
        return sum(len(peer.unacked) for peer in self.peers)

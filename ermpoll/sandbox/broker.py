"""A loopback AMQP 0-9-1 broker, as far as change notices need one.

Fanout exchanges, exclusive queues, consumers with and without acknowledgement, and
heartbeats; frames by pika's codec. It runs on the event loop of the sandbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from pika import exceptions, frame, spec
from pika.amqp_object import Method

logger = logging.getLogger(__name__)

EXCHANGE = "ermrest_changes"
_HEADER = b"AMQP\x00\x00\x09\x01"
_HEARTBEAT_S = 30
_FRAME_MAX = 131072
#: A queue that nobody consumes keeps this many messages.
_QUEUE_MAX = 100_000


@dataclass(slots=True, kw_only=True)
class _Queue:
    name: str
    owner: _Peer | None
    messages: deque[bytes] = field(default_factory=lambda: deque(maxlen=_QUEUE_MAX))
    consumers: list[_Consumer] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Consumer:
    peer: _Peer
    channel: int
    tag: str
    queue: _Queue
    no_ack: bool


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
        self.queues: dict[str, _Queue] = {}
        self.peers: set[_Peer] = set()
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
        peer = _Peer(self, reader, writer)
        self.peers.add(peer)
        try:
            await peer.run()
        finally:
            self.peers.discard(peer)
            self._forget(peer)

    def _forget(self, peer: _Peer) -> None:
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
            queue.messages.append(body)
            self.drain(queue, exchange)

    def drain(self, queue: _Queue, exchange: str = EXCHANGE) -> None:
        """Deliver what waits in a queue to its consumers in turn."""
        while queue.messages and queue.consumers:
            consumer = queue.consumers.pop(0)
            queue.consumers.append(consumer)
            consumer.peer.deliver(consumer, exchange, queue.messages.popleft())

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


class _Peer:
    """One connection."""

    def __init__(
        self,
        broker: Broker,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._broker = broker
        self._reader = reader
        self._writer = writer
        self._tags = itertools.count(1)
        self._steps = {
            spec.Connection.StartOk: self._login,
            spec.Connection.Open: self._reply(spec.Connection.OpenOk),
            spec.Connection.Close: self._close,
            spec.Channel.Open: self._reply(spec.Channel.OpenOk),
            spec.Channel.Close: self._close_channel,
            spec.Exchange.Declare: self._declare_exchange,
            spec.Queue.Declare: self._declare_queue,
            spec.Queue.Bind: self._bind,
            spec.Queue.Unbind: self._unbind,
            spec.Queue.Delete: self._delete_queue,
            spec.Queue.Purge: self._purge,
            spec.Basic.Qos: self._reply(spec.Basic.QosOk),
            spec.Basic.Consume: self._consume,
            spec.Basic.Cancel: self._cancel,
            spec.Basic.Get: self._get,
            spec.Basic.Publish: self._publish,
            spec.Basic.Ack: self._ack,
            spec.Basic.Nack: self._ack,
            spec.Basic.Reject: self._ack,
            spec.Confirm.Select: self._reply(spec.Confirm.SelectOk),
        }
        self._publishing: str | None = None
        self.unacked: set[tuple[int, int]] = set()
        task = asyncio.current_task()
        assert task is not None
        self.task = task

    async def run(self) -> None:
        """Serve the connection until it ends."""
        heartbeats = asyncio.get_running_loop().create_task(self._heartbeats())
        try:
            if await self._reader.readexactly(len(_HEADER)) != _HEADER:
                self._writer.write(_HEADER)
                return
            self._start()
            await self._frames()
        except (OSError, asyncio.IncompleteReadError, exceptions.AMQPError):
            logger.debug("a connection to the broker ended")
        except asyncio.CancelledError:
            # Raised only by our own stop(), which waits for this task.
            logger.debug("the broker stops")
        finally:
            heartbeats.cancel()
            self._writer.close()

    async def _heartbeats(self) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT_S / 2)
            self._writer.write(frame.Heartbeat().marshal())

    async def _frames(self) -> None:
        data = b""
        while not self._writer.is_closing():
            chunk = await self._reader.read(65536)
            if not chunk:
                return
            data += chunk
            while data:
                used, item = frame.decode_frame(data)
                if item is None:
                    break
                data = data[used:]
                self._take(item)

    def _take(self, item: Any) -> None:
        if isinstance(item, frame.Body) and self._publishing is not None:
            self._broker.publish(item.fragment, self._publishing)
            self._publishing = None
        if not isinstance(item, frame.Method):
            return
        step = self._steps.get(type(item.method))
        if step is not None:
            step(item.channel_number, item.method)
        elif not isinstance(item.method, _SILENT):
            name = item.method.NAME
            self.send(0, spec.Connection.Close(540, f"NOT_IMPLEMENTED {name}", 0, 0))

    def send(self, channel: int, method: Method) -> None:
        """Send one method."""
        self._writer.write(frame.Method(channel, method).marshal())

    def abort(self) -> None:
        """Break the connection."""
        self._writer.transport.abort()
        self.task.cancel()

    def _reply(self, answer: Any) -> Any:
        return lambda channel, method: self.send(channel, answer())

    def _start(self) -> None:
        features = {"basic.nack": True, "consumer_cancel_notify": True}
        properties = {"product": "ermpoll sandbox", "capabilities": features}
        self.send(
            0,
            spec.Connection.Start(
                server_properties=properties, mechanisms="PLAIN", locales="en_US"
            ),
        )

    def _login(self, channel: int, method: Any) -> None:
        given = method.response
        given = given.encode() if isinstance(given, str) else given
        wanted = self._broker.login
        if wanted is not None and given != f"\0{wanted[0]}\0{wanted[1]}".encode():
            text = "ACCESS_REFUSED - the login is not known"
            self.send(0, spec.Connection.Close(403, text, 0, 0))
            return
        self.send(0, spec.Connection.Tune(2047, _FRAME_MAX, _HEARTBEAT_S))

    def _close(self, channel: int, method: Any) -> None:
        self.send(0, spec.Connection.CloseOk())
        self._writer.close()

    def _close_channel(self, channel: int, method: Any) -> None:
        for queue in self._broker.queues.values():
            queue.consumers = [
                item
                for item in queue.consumers
                if item.peer is not self or item.channel != channel
            ]
        self.unacked = {item for item in self.unacked if item[0] != channel}
        self.send(channel, spec.Channel.CloseOk())

    def _refuse(self, channel: int, code: int, text: str, method: Any) -> None:
        number, kind = divmod(method.INDEX, 1 << 16)
        self.send(channel, spec.Channel.Close(code, text, number, kind))

    def _declare_exchange(self, channel: int, method: Any) -> None:
        known = self._broker.exchanges.get(method.exchange)
        if known is None and method.passive:
            self._refuse(channel, 404, f"NOT_FOUND - {method.exchange}", method)
            return
        differs = known is not None and (method.type != known or method.durable)
        if differs and not method.passive:
            text = f"PRECONDITION_FAILED - exchange {method.exchange} differs"
            self._refuse(channel, 406, text, method)
            return
        self._broker.exchanges.setdefault(method.exchange, method.type)
        self._broker.bindings.setdefault(method.exchange, set())
        self.send(channel, spec.Exchange.DeclareOk())

    def _declare_queue(self, channel: int, method: Any) -> None:
        name = method.queue or f"amq.gen-{next(self._broker.names)}"
        queue = self._broker.queues.get(name)
        if queue is None and method.passive:
            self._refuse(channel, 404, f"NOT_FOUND - {name}", method)
            return
        if queue is None:
            owner = self if method.exclusive else None
            queue = self._broker.queues[name] = _Queue(name=name, owner=owner)
        if queue.owner not in (None, self):
            self._refuse(channel, 405, f"RESOURCE_LOCKED - {name}", method)
            return
        counts = len(queue.messages), len(queue.consumers)
        self.send(channel, spec.Queue.DeclareOk(name, *counts))

    def _queue(self, channel: int, method: Any) -> _Queue | None:
        queue = self._broker.queues.get(method.queue)
        if queue is None:
            self._refuse(channel, 404, f"NOT_FOUND - {method.queue}", method)
        return queue

    def _bind(self, channel: int, method: Any) -> None:
        queue = self._queue(channel, method)
        if queue is None:
            return
        if method.exchange not in self._broker.bindings:
            self._refuse(channel, 404, f"NOT_FOUND - {method.exchange}", method)
            return
        self._broker.bindings[method.exchange].add(queue.name)
        self.send(channel, spec.Queue.BindOk())

    def _unbind(self, channel: int, method: Any) -> None:
        self._broker.bindings.get(method.exchange, set()).discard(method.queue)
        self.send(channel, spec.Queue.UnbindOk())

    def _delete_queue(self, channel: int, method: Any) -> None:
        queue = self._broker.queues.get(method.queue)
        self._broker.drop_queue(method.queue)
        self.send(channel, spec.Queue.DeleteOk(len(queue.messages) if queue else 0))

    def _purge(self, channel: int, method: Any) -> None:
        queue = self._queue(channel, method)
        if queue is not None:
            count = len(queue.messages)
            queue.messages.clear()
            self.send(channel, spec.Queue.PurgeOk(count))

    def _consume(self, channel: int, method: Any) -> None:
        queue = self._queue(channel, method)
        if queue is None:
            return
        tag = method.consumer_tag or f"ctag-{next(self._broker.names)}"
        self.send(channel, spec.Basic.ConsumeOk(tag))
        queue.consumers.append(
            _Consumer(
                peer=self, channel=channel, tag=tag, queue=queue, no_ack=method.no_ack
            )
        )
        self._broker.drain(queue)

    def _cancel(self, channel: int, method: Any) -> None:
        for queue in self._broker.queues.values():
            queue.consumers = [
                item for item in queue.consumers if item.tag != method.consumer_tag
            ]
        self.send(channel, spec.Basic.CancelOk(method.consumer_tag))

    def _get(self, channel: int, method: Any) -> None:
        queue = self._queue(channel, method)
        if queue is None:
            return
        if not queue.messages:
            self.send(channel, spec.Basic.GetEmpty())
            return
        body, left = queue.messages.popleft(), len(queue.messages)
        tag = self._tag(channel, method.no_ack)
        self.send(channel, spec.Basic.GetOk(tag, False, EXCHANGE, "", left))
        self._send_body(channel, body)

    def _publish(self, channel: int, method: Any) -> None:
        self._publishing = method.exchange

    def _ack(self, channel: int, method: Any) -> None:
        tag, multiple = method.delivery_tag, getattr(method, "multiple", False)
        self.unacked = {
            item
            for item in self.unacked
            if item[0] != channel
            or not (item[1] == tag or (multiple and (not tag or item[1] <= tag)))
        }

    def _tag(self, channel: int, no_ack: bool) -> int:
        tag = next(self._tags)
        if not no_ack:
            self.unacked.add((channel, tag))
        return tag

    def deliver(self, consumer: _Consumer, exchange: str, body: bytes) -> None:
        """Send a message to a consumer."""
        tag = self._tag(consumer.channel, consumer.no_ack)
        method = spec.Basic.Deliver(consumer.tag, tag, False, exchange, "")
        self.send(consumer.channel, method)
        self._send_body(consumer.channel, body)

    def _send_body(self, channel: int, body: bytes) -> None:
        properties = spec.BasicProperties()
        self._writer.write(frame.Header(channel, len(body), properties).marshal())
        if body:
            self._writer.write(frame.Body(channel, body).marshal())


#: Methods that need no answer.
_SILENT = (
    spec.Connection.TuneOk,
    spec.Connection.CloseOk,
    spec.Channel.CloseOk,
    spec.Channel.FlowOk,
    spec.Basic.CancelOk,
)

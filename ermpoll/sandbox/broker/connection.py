"""One connection to the loopback broker: what each AMQP method does there."""

from __future__ import annotations

import asyncio
import itertools
import logging
from functools import partial
from typing import Any

from pika import exceptions, spec
from pika.amqp_object import Method

from ermpoll.sandbox.broker.exchange import BrokerQueue, Consumer, Exchange
from ermpoll.sandbox.broker.frames import FRAME_MAX, HEARTBEAT_S, Frames

logger = logging.getLogger(__name__)


class Peer:
    """One connection.

    Parameters
    ----------
    exchange
        What the connection's methods work on.
    login
        ``(user, password)`` that it needs, or None: anybody's will do.
    """

    def __init__(
        self,
        exchange: Exchange,
        login: tuple[str, str] | None,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._exchange = exchange
        self._wanted = login
        self._frames = Frames(reader, writer, self._drain)
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
            spec.Basic.Ack: self._ack,
            spec.Basic.Nack: self._ack,
            spec.Basic.Reject: self._ack,
            spec.Confirm.Select: self._confirm,
        }
        #: How much was published on the channels that want to be told.
        self._confirmed: dict[int, int] = {}
        #: Channel and tag of each message that waits for its acknowledgement.
        self.unacked: set[tuple[int, int]] = set()
        task = asyncio.current_task()
        assert task is not None
        self.task = task

    async def run(self) -> None:
        """Serve the connection until it ends."""
        loop = asyncio.get_running_loop()
        heartbeats = loop.create_task(self._frames.heartbeats())
        try:
            if not await self._frames.greet():
                return
            self._start()
            async for channel, method, body in self._frames.arriving():
                self._take(channel, method, body)
        except (OSError, asyncio.IncompleteReadError, exceptions.AMQPError):
            logger.debug("a connection to the broker ended")
        except asyncio.CancelledError:
            # Raised only by our own stop(), which waits for this task.
            logger.debug("the broker stops")
        finally:
            heartbeats.cancel()
            self._frames.close()

    def _take(self, channel: int, method: Any, body: bytes) -> None:
        if isinstance(method, spec.Basic.Publish):
            self._publish(channel, method, body)
            return
        step = self._steps.get(type(method))
        if step is not None:
            step(channel, method)
        elif not isinstance(method, _SILENT):
            text = f"NOT_IMPLEMENTED {method.NAME}"
            self._send(0, spec.Connection.Close(540, text, 0, 0))

    def _send(self, channel: int, method: Method, body: bytes | None = None) -> None:
        self._frames.send(channel, method, body)

    def _drain(self) -> None:
        """Send on what queued up while the client did not read."""
        for queue in self._exchange.queues_of(self):
            queue.drain()

    def abort(self) -> None:
        """Break the connection."""
        self._frames.abort()
        self.task.cancel()

    def _reply(self, answer: Any) -> Any:
        return lambda channel, method: self._send(channel, answer())

    def _start(self) -> None:
        names = ("basic.nack", "consumer_cancel_notify", "publisher_confirms")
        properties = {
            "product": "ermpoll sandbox",
            "capabilities": dict.fromkeys(names, True),
        }
        self._send(0, spec.Connection.Start(server_properties=properties))

    def _login(self, channel: int, method: Any) -> None:
        given = method.response
        given = given.encode() if isinstance(given, str) else given
        wanted = self._wanted
        if wanted is not None and given != f"\0{wanted[0]}\0{wanted[1]}".encode():
            text = "ACCESS_REFUSED - the login is not known"
            self._send(0, spec.Connection.Close(403, text, 0, 0))
            return
        self._send(0, spec.Connection.Tune(2047, FRAME_MAX, HEARTBEAT_S))

    def _close(self, channel: int, method: Any) -> None:
        self._send(0, spec.Connection.CloseOk())
        self._frames.close()

    def _close_channel(self, channel: int, method: Any) -> None:
        for queue in self._exchange.queues.values():
            queue.drop_consumers(self, channel=channel)
        self.unacked = {item for item in self.unacked if item[0] != channel}
        self._confirmed.pop(channel, None)
        self._send(channel, spec.Channel.CloseOk())

    def _refuse(self, channel: int, code: int, text: str, method: Any) -> None:
        number, kind = divmod(method.INDEX, 1 << 16)
        self._send(channel, spec.Channel.Close(code, text, number, kind))

    def _declare_exchange(self, channel: int, method: Any) -> None:
        known = self._exchange.types.get(method.exchange)
        if known is None and method.passive:
            self._refuse(channel, 404, f"NOT_FOUND - {method.exchange}", method)
            return
        differs = known is not None and (method.type != known or method.durable)
        if differs and not method.passive:
            text = f"PRECONDITION_FAILED - exchange {method.exchange} differs"
            self._refuse(channel, 406, text, method)
            return
        self._exchange.types.setdefault(method.exchange, method.type)
        self._exchange.bindings.setdefault(method.exchange, set())
        self._send(channel, spec.Exchange.DeclareOk())

    def _declare_queue(self, channel: int, method: Any) -> None:
        name = method.queue or f"amq.gen-{next(self._exchange.names)}"
        queue = self._exchange.queues.get(name)
        if queue is None and method.passive:
            self._refuse(channel, 404, f"NOT_FOUND - {name}", method)
            return
        if queue is None:
            owner = self if method.exclusive else None
            queue = self._exchange.queues[name] = BrokerQueue(name=name, owner=owner)
        if queue.owner not in (None, self):
            self._refuse(channel, 405, f"RESOURCE_LOCKED - {name}", method)
            return
        counts = len(queue.messages), len(queue.consumers)
        self._send(channel, spec.Queue.DeclareOk(name, *counts))

    def _queue(self, channel: int, method: Any) -> BrokerQueue | None:
        queue = self._exchange.queues.get(method.queue)
        if queue is None:
            self._refuse(channel, 404, f"NOT_FOUND - {method.queue}", method)
        return queue

    def _bind(self, channel: int, method: Any) -> None:
        queue = self._queue(channel, method)
        if queue is None:
            return
        if method.exchange not in self._exchange.bindings:
            self._refuse(channel, 404, f"NOT_FOUND - {method.exchange}", method)
            return
        self._exchange.bindings[method.exchange].add(queue.name)
        self._send(channel, spec.Queue.BindOk())

    def _unbind(self, channel: int, method: Any) -> None:
        self._exchange.bindings.get(method.exchange, set()).discard(method.queue)
        self._send(channel, spec.Queue.UnbindOk())

    def _delete_queue(self, channel: int, method: Any) -> None:
        queue = self._exchange.queues.get(method.queue)
        self._exchange.drop_queue(method.queue)
        self._send(channel, spec.Queue.DeleteOk(len(queue.messages) if queue else 0))

    def _purge(self, channel: int, method: Any) -> None:
        queue = self._queue(channel, method)
        if queue is not None:
            count = len(queue.messages)
            queue.messages.clear()
            self._send(channel, spec.Queue.PurgeOk(count))

    def _consume(self, channel: int, method: Any) -> None:
        queue = self._queue(channel, method)
        if queue is None:
            return
        tag = method.consumer_tag or f"ctag-{next(self._exchange.names)}"
        self._send(channel, spec.Basic.ConsumeOk(tag))
        queue.consumers.append(
            Consumer(
                owner=self,
                channel=channel,
                tag=tag,
                deliver=partial(self._deliver, channel, tag, method.no_ack),
                is_congested=self._frames.is_congested,
                cancelled=lambda: self._send(channel, spec.Basic.Cancel(tag, True)),
            )
        )
        queue.drain()

    def _cancel(self, channel: int, method: Any) -> None:
        for queue in self._exchange.queues.values():
            queue.drop_consumers(self, channel=channel, tag=method.consumer_tag)
        self._send(channel, spec.Basic.CancelOk(method.consumer_tag))

    def _get(self, channel: int, method: Any) -> None:
        queue = self._queue(channel, method)
        if queue is None:
            return
        if not queue.messages:
            self._send(channel, spec.Basic.GetEmpty())
            return
        exchange, body = queue.messages.popleft()
        tag = self._tag(channel, method.no_ack)
        answer = spec.Basic.GetOk(tag, False, exchange, "", len(queue.messages))
        self._send(channel, answer, body)

    def _confirm(self, channel: int, method: Any) -> None:
        self._confirmed.setdefault(channel, 0)
        self._send(channel, spec.Confirm.SelectOk())

    def _publish(self, channel: int, method: Any, body: bytes) -> None:
        if method.exchange not in self._exchange.bindings:
            self._refuse(channel, 404, f"NOT_FOUND - {method.exchange}", method)
            return
        self._exchange.publish(body, method.exchange)
        if channel in self._confirmed:
            self._confirmed[channel] += 1
            self._send(channel, spec.Basic.Ack(self._confirmed[channel]))

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

    def _deliver(
        self, channel: int, tag: str, no_ack: bool, exchange: str, body: bytes
    ) -> None:
        number = self._tag(channel, no_ack)
        deliver = spec.Basic.Deliver(tag, number, False, exchange, "")
        self._send(channel, deliver, body)


#: Methods that need no answer.
_SILENT = (
    spec.Connection.TuneOk,
    spec.Connection.CloseOk,
    spec.Channel.CloseOk,
    spec.Channel.FlowOk,
    spec.Basic.CancelOk,
)

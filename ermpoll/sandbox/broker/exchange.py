"""Exchanges, queues and who takes their messages; nothing of connections."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

#: The exchange that ERMrest sends to.
EXCHANGE = "ermrest_changes"
#: A queue that nobody consumes keeps this many messages.
_QUEUE_MAX = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """Somebody who takes the messages of a queue."""

    #: Whose consumer it is; tags are unique only on one channel of one owner.
    owner: object
    channel: int
    tag: str
    #: Sends a message, given its exchange and body.
    deliver: Callable[[str, bytes], None] = field(repr=False)
    #: True while more can't be sent; who says so calls `Exchange.drain` when it can.
    is_congested: Callable[[], bool] = field(repr=False)
    #: Tells the owner that it takes nothing any more.
    cancelled: Callable[[], None] = field(repr=False)


@dataclass(slots=True, kw_only=True)
class BrokerQueue:
    """Messages that wait, and who takes them."""

    name: str
    #: Who alone may use it, and with whom it goes; None: anybody.
    owner: object | None = None
    #: Exchange and body of each.
    messages: deque[tuple[str, bytes]] = field(
        default_factory=lambda: deque(maxlen=_QUEUE_MAX)
    )
    consumers: list[Consumer] = field(default_factory=list)

    def drain(self) -> None:
        """Deliver what waits to the consumers in turn, past congested ones."""
        while self.messages and (consumer := self._next()) is not None:
            consumer.deliver(*self.messages.popleft())

    def _next(self) -> Consumer | None:
        for consumer in self.consumers:
            if not consumer.is_congested():
                self.consumers.remove(consumer)
                self.consumers.append(consumer)
                return consumer
        return None

    def drop_consumers(
        self, owner: object, *, channel: int | None = None, tag: str | None = None
    ) -> None:
        """Forget an owner's consumers: all, those of a channel, or the one of a tag."""
        self.consumers = [
            item
            for item in self.consumers
            if item.owner is not owner
            or channel not in (None, item.channel)
            or tag not in (None, item.tag)
        ]


class Exchange:
    """All exchanges and queues of a broker."""

    def __init__(self) -> None:
        #: Exchange name to its type.
        self.types: dict[str, str] = {EXCHANGE: "fanout"}
        #: Exchange name to the names of the queues that are bound to it.
        self.bindings: dict[str, set[str]] = {EXCHANGE: set()}
        self.queues: dict[str, BrokerQueue] = {}
        #: Numbers for what needs a name of its own.
        self.names = itertools.count(1)
        #: True: nothing is published.
        self.muted = False

    def publish(self, body: bytes = b"change", exchange: str = EXCHANGE) -> None:
        """Put a message in every queue bound to a fanout exchange."""
        if self.muted:
            return
        for name in self.bindings.get(exchange, ()):
            queue = self.queues[name]
            queue.messages.append((exchange, body))
            queue.drain()

    def drop_queue(self, name: str) -> None:
        """Take a queue away."""
        self.queues.pop(name, None)
        for bound in self.bindings.values():
            bound.discard(name)

    def queues_of(self, owner: object) -> Iterable[BrokerQueue]:
        """Return the queues that an owner consumes."""
        return [
            queue
            for queue in self.queues.values()
            if any(item.owner is owner for item in queue.consumers)
        ]

    def forget(self, owner: object) -> None:
        """Take away an owner's consumers and queues."""
        for queue in list(self.queues.values()):
            queue.drop_consumers(owner)
            if queue.owner is owner:
                self.drop_queue(queue.name)

    def cancel_consumers(self) -> None:
        """Cancel every consumer, as a broker does that loses a queue."""
        for queue in self.queues.values():
            for item in queue.consumers:
                item.cancelled()
            queue.consumers.clear()

"""The queues of the loopback broker, and who takes their messages."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ermpoll.sandbox.broker.connection import Peer

#: The exchange that ERMrest sends to.
EXCHANGE = "ermrest_changes"
#: A queue that nobody consumes keeps this many messages.
_QUEUE_MAX = 100_000


@dataclass(slots=True, kw_only=True)
class BrokerQueue:
    """Messages that wait, and who takes them."""

    name: str
    owner: Peer | None
    #: Exchange and body of each.
    messages: deque[tuple[str, bytes]] = field(
        default_factory=lambda: deque(maxlen=_QUEUE_MAX)
    )
    consumers: list[Consumer] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """A channel that takes the messages of a queue."""

    peer: Peer
    channel: int
    tag: str
    queue: BrokerQueue
    no_ack: bool

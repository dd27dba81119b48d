"""Notices from the ``ermrest_changes`` fanout of an AMQP broker (RabbitMQ).

The one door to pika. ``address`` reads URLs, ``link`` is one connection,
``reasons`` puts failures into words, ``hub`` connects again and shares.
"""

from __future__ import annotations

from ermpoll.amqp.address import Address
from ermpoll.amqp.hub import EXCHANGE, AmqpNotices, shared_notices

__all__ = ["EXCHANGE", "Address", "AmqpNotices", "shared_notices"]

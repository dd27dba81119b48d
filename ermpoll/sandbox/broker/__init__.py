"""Change notices: a loopback AMQP 0-9-1 broker, or the way to a real one.

Knows exchanges, queues and consumers (``exchange.py``), what is said on a connection
(``connection.py``), and the socket that they come to (``server.py``). ``relay.py``
sends to a real RabbitMQ instead.

Not here: when a notice is due, which ``app`` decides. Nothing of HTTP or of catalogs.

Open ``exchange.py`` first.
"""

"""Change notices: a loopback AMQP 0-9-1 broker, or the way to a real one.

Knows exchanges, queues and consumers (`exchange`), what is said on a connection
(`connection`) and in which bytes (`frames`), and the socket that they come to
(`server`). `relay` sends to a real RabbitMQ instead.

Not here: when a notice is due, which ``app`` decides. Nothing of HTTP or of catalogs.

Open `exchange` first.
"""

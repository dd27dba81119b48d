"""Change notices: "something changed", from a broker, from this process, or never.

It knows how to stay connected to a broker and how to say what is wrong with it. A
notice carries no data and may be lost; nothing here knows what is looked at because
of one. pika has its one door in `amqp_connection`.

Open `base` first: `Notices`, what a subscriber sees. Then `sources` (from what a
caller gave to the notices that are meant), `amqp` (one broker's connection kept up
on a thread of its own), `amqp_url` and `amqp_errors`.
"""

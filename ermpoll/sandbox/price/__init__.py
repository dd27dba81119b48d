"""What requests cost on a real service, and which of its writers abort each other.

Emulates a service and its database on two processors, whose transactions are
serialisable: of writers that overlap the first to commit wins. All of it was measured
on a real one; there is no chance in it. Times are those of the event loop.

Not here: what a request asks, and when its answer is worked out (``http``).

Open `costs` first.
"""

"""From one HTTP request to one answer.

Knows routes, methods, preconditions and ETags, representations, the sockets, and the
faults and prices that lie around the answers.

Not here: what addresses of rows and of the model mean (``query``, ``schema``), and
what writes do (``write``). A request and an answer are records (`messages`), so
all but `server` is pure of sockets.

Open `routes` first.
"""

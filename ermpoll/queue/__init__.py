"""A table as a queue: which rows are candidates, and each step a row can take.

It knows states, tokens, leases, and how a step becomes a guarded PUT of which every
row's fate is certain in the end. It knows no thread and no notice, and it never
looks by itself.

Open `queue` first: `Queue`, with every act by its public name. Then `transitions`
(each step as a pure change), `plan` (changes packed into PUTs), `guarded_put` (sent
until it is certain), `writer` (both put together), `operations` (what a person or
program asks for) and `explain` (why a row is not taken).
"""

from __future__ import annotations

from ermpoll.queue.queue import Queue

__all__ = ["Queue"]

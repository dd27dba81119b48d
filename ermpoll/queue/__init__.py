"""A table as a queue: which rows are candidates, and each step a row can take.

It knows states, tokens, leases, and how a step becomes a guarded PUT of which every
row's fate is certain in the end. It knows no thread and no notice, and it never
looks by itself.

Open `queue` first: `Queue`, every act by its public name. Decided without a write:
`definition` and `validation` (what it was told), `reading` and `table` (rows),
`selection` (which rows), `transitions` (each step as a change), `plan` (changes in
PUTs). Written: `guarded_put` (one PUT, sent until it is certain), `writer` (steps of
rows, and the fate of each), `operations` (what a person or program asks for), whose
`results` they get. `explain` says why a row is not taken.
"""

from __future__ import annotations

from ermpoll.queue.queue import Queue

__all__ = ["Queue"]

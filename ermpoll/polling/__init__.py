"""Looking again and again: when, why, on which thread, and what is said of it.

It knows notices, timers, back-off and the status that listeners and panels see. It
knows nothing of rows: what a look does is its owner's affair.

Open `poller` first: `Poller`. Then `schedule` (pure: when to look next), `loop` (one
step), `status` (what is said of it), `thread` (where it runs), `registry` (what runs
in this process) and `watcher` (a look that only reads).
"""

from __future__ import annotations

from ermpoll.polling.poller import Poller

__all__ = ["Poller"]

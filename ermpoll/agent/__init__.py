"""An agent: looks, claims, works, completes, until stopped.

It knows what is held and what came of each write, and hands the work to an executor.
When to look is `ermpoll.polling`'s affair, what is written `ermpoll.queue`'s.

Open `agent` first: `Agent`. Then `cycle` (one look: finish, fetch, write), `held_jobs`
(the rows in hand, and how far each is), `finishing` (what ended), `fetcher` (what can
begin), `sharing` (which rows first, and when, where others do the same), `settler`
(what came of a write), `verdict` (what a look came to), `unconfirmed` (claims without
an answer), `dispatcher` (the `executor`), `execution` (the work of one row), `prefetch`
(how many rows to hold and write), `memory` (what its life came to), `shutdown` and
`program_end` (how it ends).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ermpoll.agent.agent import Agent

__all__ = ["Agent"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        # Work that travels to another process needs no agent there.
        from ermpoll.agent import agent

        return getattr(agent, name)
    raise AttributeError(f"module 'ermpoll.agent' has no attribute {name!r}")

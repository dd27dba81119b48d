"""What the looks of an agent work with, handed from piece to piece."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ermpoll.agent.counters import Counters
from ermpoll.agent.execution import Execution
from ermpoll.agent.held_jobs import HeldJobs
from ermpoll.agent.spread import Spreading
from ermpoll.queue import Queue
from ermpoll.queue.writer import GuardedWriter
from ermpoll.records import EventKind, Transform


class Emit(Protocol):
    """Tells listeners what happened."""

    def __call__(
        self, kind: EventKind, reason: str = "", rid: str | None = None
    ) -> None:
        """Tell it."""


@dataclass(slots=True, kw_only=True)
class AgentContext:
    """What a cycle works with."""

    jobs: Queue
    name: str
    transform: Transform | None
    hand: HeldJobs
    tally: Counters
    writer: GuardedWriter
    execution: Execution
    emit: Emit
    wrote: Callable[[], None]
    log_in: Callable[[str | None, float | None], None]
    #: When the news came that made it look, on the monotonic clock.
    news_at: Callable[[], float]
    spreading: Spreading = field(default_factory=Spreading)
    time_limit_s: float | None = None
    rng: Callable[[], float] = random.random


def default_name(jobs: Queue) -> str:
    """Return the name of an agent that was given none: what it works on."""
    address = jobs.catalog.url.split("://", 1)[-1].replace("/ermrest/catalog", "")
    ready = "|".join(jobs.definition.label(word) for word in jobs.definition.ready)
    narrow = jobs.definition.path or jobs.definition.where
    return f"{address} {jobs.title} {jobs.definition.state}={ready} {narrow}".strip()

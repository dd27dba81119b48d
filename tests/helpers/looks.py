"""Looks to poll with, and pollers that are stepped by hand."""

from __future__ import annotations

import threading
import time

from ermpoll.backoff import Clocks
from ermpoll.polling.poller import Poller
from ermpoll.records import LookResult

#: Back-offs are short ones.
SOON = Clocks(random=lambda: 0.05)


class FakeClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Looks:
    """A look that counts, and answers what it was told to answer."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.times: list[float] = []
        self.happened = threading.Event()

    def __call__(self) -> bool | LookResult | None:
        self.times.append(time.perf_counter())
        self.happened.set()
        answer = self.answers.pop(0) if self.answers else False
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[return-value]

    def __len__(self) -> int:
        return len(self.times)


def ticking(look: object, **options: object) -> tuple[Poller, FakeClock]:
    """A poller that is stepped by hand, on a clock that stands still."""
    clock = FakeClock()
    clocks = Clocks(monotonic=clock, random=lambda: 0.5)
    poller = Poller(look, clocks=clocks, **options)  # type: ignore[arg-type]
    return poller, clock


def drain(poller: Poller) -> float:
    """Tick until there is nothing to do; return the seconds until there is again."""
    while (wait_s := poller.tick()) == 0:
        pass
    return wait_s

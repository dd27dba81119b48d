"""Coroutines in tests, also where a browser's driver has a loop on this thread."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, on a thread and a loop of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


class _Leap(selectors.SelectSelector):
    """Never waits: lets the time of its loop leap instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """Let `timeout` pass."""
        assert timeout is not None, "nothing is left to wait for"
        self.now += max(timeout, 0.0)
        return super().select(0)


class _LeapingLoop(asyncio.SelectorEventLoop):
    """Its time is virtual, from 0, and goes on only where nothing else is to do."""

    def __init__(self) -> None:
        self._leap = _Leap()
        super().__init__(self._leap)

    def time(self) -> float:
        return self._leap.now

    def pass_time(self, seconds: float) -> None:
        """Be busy for so long."""
        self._leap.now += seconds


def leap(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, in no time: its loop's clock is virtual."""

    def whole() -> T:
        with asyncio.Runner(loop_factory=_LeapingLoop) as runner:
            return runner.run(coroutine)

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(whole).result()


def pass_time(seconds: float) -> None:
    """Let time pass on a loop that leaps, as code does that takes so long."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, _LeapingLoop)
    loop.pass_time(seconds)

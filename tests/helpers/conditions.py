"""Waiting until something is so. No test sleeps in any other way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_never = threading.Event()


def wait_until(condition: Callable[[], T], timeout_s: float = 10) -> T:
    """Return what the condition gives once that is true; fail when it never is."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"it did not come true in {timeout_s} s"
        _never.wait(0.01)
    return found


def let_pass(seconds: float) -> None:
    """Let time pass.

    Only where time is what is tried: a lease runs out, a broker's patience ends,
    a job takes so long, or nothing may happen meanwhile.
    """
    _never.wait(seconds)

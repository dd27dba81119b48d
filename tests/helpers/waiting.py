"""Waiting for something to become true, without a fixed sleep."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_pause = threading.Event()


def until(condition: Callable[[], object], timeout_s: float = 5) -> None:
    """Return once the condition holds; fail when it never does."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not become true in time"
        _pause.wait(0.01)

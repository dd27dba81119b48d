"""How long to wait before a next try. Pure: no clock, no thread."""

from __future__ import annotations

import math

from ermpoll.errors import UsageError


def seconds(name: str, value: float) -> float:
    """Check a duration that a caller gave.

    Raises
    ------
    UsageError
        When it is not a finite number above zero.
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:
        raise UsageError(f"{name} is {value!r}: give a number of seconds above 0.")
    return float(value)


def backoff_s(failures: int, base_s: float, cap_s: float) -> float:
    """Give the longest wait after so many failures in a row: doubling, capped."""
    return min(cap_s, base_s * 2.0 ** min(max(failures, 1) - 1, 30))

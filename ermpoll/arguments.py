"""Arguments that callers gave: checked before anything is done with them. Pure."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from typing import Any, SupportsIndex

from ermpoll.errors import UsageError


def seconds(name: str, value: float) -> float:
    """Check a duration.

    Raises
    ------
    UsageError
        It is not a finite number above zero.
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:
        raise UsageError(f"{name} is {value!r:.80}: give a number of seconds above 0.")
    return float(value)


def whole(name: str, value: object, of: str = "", *, least: int = 1) -> int:
    """Check a whole number; ``of`` says what it counts.

    Raises
    ------
    UsageError
        It is none, or below ``least``.

    Examples
    --------
    >>> whole("limit", 5, "rows")
    5
    """
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        counted = of and f" of {of}"
        raise UsageError(f"{name}: expected a number{counted}, found {value!r:.80}")
    number = operator.index(value)
    if number < least:
        counted = of and f" {of}"
        raise UsageError(f"{name}: expected {least} or more{counted}, found {number}")
    return number


def by_rid(name: str, value: object, of: str) -> Mapping[str, Any]:
    """Check a mapping with RIDs as keys; ``of`` says what it is of.

    Raises
    ------
    UsageError
        It is no mapping.
    """
    if not isinstance(value, Mapping):
        raise UsageError(
            f"{name}: expected {{RID: {of}}}, found {type(value).__name__}; "
            "nothing was written"
        )
    return value

"""Variants of a test that need not all run each time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def mostly_long(values: Iterable[Any], keep: int = 1) -> list[Any]:
    """Give the parameters of a test: after the first few, those for a long run.

    A tuple has the arguments of a test that takes several.
    """
    return [
        pytest.param(
            *(value if isinstance(value, tuple) else (value,)),
            marks=() if n < keep else pytest.mark.long,
        )
        for n, value in enumerate(values)
    ]

"""What notebooks show as HTML is lines of text to a terminal.

Knows nothing of what is shown: the page is made, and read out, by `render`, which is
loaded by name at the call.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Protocol

#: A terminal's screen has not many more.
MOST_LINES = 20


class Printer(Protocol):
    """What IPython hands to ``_repr_pretty_``."""

    def text(self, obj: str) -> None:
        """Print a text as it is."""


class Shown:
    """An object that ``print`` and IPython show as its page is, in 20 lines at most.

    Its ``repr`` stays one line: it stands in tracebacks and logs.
    """

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        # IPython prefers the ``__repr__`` of a class to what it inherits
        cls._repr_pretty_ = Shown._repr_pretty_  # type: ignore[method-assign]

    def _repr_html_(self) -> str:
        raise NotImplementedError

    def __str__(self) -> str:
        return brief(_plain()(self._repr_html_()))

    def _repr_pretty_(self, printer: Printer, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))


def brief(text: str) -> str:
    """Cut a text to what a screen has, and say what is left out."""
    lines = text.splitlines()
    if len(lines) <= MOST_LINES:
        return text
    kept = lines[: MOST_LINES - 1]
    return "\n".join([*kept, f"… and {len(lines) - len(kept):,} more lines"])


def _plain() -> Callable[[str], str]:
    made: Callable[[str], str] = importlib.import_module("ermpoll.render.plain").plain
    return made

"""Who may write: a dry run refuses every write and keeps a list of them.

A dry run marks the context its functions run in (a thread, or a call in a process
pool) and, through the catalog, everything else that has no permit: a function may
start threads of its own. Real work and the library's own acts carry a permit, so
that a dry run beside a running agent hinders nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Literal

_REAL: Final = "real"
_here: ContextVar[list[str] | Literal["real"] | None] = ContextVar(
    "ermpoll_permit", default=None
)


@contextmanager
def dry() -> Iterator[list[str]]:
    """Refuse every write made in this context; yields the lines of what was refused."""
    refused: list[str] = []
    token = _here.set(refused)
    try:
        yield refused
    finally:
        _here.reset(token)


@contextmanager
def real() -> Iterator[None]:
    """Permit the writes made in this context, unless it is part of a dry run."""
    if isinstance(_here.get(), list):
        yield
        return
    token = _here.set(_REAL)
    try:
        yield
    finally:
        _here.reset(token)


def dry_sink() -> list[str] | None:
    """Return the list of the dry run this context belongs to, or None."""
    here = _here.get()
    return here if isinstance(here, list) else None


def is_permitted() -> bool:
    """Whether this context carries a permit."""
    return _here.get() == _REAL

"""What runs in this process, by name: the agents and pollers behind ``agents()``."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Protocol

from ermpoll.shown import Shown

if TYPE_CHECKING:
    from ermpoll.records import Status


logger = logging.getLogger(__name__)


class Runs(Protocol):
    """Something with a name that can be stopped."""

    @property
    def name(self) -> str:
        """Its name; running things of one process have different ones."""

    @property
    def status(self) -> Status:
        """What it says of itself."""

    def stop(self, timeout_s: float = 30) -> object:
        """Stop it."""


_lock = threading.Lock()
_running: dict[str, Runs] = {}


def take(thing: Runs) -> None:
    """List a thing that is to start, and stop the other one that had its name."""
    with _lock:
        before = _running.get(thing.name)
        _running[thing.name] = thing
    if before is not None and before is not thing:
        logger.info("%s: stops the running one of that name", thing.name)
        before.stop()


def claim(thing: Runs) -> bool:
    """List a thing that begins to run; False when another has its name by now."""
    with _lock:
        return _running.setdefault(thing.name, thing) is thing


def leave(thing: Runs) -> None:
    """Take a thing off the list, unless another has its name by now."""
    with _lock:
        if _running.get(thing.name) is thing:
            del _running[thing.name]


def forget() -> None:
    """List nothing, in a process that was forked: what ran has no thread there."""
    global _lock
    # whoever held it is not here
    _lock = threading.Lock()
    _running.clear()


class RunningThings(Shown, list[Runs]):
    """What runs, as a list; a notebook shows it as a table, a line each."""

    def _repr_html_(self) -> str:
        # Only who shows it pays for jinja2.
        from ermpoll import render

        return render.agents(self)


def agents() -> RunningThings:
    """Return the agents and pollers that run in this process, by name.

    Examples
    --------
    >>> with ermpoll.Poller(lambda: False, name="mine"):
    ...     ermpoll.agents()
    [<Poller 'mine' ...>]
    """
    with _lock:
        return RunningThings(_running[name] for name in sorted(_running))

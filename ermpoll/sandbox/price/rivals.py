"""Which writers win: the first to commit, not the first to start."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Turn(Enum):
    """What becomes of a write that wants the lock of its table."""

    GO = "it has the lock"
    WAIT = "another has it"
    LOST = "another committed since its snapshot"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a write goes. Every commit to its catalog is a conflict."""

    catalog: str
    table: str

    @classmethod
    def of(cls, path: str) -> Target:
        """Return the target that a request's address names.

        Examples
        --------
        >>> Target.of("/ermrest/catalog/1/attributegroup/Ops:Job/RID;state").table
        'Ops:Job'
        """
        parts = path.partition("?")[0].split("/")
        table = parts[5].partition("@")[0] if len(parts) > 5 else ""
        return cls("/".join(parts[:4]), table)


@dataclass(slots=True)
class Rivals:
    """When each catalog was last written to, and whose tables are locked."""

    _committed: dict[str, float] = field(default_factory=dict)
    _locked: set[Target] = field(default_factory=set)

    def is_lost(self, target: Target, seen: float) -> bool:
        """Tell whether something was committed after the time `seen`."""
        return self._committed.get(target.catalog, -1.0) > seen

    def turn(self, target: Target, seen: float) -> Turn:
        """Decide at the lock, and take it if it is free."""
        if self.is_lost(target, seen):
            return Turn.LOST
        if target in self._locked:
            return Turn.WAIT
        self._locked.add(target)
        return Turn.GO

    def commit(self, target: Target, now: float) -> None:
        """Note a commit."""
        self._committed[target.catalog] = now

    def unlock(self, target: Target) -> None:
        """Give a lock back."""
        self._locked.discard(target)

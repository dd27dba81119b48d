"""Which candidates a claimer prefers, where several compete for the same first rows.

Strict order is the default. From one process there is one claimer, so that nothing
is to be spread; several processes do better apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ermpoll.catalog.paths import literal
from ermpoll.errors import UsageError
from ermpoll.records import JSON

#: None: strict order. "random": from a random one of the first rows on.
#: ``(k, n)``: only the k-th of n shards by the RID's last symbol, k from 0.
Spread: TypeAlias = "Literal['random'] | tuple[int, int] | None"

#: The last symbol of a RID is always even: these sixteen.
LAST_SYMBOLS = "02468ACEGJMPRTWY"
#: How many more rows are read than taken, to begin at a random one.
CHOICE = 4


@dataclass(frozen=True, slots=True)
class Spreading:
    """A choice that was checked."""

    kind: Spread = None

    def __post_init__(self) -> None:
        """Check the choice."""
        if self.kind is None or self.kind == "random":
            return
        if isinstance(self.kind, tuple) and len(self.kind) == 2:
            k, n = self.kind
            if 1 <= n <= len(LAST_SYMBOLS) and 0 <= k < n:
                return
        raise UsageError(
            "spread: expected None, 'random' or (k, n) with 0 <= k < n <= 16, found "
            f"{self.kind!r}"
        )

    @property
    def filter(self) -> str:
        """The filter of the shard; empty where there is none."""
        if not isinstance(self.kind, tuple):
            return ""
        k, n = self.kind
        return f"RID::regexp::{literal(f'[{LAST_SYMBOLS[k::n]}]$')}"

    def rows(self, room: int) -> int:
        """Return how many rows to read when there is room for so many."""
        return room * CHOICE if self.kind == "random" else room

    def begin(
        self, rows: Sequence[dict[str, JSON]], rng: Callable[[], float]
    ) -> Sequence[dict[str, JSON]]:
        """Return the rows, from where to begin on."""
        if self.kind != "random" or not rows:
            return rows
        start = int(rng() * len(rows))
        return [*rows[start:], *rows[:start]]

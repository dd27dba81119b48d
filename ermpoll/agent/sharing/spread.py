"""Which candidates an agent prefers where several compete for the same first rows."""

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
    def is_sharded(self) -> bool:
        """Whether only a shard was asked for."""
        return isinstance(self.kind, tuple)

    def filter(self, place: tuple[int, int] = (0, 1)) -> str:
        """Return the filter of the shard; empty where there is none.

        ``place``: the k-th of n of those who share it, from 0.
        """
        (k, n), symbols = place, LAST_SYMBOLS
        if isinstance(self.kind, tuple):
            symbols = symbols[self.kind[0] :: self.kind[1]]
        symbols = symbols[k % len(symbols) :: min(n, len(symbols))]
        if symbols == LAST_SYMBOLS:
            return ""
        return f"RID::regexp::{literal(f'[{symbols}]$')}"

    def rows(self, room: int) -> int:
        """Return how many rows to read when there is room for so many."""
        return room * CHOICE if self.kind == "random" else room

    def begin(
        self, rows: Sequence[dict[str, JSON]], random: Callable[[], float]
    ) -> Sequence[dict[str, JSON]]:
        """Return the rows, from where to begin on."""
        if self.kind != "random" or not rows:
            return rows
        start = int(random() * len(rows))
        return [*rows[start:], *rows[:start]]


#: That of whoever finds the first rows taken again and again.
ANYWHERE = Spreading("random")

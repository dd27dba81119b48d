"""The share that one agent has of the rows of a table, beside others that take them."""

from __future__ import annotations

from ermpoll.agent.sharing.spread import Spread, Spreading
from ermpoll.catalog.machine.seats import Seat
from ermpoll.catalog.slots import Slot

#: Fewer rows than that are not worth a write each.
LEAST = 32


class Share:
    """The place of one agent among all who take rows of the same table.

    Parameters
    ----------
    of
        What is shared: a catalog's address and a table.
    """

    def __init__(self, of: str, spread: Spread) -> None:
        self.spreading = Spreading(spread)
        self._seat = Seat(f"{of} {spread}")
        #: Which place it is, from 0, and how many there are.
        self.place = (0, 1)

    @property
    def seats(self) -> tuple[int, int]:
        """The own seat on this machine as it is now, from 0, and how many are taken."""
        return self._seat.place()

    @property
    def n(self) -> int:
        """How many share."""
        return self.place[1]

    def find(self, slot: Slot | None) -> tuple[int, int]:
        """Find the own place: among those of this machine, or among slots.

        Returns the seats by which it was found.
        """
        self.place = seats = self.seats
        if slot is not None and not self.spreading.is_sharded:
            self.place = (slot.k, slot.n)
        return seats

    def take(self) -> bool:
        """Take a seat, unless one is had; whether it is a new one."""
        return self._seat.take()

    def joins(self) -> bool:
        """Take a seat, unless one is had; whether others had theirs already."""
        if not self.take():
            return False
        self.find(None)
        return self.n > 1

    def stay(self, stay: bool) -> None:
        """Keep a seat, or leave it: others take that share as well."""
        if stay:
            self.take()
        else:
            self._seat.leave()
        self.find(None)

    def filter(self) -> str:
        """Return the filter of the own share."""
        return self.spreading.filter(self.place)

    def part(self, rows: int) -> int:
        """Return how many rows to take of the last ones, which are everybody's."""
        return max(-(-rows // self.n), LEAST)

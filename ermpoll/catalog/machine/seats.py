"""Seats of those of one machine who take rows of one table: each has its own share.

Who has the k-th of n taken seats prefers the k-th of n shares, so that they don't read
the same rows. Like turns it is a courtesy: two with the same share only lose time.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence

from ermpoll.catalog.machine.lock_file import LockFile

#: Seats to have; whoever finds none is as if alone.
SEATS = 16
#: Names that are kept in mind of those who were met here: the last ones.
NAMES = 64


class Seat:
    """A seat, from `take` to `leave`; who is forgotten, or ends, leaves it as well.

    Parameters
    ----------
    of
        What is shared: an address and a table.
    name
        Who has it, for `names`.
    """

    def __init__(self, of: str, name: str = "") -> None:
        self._name = name
        #: Who was met here, or by somebody who was: also those who were killed. Each
        #: has all of them in its file, so that one who comes later knows them, too.
        self._met: dict[str, None] = {}
        self._seats = [LockFile(of, f"seat{number}") for number in range(SEATS)]
        #: The number, and the locked file.
        self._mine: tuple[int, int] | None = None
        self._leaves: weakref.finalize[[int], Seat] | None = None

    def take(self) -> bool:
        """Take the first free seat, unless one is had already; whether it is new."""
        for number, seat in enumerate(self._seats if self._mine is None else ()):
            if (file := seat.try_lock()) is not None:
                self._mine = (number, file)
                self._leaves = weakref.finalize(self, seat.remove, file)
                # the end of the process does it by itself
                self._leaves.atexit = False
                self._meet([seat])
                self._hand_on()
                return True
        return False

    def leave(self) -> None:
        """Leave the seat, if one was taken."""
        self._mine = None
        if self._leaves is not None:
            self._leaves()

    def place(self) -> tuple[int, int]:
        """Return ``(k, n)``: the own place among the taken seats, from 0, and those."""
        if self._mine is None:
            return 0, 1
        mine, _ = self._mine
        taken = self._taken()
        return taken.index(mine), len(taken)

    def meet(self) -> None:
        """Take note of who is here now."""
        if self._meet(self._seats):
            self._hand_on()

    def names(self) -> set[str]:
        """Return the names of all that were met here.

        The own one included, and those who have left or were killed meanwhile.
        """
        self.meet()
        return {self._name, *self._met}

    def _meet(self, seats: Sequence[LockFile]) -> bool:
        """Take note of the names at seats; whether there is a new one."""
        found = {name for seat in seats for name in seat.text().splitlines()}
        new = sorted(found - {self._name, *self._met})
        self._met = dict.fromkeys([*self._met, *new][-NAMES:])
        return bool(new)

    def _hand_on(self) -> None:
        """Write the own name at the own seat, and those who were met."""
        if self._mine is not None:
            number, file = self._mine
            self._seats[number].write(file, "\n".join([self._name, *self._met]))

    def _taken(self) -> list[int]:
        mine = self._mine[0] if self._mine else None
        return [
            number
            for number, seat in enumerate(self._seats)
            if number == mine or self._is_taken(seat)
        ]

    @staticmethod
    def _is_taken(seat: LockFile) -> bool:
        """Whether somebody has a seat; what a killed process has left is taken away."""
        if seat.touched() is None:
            return False
        file = seat.try_lock()
        if file is not None:
            seat.remove(file)
        return file is None

"""Whose turn it is to write, of machines that have nothing in common but the catalog.

The catalog's time is cut into slots, and each of so many writers begins its writes in
its own ones. It is a courtesy, as the write lock is: a clock that is wrong, a writer
that is paused or one that knows of no slots costs failed writes, never a claim. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

#: Seconds of a slot: a real service's write of some 500 rows and its way there.
SLOT_S = 0.15
#: What of a slot its writes may take.
SHARE = 0.7
#: For how long somebody who wrote counts as one who writes, in seconds.
MEMBER_S = 5.0


@dataclass(frozen=True, slots=True)
class Slot:
    """The k-th of n slots, k from 0, which come round and round.

    Examples
    --------
    >>> Slot(1, 4).wait_s(0.0)
    0.15
    """

    k: int
    n: int

    def wait_s(self, now_s: float) -> float:
        """Return the seconds until a write may begin.

        Parameters
        ----------
        now_s
            The catalog's time, in seconds since whenever, the same for all writers.
        """
        period_s = self.n * SLOT_S
        into_s = (now_s - self.k * SLOT_S) % period_s
        return 0.0 if into_s <= (1 - SHARE) * SLOT_S else period_s - into_s


class Slots:
    """When a writer writes: at any time, unless somebody knows better."""

    def slot(self) -> Slot | None:
        """Return the slot to write in, or None."""
        return None

    def lost(self) -> None:
        """Take note of a write that another one has aborted."""


def slot_of(
    me: str,
    seen: Mapping[str, float],
    mates: Collection[str],
    now_s: float,
    given: tuple[int, int] | None = None,
) -> Slot | None:
    """Return the slot of a writer; None where nobody else needs one.

    Parameters
    ----------
    me
        The writer's name.
    seen
        When others were last seen to write, by name, in the catalog's seconds.
    mates
        Those of them who share the write lock with it.
    given
        The slot's ``(k, n)``, where a person has told it.
    """
    others = {name for name, at in seen.items() if at > now_s - MEMBER_S} - {me}
    if not others - set(mates):
        return None
    if given is not None:
        return Slot(*given)
    names = sorted({me, *others})
    return Slot(names.index(me), len(names))

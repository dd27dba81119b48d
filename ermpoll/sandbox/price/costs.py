"""What a request costs: medians as a client measured them on an idle service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Curve = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Milliseconds by rows, for tables of few columns and of many.

    Examples
    --------
    >>> WRITE.seconds(rows=350, columns=6)
    0.0595
    """

    few: Curve
    many: Curve

    def seconds(self, *, rows: int, columns: int) -> float:
        """Return what so many rows cost in a table of so many columns."""
        # A table without columns of its own has five.
        wide = (max(columns, _FEW) - _FEW) / (_MANY - _FEW)
        few, many = (_at(max(rows, 1), curve) for curve in (self.few, self.many))
        return (few + (many - few) * wide) / 1000


def _at(x: float, curve: Curve) -> float:
    """Return a curve's height, on a straight line from point to point and beyond."""
    parts = list(pairwise(curve))
    (x1, y1), (x2, y2) = next((part for part in parts if x <= part[1][0]), parts[-1])
    return y1 + (y2 - y1) * (x - x1) / (x2 - x1)


_FEW, _MANY = 6, 35
READ = Costs(
    few=((1, 8.7), (20, 7.7), (200, 8.0), (500, 9.2), (1000, 10.8)),
    many=((1, 8.6), (20, 9.1), (200, 11.3), (500, 14.6), (1000, 19.2)),
)
WRITE = Costs(
    few=(
        (1, 12),
        (5, 19),
        (20, 16),
        (80, 25),
        (200, 41),
        (500, 78),
        (1000, 137),
        (2000, 252),
    ),
    many=(
        (1, 14),
        (5, 19),
        (20, 33),
        (80, 50),
        (200, 95),
        (500, 204),
        (1000, 410),
        (2000, 839),
    ),
)
#: Seconds of a GET that finds nothing new.
UNCHANGED_S = 0.0044
#: What the next request on a connection costs more after one that was aborted, half
#: of it before its snapshot.
AFTER_ABORT_S = 0.012
#: A write sees what was committed before it has done so much of its work.
SNAPSHOT_S = 0.005
#: The share of its work after which a write needs the lock of its table.
LOCK_AT = 0.6
#: The work that is left when a write is committed.
AFTER_COMMIT_S = 0.003

"""One write at a time to a catalog: overlapping writes abort each other there.

ERMrest runs writes serializable and reads the newest change of all tables in each,
so the later of two overlapping writes fails with 503, even on different tables.
"""

from __future__ import annotations

import threading
from weakref import WeakValueDictionary


class Lane:
    """The write lane of a catalog, shared by all that write to it in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


_lanes: WeakValueDictionary[str, Lane] = WeakValueDictionary()
_lock = threading.Lock()


def lane_of(url: str) -> Lane:
    """Return the lane of the catalog at an address."""
    with _lock:
        lane = _lanes.get(url)
        if lane is None:
            lane = _lanes[url] = Lane()
        return lane

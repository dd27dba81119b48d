"""What agents and pollers of one process know of a catalog, so that one asks for all.

An ETag stands for the whole catalog, whatever was asked for: if somebody here heard
it after the news came in, nobody else has to ask again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from weakref import WeakValueDictionary

from ermpoll.records import Page


class SharedETag:
    """The newest ETag heard of one catalog, and when it was asked for."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._monotonic = monotonic
        self._etag: str | None = None
        self._asked_at = float("-inf")

    def ask(
        self, etag: str, since: float, get: Callable[[], Page | None]
    ) -> Page | None:
        """Return None if the catalog is still at an ETag, else what ``get`` returns.

        Parameters
        ----------
        etag
            The ETag of the caller's last read; it names the login as well.
        since
            On the monotonic clock: an answer asked for since then will do.
        get
            Asks under the ETag; called by one at a time.
        """
        with self._lock:
            if self._etag == etag and self._asked_at >= since:
                return None
            asked_at = self._monotonic()
            page = get()
            self._etag = etag if page is None else page.etag
            self._asked_at = asked_at
            return page


_known: WeakValueDictionary[str, SharedETag] = WeakValueDictionary()
_lock = threading.Lock()


def shared_etag_of(url: str) -> SharedETag:
    """Return what this process knows of the catalog at an address."""
    with _lock:
        known = _known.get(url)
        if known is None:
            known = _known[url] = SharedETag()
        return known

"""What all that use one catalog in this process have in common. Never forgotten."""

from __future__ import annotations

import threading

from ermpoll.catalog.etags import SharedETag
from ermpoll.catalog.write_lock import WriteLock


class Shared:
    """The one write lock, the newest ETag, and the turn of one catalog."""

    def __init__(self, url: str) -> None:
        self.write_lock = WriteLock(url)
        self.etag = SharedETag()
        #: From reading to the certain answer of a change that the whole catalog's
        #: ETag guards: so no race is lost within one process, and a row found written
        #: after a lost answer can't be another thread's. Reentrant, since a transform
        #: may itself change states.
        self.turn = threading.RLock()


_known: dict[str, Shared] = {}
_lock = threading.Lock()


def shared_of(url: str) -> Shared:
    """Return what is shared at a catalog's address."""
    with _lock:
        if url not in _known:
            _known[url] = Shared(url)
        return _known[url]

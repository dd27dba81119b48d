"""The queue's past, by its public names. What they do is in `ermpoll.history`.

That package lies above this one, so it is loaded by name and at the call.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from datetime import datetime, timedelta


class Tenses:
    """What a queue was like, and what became of its rows: by reading only.

    Nothing but the catalog is asked, so that it can be told of any queue, also of one
    that no ermpoll ever ran on. Each call takes ``**reading``:

    rate
        Requests a second at most (5); None: as fast as they are answered.
    progress
        Called with a `ReadingProgress` (done, of, text, requests) as it goes on.
    stop
        A `threading.Event`: once it is set, the call raises ReadingStopped.

    A moment is a time with its zone, ISO text of one, how long ago (a ``timedelta``,
    ``"90 min"``, ``"24 h"``, ``"7 d"``), or a snapshot's id.
    """

    def at(self, when: datetime | timedelta | str, **reading: Any) -> Self:
        """Return the queue as of then: to read and to plan, never to write.

        Leases, and times to try again, are held against *then*; columns have the
        names of then.

        Raises
        ------
        NoHistory
            The catalog, or its table, has nothing to tell of that time.
        UsageError
            ``when`` is no moment.
        ReadingStopped
            The reading was stopped.
        """
        made: Self = _history().queue_at(self, when, **reading)
        return made


def _history() -> Any:
    return importlib.import_module("ermpoll.history")

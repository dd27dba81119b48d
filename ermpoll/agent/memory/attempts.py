"""The attempts that failed, with their tracebacks, in bounded memory.

A traceback may hold what a stranger wrote: it goes to a drawer, and into no event, no
log and no status.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime

#: Rows whose attempts are remembered, the newest, and attempts of each.
ROWS, ATTEMPTS = 500, 5
#: Characters of a traceback; its end says what happened.
LONGEST = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedAttempt:
    """A time that the work of a row raised, or took too long."""

    rid: str
    #: When the work ended.
    at: datetime
    #: The kind and text of what was raised, scrubbed.
    reason: str
    #: The attempt it was, from 1; None where the table has no attempts column.
    attempt: int | None = None
    #: Seconds that the work took.
    worked_s: float = 0.0
    #: From the work's own code on; "" where there is none.
    traceback: str = field(default="", repr=False)


class Attempts:
    """The failed attempts of an agent. Safe from any thread."""

    def __init__(self, rows: int = ROWS) -> None:
        self._rows = rows
        self._lock = threading.Lock()
        #: The attempts of each row, by the token of the claim.
        self._kept: OrderedDict[str, dict[str, FailedAttempt]] = OrderedDict()

    def add(self, token: str, made: FailedAttempt) -> None:
        """Remember one; told again under the same claim it is the same."""
        with self._lock:
            of_row = self._kept.setdefault(made.rid, {})
            of_row[token] = made
            if len(of_row) > ATTEMPTS:
                del of_row[next(iter(of_row))]
            self._kept.move_to_end(made.rid)
            if len(self._kept) > self._rows:
                self._kept.popitem(last=False)

    def of(self, rid: str) -> tuple[FailedAttempt, ...]:
        """Return what is remembered of a row, the oldest first."""
        with self._lock:
            return tuple(self._kept.get(rid, {}).values())

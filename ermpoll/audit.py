"""What was done, by whom: each act is one INFO record on ``ermpoll.audit``.

The last ones are kept in memory as well, for whoever asks without a log. Never row
contents: who, the table, RIDs and counts.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

logger = logging.getLogger(__name__)

#: Acts that are kept in memory, and RIDs of one of them.
KEPT, KEPT_RIDS = 500, 100
_acts: deque[AuditedAct] = deque(maxlen=KEPT)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedAct:
    """Something that was done on purpose: an apply, a retry, a start, ..."""

    at: datetime
    #: The word of the method that did it.
    event: str
    #: The table, or the agent or poller, that it was done to.
    subject: str
    #: Who did it, where that is known.
    who: str = ""
    #: What came of it, in words: counts, no values.
    came: str = ""
    #: The rows that it was done to, the first hundred.
    rids: tuple[str, ...] = ()


def acts() -> tuple[AuditedAct, ...]:
    """Return the last acts of this process, the newest first, at most 500.

    Of all queues and agents; what other processes did is in their logs alone.

    Examples
    --------
    >>> [act.event for act in ermpoll.acts()]  # doctest: +SKIP
    ['retry', 'stop', 'start']
    """
    return tuple(_acts)


def record(
    act: str,
    subject: str,
    *,
    who: str = "",
    came: str = "",
    rids: Sequence[str] = (),
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write an act to the log, and keep it. ``extra``: fields of its record."""
    _acts.appendleft(
        AuditedAct(
            at=datetime.now(UTC),
            event=act,
            subject=subject,
            who=who,
            came=came,
            rids=tuple(rids[:KEPT_RIDS]),
        )
    )
    told = f"{act} on {subject} by {who}" if who else f"{act} {subject}"
    parts = (told, came, " ".join(rids))
    logger.info(": ".join(filter(None, parts)), extra={"event": act, **(extra or {})})

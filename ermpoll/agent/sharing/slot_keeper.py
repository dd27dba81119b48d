"""The slot that an agent writes in while writers of other machines are about.

Somebody else's write is noticed by the ETag of a read or by a write that came to
nothing; who they are the rows tell that were just written: one read every few seconds,
by the catalog's clock at the same time for all.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from ermpoll.agent.context import AgentContext
from ermpoll.agent.sharing.spread import Spread
from ermpoll.catalog.clock import parse_time
from ermpoll.catalog.etags import etag_time
from ermpoll.catalog.machine.seats import Seat
from ermpoll.catalog.slots import MEMBER_S, Slot, Slots, slot_of
from ermpoll.errors import CatalogError
from ermpoll.queue.tokens import clean_name
from ermpoll.queue.transitions import token_of
from ermpoll.redact import one_line

logger = logging.getLogger(__name__)

#: How often it is asked who writes, in seconds: who was not seen at two such times in
#: a row has left.
ROUND_S = MEMBER_S / 2


class SlotKeeper(Slots):
    """Knows the slot of one agent.

    Parameters
    ----------
    spread
        ``(k, n)`` is the slot where there are others; else it is found out.
    """

    def __init__(self, context: AgentContext, spread: Spread) -> None:
        self._context = context
        self._catalog = context.jobs.catalog
        self._given = spread if isinstance(spread, tuple) else None
        self._name = clean_name(context.name)
        #: Who of this machine writes too: those take turns by the write lock. Had from
        #: the first write on, lest it be taken for one of another machine.
        self._seat = Seat(f"{self._catalog.url} writers", self._name)
        #: When a write of somebody else was noticed, on the clock.
        self._noticed_at = float("-inf")
        self._round = 0
        #: The slot that was told last.
        self.last: Slot | None = None
        #: When each writer was last seen to write, in the catalog's seconds.
        self._seen: dict[str, float] = {}

    def saw(self, etag: str | None) -> None:
        """Take note of the ETag of what was read."""
        at = etag_time(etag)
        if at is not None and self._catalog.clock.is_others(at):
            self._noticed_at = self._context.clocks.monotonic()

    def lost(self) -> None:
        """Take note of a write that another one has aborted."""
        self._noticed_at = self._context.clocks.monotonic()

    def slot(self) -> Slot | None:
        """Return the slot to write in; None: at any time."""
        now_s = self._catalog.clock.fine_s()
        alone_s = self._context.clocks.monotonic() - self._noticed_at
        if now_s is None or alone_s > MEMBER_S:
            self._forget()
            return None
        self._seat.take()
        if (round_ := int(now_s // ROUND_S)) != self._round:
            self._round = round_
            self.last = self._found(now_s)
        return self.last

    def take(self) -> None:
        """Let those of this machine know that we write, before they see what.

        And know them: who leaves soon has written as well.
        """
        self._seat.take()
        self._seat.meet()

    def leave(self) -> None:
        """Write no more for now: forget the others, and let them forget us."""
        self._forget()
        self._seat.leave()

    def _forget(self) -> None:
        self.last, self._round, self._seen = None, 0, {}

    def _found(self, now_s: float) -> Slot | None:
        context = self._context
        since = self._catalog.now() - timedelta(seconds=MEMBER_S)
        path = context.jobs.queries.writers(since)
        if path is None:
            return Slot(*self._given) if self._given else None
        try:
            rows = self._catalog.rows(path, "newest")
        except CatalogError as error:
            # a courtesy: the write itself will tell
            logger.info(
                "%s: who else writes can't be read: %s", context.name, one_line(error)
            )
            return self.last
        spec, seen = context.jobs.definition, self._seen
        for row in rows:
            token, at = token_of(spec, row), parse_time(row["newest"])
            if token is not None and at is not None:
                seen[token.name] = max(at.timestamp(), seen.get(token.name, 0.0))
        return slot_of(self._name, seen, self._seat.names(), now_s, self._given)

"""What an agent could begin with: candidates to claim, overdue claims to rescue.

Knows what was left to do; what that means for the next read is `ConditionalReader`'s.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ermpoll.agent.context import AgentContext
from ermpoll.agent.unconfirmed import UnconfirmedClaims
from ermpoll.catalog.conditional import ConditionalReader
from ermpoll.queue import transitions
from ermpoll.queue.transitions import Transition
from ermpoll.records import JSON, Page

#: Rows to a page when a transform refuses the first ones.
REFUSED_PAGE = 200
#: Seconds between two looks for overdue claims while candidates abound, at most.
RESCUE_EVERY_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """What a look chose to do."""

    moves: Sequence[Transition] = ()
    #: There are more candidates than could be taken.
    full: bool = False
    #: The catalog was asked for candidates, and answered.
    looked: bool = False
    unchanged: bool = False
    etag: str | None = None
    due_s: float | None = None


class Fetcher:
    """Finds what the looks of one agent can begin with."""

    def __init__(self, parts: AgentContext, limbo: UnconfirmedClaims) -> None:
        self._parts = parts
        self._limbo = limbo
        self._spec = parts.jobs.definition
        self._catalog = parts.jobs.catalog
        self._reader = ConditionalReader(self._catalog, log_in=parts.log_in)
        self._rescued_at = float("-inf")
        #: Candidates that can't be worked on, to be marked as failed.
        self.park: list[Transition] = []

    def forget(self) -> None:
        """Look at everything again: what was read before may be another login's."""
        self._reader.forget()

    def parked(self) -> list[Transition]:
        """Return the moves that mark candidates which can't be worked on, once."""
        parked = [*self.park]
        self.park.clear()
        return parked

    def settle(self, choice: Fetch, idle: bool) -> bool:
        """Take note of how a look ended; returns whether the ETag had moved.

        Parameters
        ----------
        idle
            Nothing of what was read is left to do.
        """
        if choice.looked:
            self._reader.keep(choice.etag if idle else None, choice.due_s)
        return choice.etag is not None and self._reader.moved

    def due_s(self) -> float | None:
        """Return the seconds until a time that is stored in a row comes, or None."""
        return self._reader.due_s()

    def choose(self, room: int, conditional: bool, rids: Sequence[str] | None) -> Fetch:
        """Decide what to claim and what to rescue, for so many rows at most."""
        jobs, parts = self._parts.jobs, self._parts
        if room <= 0:
            return Fetch(full=True)
        if rids is not None:
            chosen = jobs.selector.choose(room, transform=parts.transform, rids=rids)
            return Fetch(moves=self._startable(chosen), looked=True)
        wanted = parts.spreading.rows(room) + 1
        page = self._read(wanted, conditional)
        if page is None:
            return Fetch(unchanged=True)
        rows = _Rows(self._new_rows(page, wanted))
        chosen = jobs.selector.claims(rows, room, parts.transform)
        full = not rows.exhausted
        rescued, due_s = self._overdue() if self._is_rescue_due(full) else ([], None)
        return Fetch(
            moves=[*self._startable(chosen), *rescued],
            full=full,
            looked=True,
            etag=page.etag,
            due_s=due_s,
        )

    def _read(self, limit: int, conditional: bool) -> Page | None:
        """Read the first candidates; None when nothing has changed."""
        parts = self._parts
        path = parts.jobs.queries.candidates(
            self._catalog.now(), limit, shard=parts.spreading.filter
        )
        must = bool(self._limbo) or not conditional
        return self._reader.read(path, unconditional=must, since=parts.news_at())

    def _new_rows(self, page: Page, limit: int) -> Iterator[dict[str, JSON]]:
        """Return candidates, page by page for as long as they are asked for."""
        parts = self._parts
        for row in parts.spreading.begin(page.rows, parts.rng):
            rid = str(row["RID"])
            if rid not in parts.hand and not parts.execution.passes_over(rid):
                yield row
        if len(page.rows) >= limit:
            # only a transform that refuses rows gets this far
            yield from parts.jobs.selector.after(
                page.rows[-1], max(limit, REFUSED_PAGE), parts.spreading.filter
            )

    def _startable(self, chosen: list[Transition]) -> list[Transition]:
        """Return the claims among the moves; the others are marked as failed."""
        for move in chosen:
            if move.change.kind != "changed":
                self.park.append(transitions.reject(self._spec, move.change))
        return [move for move in chosen if move.change.kind == "changed"]

    def _is_rescue_due(self, full: bool) -> bool:
        """Whether to look for overdue claims: when idle, and at times in a backlog."""
        now = time.monotonic()
        wait_s = min(self._spec.lease_s / 4, RESCUE_EVERY_S)
        if full and now < self._rescued_at + wait_s:
            return False
        self._rescued_at = now
        return True

    def _overdue(self) -> tuple[list[Transition], float | None]:
        """Find claims to rescue, and when the next one or the next retry is due."""
        spec, jobs = self._spec, self._parts.jobs
        now = self._catalog.now()
        due: list[float] = []
        rescued = []
        path = jobs.queries.next_retry(now)
        if path is not None:
            page = self._catalog.get(path)
            retries = (
                transitions.due_s(spec, row, now) for row in (page.rows if page else ())
            )
            due += [seconds for seconds in retries if seconds is not None]
        if spec.owner:
            for row in jobs.held().rows:
                ours = str(row["RID"]) in self._parts.hand
                if ours or transitions.holder_of(spec, row) is None:
                    continue
                overdue_s = transitions.overdue_s(spec, row, now)
                if overdue_s > 0:
                    rescued.append(transitions.rescue(spec, row))
                else:
                    due.append(-overdue_s)
        return rescued, min(due, default=None)


class _Rows:
    """Rows one by one; knows whether the last one was taken."""

    def __init__(self, rows: Iterator[dict[str, JSON]]) -> None:
        self._rows = rows
        self.exhausted = False

    def __iter__(self) -> Iterator[dict[str, JSON]]:
        yield from self._rows
        self.exhausted = True

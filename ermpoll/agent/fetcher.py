"""What an agent could begin with: candidates to claim, overdue claims to rescue.

Knows when a read may be conditional: its ETag comes from a read that left nothing
to do, and no stored time has come since; and which candidates are preferred where
several processes compete for the same first rows.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime

from ermpoll.agent.context import AgentContext
from ermpoll.agent.sharing.ahead import Ahead
from ermpoll.agent.sharing.share import Share
from ermpoll.agent.sharing.spread import ANYWHERE, Spread
from ermpoll.catalog.client import ASK_TIME_EVERY_S
from ermpoll.catalog.conditional import ConditionalReader
from ermpoll.catalog.slots import Slot
from ermpoll.queue import transitions
from ermpoll.queue.selection import Selector, learn_time
from ermpoll.queue.transitions import Transition
from ermpoll.records import JSON, Page, Row

#: Rows to a page behind the first one, where rows of that are passed over ...
REFUSED_PAGE = 200
#: ... and such pages a look, at most: the next one goes on from there.
REFUSED_PAGES = 5
#: Rows of which whoever comes too late for the first ones begins at a random one.
LATE_PAGE = 1000
#: Seconds between two looks for overdue claims while candidates abound, at most.
RESCUE_EVERY_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """What a look found to begin with."""

    claims: tuple[Transition, ...] = ()
    rescues: tuple[Transition, ...] = ()
    #: Candidates that can't be worked on, to be marked as failed.
    rejects: tuple[Transition, ...] = ()
    #: There are more candidates than could be taken.
    full: bool = False
    #: The catalog was asked for candidates, and answered.
    looked: bool = False
    unchanged: bool = False
    etag: str | None = None
    #: Whether that ETag was another one than at the read before.
    moved: bool = False
    #: Candidates that were passed over, since the catalog refuses to write them.
    refused: int = 0
    #: Seconds until a retry, the end of somebody's claim, and until a refused row may
    #: be tried again; None: none is to come.
    retry_s: float | None = None
    lease_s: float | None = None
    aside_s: float | None = None

    @property
    def due_s(self) -> float | None:
        """Seconds until the first of these times comes, or None."""
        return _first(self.retry_s, self.lease_s, self.aside_s)


class Fetcher:
    """Finds what the looks of one agent can begin with."""

    def __init__(self, context: AgentContext, spread: Spread = None) -> None:
        self._context = context
        self._spec = context.jobs.definition
        self._catalog = context.jobs.catalog
        self._clocks = context.clocks
        self._reader = ConditionalReader(
            self._catalog,
            log_in=context.log_in,
            columns=context.jobs.needed,
            monotonic=context.clocks.monotonic,
        )
        self._rescued_at = float("-inf")
        #: Under which ETag and filter, and behind which row, the next look goes on.
        self._reached: tuple[tuple[str | None, str], Row] | None = None
        self._ahead: Ahead | None = None
        self._reading: Future[Page | None] | None = None
        self.share = Share(f"{self._catalog.url} {self._spec.table.path}", spread)
        self._spreading = self.share.spreading
        #: The filter of what is read now, and how many of the last rows come first.
        self._narrow, self._last = "", 0
        #: Which row of them comes first.
        self._start = self._spreading
        #: When a retry is due, and somebody's claim ends, on the clock.
        self._retry_at: float | None = None
        self._lease_at: float | None = None

    def forget(self) -> None:
        """Look at everything again: what was read before may be another login's."""
        self._ahead = None
        self._reader.forget()

    def keep(self, fetch: Fetch, idle: bool) -> None:
        """Take note of how a look ended: with ``idle`` nothing is left to do."""
        if fetch.looked:
            self._reader.keep(fetch.etag if idle else None, fetch.due_s)
            now = self._clocks.monotonic()
            self._retry_at = None if fetch.retry_s is None else now + fetch.retry_s
            self._lease_at = None if fetch.lease_s is None else now + fetch.lease_s

    def retry_s(self) -> float | None:
        """Return the seconds until the next row is to be tried again, or None."""
        return self._left_s(self._retry_at)

    def lease_s(self) -> float | None:
        """Return the seconds until the first claim of others ends, or None."""
        return self._left_s(self._lease_at)

    def due_s(self) -> float | None:
        """Return the seconds until a time that is stored in a row comes, or None."""
        return self._reader.due_s()

    def fetch(
        self,
        room: int,
        *,
        conditional: bool,
        skip: Container[str] = (),
        late: bool = False,
    ) -> Fetch:
        """Decide what to claim, ``room`` rows at most, and what to rescue.

        With ``conditional`` the catalog may answer that nothing has changed. ``skip``
        has the RIDs of candidates that are dealt with already. ``late``: others take
        the first rows before it is our turn.
        """
        self._ahead, self._narrow = None, self._spreading.filter()
        if room <= 0:
            return Fetch(full=True)
        n = self.share.n
        wanted = self._spreading.rows(room) * (1 if n == 1 else 2 * n) + 1
        self._start = ANYWHERE if late else self._spreading
        if late:
            wanted = max(wanted, LATE_PAGE)
        # one moment for all: what is no candidate yet is the next to be tried
        now = self._catalog.reached()
        page = self._read(now, wanted, conditional)
        if page is not None and learn_time(self._context.jobs, page.rows):
            self._context.wrote()
            now = self._catalog.reached()
            page = self._read(now, wanted, conditional=False)
        if page is None:
            return Fetch(unchanged=True)
        if n > 1:
            # whoever has none of its own left takes what the others come to last
            room = min(room, self.share.part(len(page.rows)))
        self._last = room if n > 1 and not late else 0
        return self._found(page, now, wanted, room, skip)

    def read_ahead(
        self, room: int, without: Collection[str], slot: Slot | None = None
    ) -> None:
        """Begin to read candidates for the next look, while a write goes on.

        Not while an earlier one still waits for its answer.

        Parameters
        ----------
        room
            Rows that the next look may take.
        without
            The RIDs that are being written: what is read of them tells nothing.
        slot
            Who has the k-th of n slots prefers the k-th of n shares as well.
        """
        if self._reading is not None and not self._reading.done():
            return
        self.share.take()
        seats, narrow = self.share.find(slot), self.share.filter()
        wanted = self._spreading.rows(room) + len(without) + 1
        queries, now = self._context.jobs.queries, self._catalog.reached()
        path = queries.candidates(now, wanted, narrow=narrow)
        beside = self._context.dispatcher.beside
        self._reading = beside(lambda: self._catalog.get(path))
        self._ahead = Ahead(
            page=self._reading,
            at=self._clocks.monotonic(),
            wanted=wanted,
            without=frozenset(without),
            narrow=narrow,
            seats=seats,
        )

    def read_no_further(self, *, stay: bool) -> None:
        """Read nothing ahead any more.

        ``stay``: there is more to take, so that others leave us our share; else it is
        theirs.
        """
        self._ahead = None
        self.share.stay(stay)

    @property
    def is_ahead(self) -> bool:
        """Whether candidates are read ahead."""
        return self._ahead is not None

    def fetch_ahead(self, room: int, *, skip: Container[str] = ()) -> Fetch | None:
        """Decide as `fetch` does by what was read ahead, where that is enough.

        None where it is not: it may be all there is, or be out of date. Nothing that
        was read before a write tells that there is no more.
        """
        return self._found_ahead(room, skip, least=room // 2 + 1)

    def _found_ahead(
        self, room: int, skip: Container[str], *, least: int, all_there: bool = False
    ) -> Fetch | None:
        """Decide by what was read ahead; None where fewer than ``least`` rows are left.

        Nor with a page that is not full, unless ``all_there``: it is read just now.
        """
        ahead, self._ahead = self._ahead, None
        page = ahead.result(self._clocks.monotonic()) if ahead is not None else None
        if ahead is None or page is None:
            return None
        if len(page.rows) < ahead.wanted and not all_there:
            return None
        now = self._catalog.reached()
        rows = [
            row
            for row in page.rows
            # by what the write told, its time may be still to come
            if row["RID"] not in ahead.without and not self._waits(row, now)
        ]
        if room <= 0 or len(rows) < least:
            return None
        if self.share.seats != ahead.seats:
            # with somebody who has come meanwhile it would be another share
            return None
        page = replace(self._reader.take(page), rows=rows)
        self._narrow, self._last, self._start = ahead.narrow, 0, self._spreading
        n = len(rows)
        return replace(self._found(page, now, n, min(room, n), skip), full=True)

    def fetch_share(
        self, room: int, slot: Slot | None, *, skip: Container[str] = ()
    ) -> Fetch | None:
        """Decide by the own share of the rows, read now; None: nothing is left of it.

        None also where nobody else has one, or this one has no seat yet.
        """
        self.share.find(slot)
        if room <= 0 or self.share.n == 1:
            return None
        self.read_ahead(room, (), slot)
        found = self._found_ahead(room, skip, least=1, all_there=True)
        # what can't be taken must not hide what the others have
        return found if found and (found.claims or found.rejects) else None

    def _found(
        self, page: Page, now: datetime, wanted: int, room: int, skip: Container[str]
    ) -> Fetch:
        """Decide by a page of ``wanted`` rows at most what to claim and rescue."""
        context, jobs = self._context, self._context.jobs
        selector, goes_on = jobs.selector, self._reached is not None
        rows = _Rows(self._new_rows(page, wanted, skip, selector))
        chosen = selector.claims(rows, room, context.transform)
        full = not rows.exhausted or self._reached is not None
        found = Fetch(
            full=full, looked=True, etag=page.etag, moved=self._reader.moved,
            refused=len(selector.passed_over),
        )  # fmt: skip
        met = set(selector.passed_over)
        if self._is_rescue_due(full):
            rescues, lease_s = self._overdue(met)
            retry_s = self._next_retry_s(now)
            found = replace(found, rescues=rescues, lease_s=lease_s, retry_s=retry_s)
            if not (full or goes_on or self._narrow):
                # all there is was seen: what was not met is no candidate any more
                met.update(one.rid for one in context.held.held())
                jobs.rights.set_aside.keep(met)
        return self._parted(replace(found, aside_s=jobs.rights.due_s()), chosen)

    def fetch_these(self, room: int, rids: Sequence[str]) -> Fetch:
        """Decide which of these rows to claim, so many at most."""
        if room <= 0:
            return Fetch(full=True)
        context = self._context
        chosen = context.jobs.selector.choose(
            room, transform=context.transform, rids=rids
        )
        return self._parted(Fetch(looked=True), chosen)

    def _parted(self, fetch: Fetch, chosen: list[Transition]) -> Fetch:
        """Tell the candidates that can't be worked on from those to claim."""
        claims = tuple(step for step in chosen if step.change.kind == "changed")
        bad = [step.change for step in chosen if step.change.kind != "changed"]
        rejects = tuple(transitions.reject(self._spec, change) for change in bad)
        return replace(fetch, claims=claims, rejects=rejects)

    def _read(self, now: datetime, limit: int, conditional: bool) -> Page | None:
        """Read the first candidates; None when nothing has changed."""
        queries, since = self._context.jobs.queries, self._context.news_at()
        path = queries.candidates(now, limit, narrow=self._narrow)
        return self._reader.read(path, unconditional=not conditional, since=since)

    def _new_rows(
        self, page: Page, limit: int, skip: Container[str], selector: Selector
    ) -> Iterator[dict[str, JSON]]:
        """Return candidates, page by page for as long as they are asked for."""
        held, dispatcher = self._context.held, self._context.dispatcher
        tried = any(dispatcher.is_suspect(one.rid) for one in held.held())
        split = max(len(page.rows) - self._last, 0) if self._last else 0
        first = selector.allowed([*page.rows[split:], *page.rows[:split]])
        for row in self._start.begin(first, self._clocks.random):
            rid = str(row["RID"])
            if rid in skip or rid in held or dispatcher.passes_over(rid):
                continue
            if dispatcher.is_suspect(rid):
                if tried:
                    continue
                tried = True
            yield row
        if len(page.rows) >= limit:
            # only where rows are refused, by a transform or by the catalog
            yield from self._further(page, max(limit, REFUSED_PAGE), selector)

    def _further(
        self, page: Page, limit: int, selector: Selector
    ) -> Iterator[dict[str, JSON]]:
        """Return candidates behind a page, and note how far that went in vain."""
        last: Row = page.rows[-1]
        reached, of = self._reached, (page.etag, self._narrow)
        if reached is not None and reached[0] == of:
            last = reached[1]
        pages = selector.pages(last, limit, self._narrow)
        self._reached = None
        for _, rows in zip(range(REFUSED_PAGES), pages, strict=False):
            yield from selector.allowed(rows)
            full = len(rows) >= limit
            self._reached = (of, rows[-1]) if full else None

    def _is_rescue_due(self, full: bool) -> bool:
        """Whether to look for overdue claims: when idle, and at times in a backlog."""
        now = self._clocks.monotonic()
        wait_s = min(self._spec.lease_s / 4, RESCUE_EVERY_S)
        if full and now < self._rescued_at + wait_s:
            return False
        self._rescued_at = now
        return True

    def _next_retry_s(self, now: datetime) -> float | None:
        """Find out how many seconds after a moment the next row is to be tried."""
        path = self._context.jobs.queries.next_retry(now)
        rows = self._catalog.rows(path, "RID") if path is not None else ()
        return _first(*(transitions.due_s(self._spec, row, now) for row in rows))

    def _overdue(
        self, refused: set[str]
    ) -> tuple[tuple[Transition, ...], float | None]:
        """Find claims to rescue, and when the next one is due.

        Those that the catalog refuses to have rescued are added to ``refused``.
        """
        spec, jobs = self._spec, self._context.jobs
        now = self._catalog.now()
        due: list[float] = []
        over: dict[str, JSON] = {}
        for row in jobs.own_claims() if spec.owner else ():
            rid = str(row["RID"])
            if rid in self._context.held or not transitions.is_ours(spec, row):
                continue
            overdue_s = transitions.overdue_s(spec, row, now)
            if overdue_s > 0:
                overdue_s = self._surely_overdue_s(row)
            if overdue_s > 0:
                over[rid] = row["RMT"]
            else:
                due.append(-overdue_s)
        # whole rows of those alone, if they are still as they were listed
        found = jobs.read_rows(over) if over else {}
        barred = jobs.rights.left_alone(found.values())
        refused.update(barred)
        rescued = tuple(
            transitions.rescue(spec, row)
            for rid, row in found.items()
            if row["RMT"] == over[rid] and rid not in barred
        )
        return rescued, min(due, default=None)

    def _surely_overdue_s(self, row: Row) -> float:
        """Return for how long a lease is over for certain; negative: ask again then."""
        spec, catalog = self._spec, self._catalog
        sure_s = transitions.surely_overdue_s(spec, row, catalog.own_time)
        if sure_s is None and catalog.ask_time(self._context.jobs.queries.no_rows()):
            self._context.wrote()
            sure_s = transitions.surely_overdue_s(spec, row, catalog.own_time)
        return -ASK_TIME_EVERY_S if sure_s is None else sure_s

    def _waits(self, row: Row, now: datetime) -> bool:
        """Whether a row is to be tried later than at a moment."""
        return transitions.due_s(self._spec, row, now) != 0

    def _left_s(self, at: float | None) -> float | None:
        return None if at is None else max(at - self._clocks.monotonic(), 0.0)


def _first(*seconds: float | None) -> float | None:
    return min((s for s in seconds if s is not None), default=None)


class _Rows:
    """Rows one by one; knows whether the last one was taken."""

    def __init__(self, rows: Iterator[dict[str, JSON]]) -> None:
        self._rows = rows
        self.exhausted = False

    def __iter__(self) -> Iterator[dict[str, JSON]]:
        yield from self._rows
        self.exhausted = True

"""What an agent could begin with: candidates to claim, overdue claims to rescue.

Knows when a read may be conditional: its ETag comes from a read that left nothing
to do, and no stored time has come since; and which candidates are preferred where
several processes compete for the same first rows.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from ermpoll.agent.context import AgentContext
from ermpoll.catalog.client import ASK_TIME_EVERY_S
from ermpoll.catalog.conditional import ConditionalReader
from ermpoll.catalog.paths import literal
from ermpoll.errors import UsageError
from ermpoll.queue import transitions
from ermpoll.queue.selection import Selector
from ermpoll.queue.transitions import Transition
from ermpoll.records import JSON, Page, Row

#: None: strict order. "random": from a random one of the first rows on.
#: ``(k, n)``: only the k-th of n shards by the RID's last symbol, k from 0.
Spread: TypeAlias = "Literal['random'] | tuple[int, int] | None"

#: The last symbol of a RID is always even: these sixteen.
LAST_SYMBOLS = "02468ACEGJMPRTWY"
#: How many more rows are read than taken, to begin at a random one.
CHOICE = 4
#: Rows to a page behind the first one, where rows of that are passed over ...
REFUSED_PAGE = 200
#: ... and such pages a look, at most: the next one goes on from there.
REFUSED_PAGES = 5
#: Seconds between two looks for overdue claims while candidates abound, at most.
RESCUE_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Spreading:
    """A choice that was checked."""

    kind: Spread = None

    def __post_init__(self) -> None:
        """Check the choice."""
        if self.kind is None or self.kind == "random":
            return
        if isinstance(self.kind, tuple) and len(self.kind) == 2:
            k, n = self.kind
            if 1 <= n <= len(LAST_SYMBOLS) and 0 <= k < n:
                return
        raise UsageError(
            "spread: expected None, 'random' or (k, n) with 0 <= k < n <= 16, found "
            f"{self.kind!r}"
        )

    @property
    def filter(self) -> str:
        """The filter of the shard; empty where there is none."""
        if not isinstance(self.kind, tuple):
            return ""
        k, n = self.kind
        return f"RID::regexp::{literal(f'[{LAST_SYMBOLS[k::n]}]$')}"

    def rows(self, room: int) -> int:
        """Return how many rows to read when there is room for so many."""
        return room * CHOICE if self.kind == "random" else room

    def begin(
        self, rows: Sequence[dict[str, JSON]], random: Callable[[], float]
    ) -> Sequence[dict[str, JSON]]:
        """Return the rows, from where to begin on."""
        if self.kind != "random" or not rows:
            return rows
        start = int(random() * len(rows))
        return [*rows[start:], *rows[:start]]


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
        self._spreading = Spreading(spread)
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
        #: Under which ETag, and behind which row, the next look goes on.
        self._reached: tuple[str | None, Row] | None = None
        #: When a retry is due, and somebody's claim ends, on the clock.
        self._retry_at: float | None = None
        self._lease_at: float | None = None

    def forget(self) -> None:
        """Look at everything again: what was read before may be another login's."""
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
        self, room: int, *, conditional: bool, skip: Container[str] = ()
    ) -> Fetch:
        """Decide what to claim, ``room`` rows at most, and what to rescue.

        With ``conditional`` the catalog may answer that nothing has changed. ``skip``
        has the RIDs of candidates that are dealt with already.
        """
        if room <= 0:
            return Fetch(full=True)
        wanted = self._spreading.rows(room) + 1
        page = self._read(wanted, conditional)
        if page is None:
            return Fetch(unchanged=True)
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
            found = replace(
                found, rescues=rescues, lease_s=lease_s, retry_s=self._next_retry_s()
            )
            if not (full or goes_on or self._spreading.filter):
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

    def _read(self, limit: int, conditional: bool) -> Page | None:
        """Read the first candidates; None when nothing has changed."""
        context = self._context
        path = context.jobs.queries.candidates(
            self._catalog.now(), limit, shard=self._spreading.filter
        )
        return self._reader.read(
            path, unconditional=not conditional, since=context.news_at()
        )

    def _new_rows(
        self, page: Page, limit: int, skip: Container[str], selector: Selector
    ) -> Iterator[dict[str, JSON]]:
        """Return candidates, page by page for as long as they are asked for."""
        held, dispatcher = self._context.held, self._context.dispatcher
        tried = any(dispatcher.is_suspect(one.rid) for one in held.held())
        first = selector.allowed(page.rows)
        for row in self._spreading.begin(first, self._clocks.random):
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
        if self._reached is not None and self._reached[0] == page.etag:
            last = self._reached[1]
        pages = selector.pages(last, limit, self._spreading.filter)
        self._reached = None
        for _, rows in zip(range(REFUSED_PAGES), pages, strict=False):
            yield from selector.allowed(rows)
            full = len(rows) >= limit
            self._reached = (page.etag, rows[-1]) if full else None

    def _is_rescue_due(self, full: bool) -> bool:
        """Whether to look for overdue claims: when idle, and at times in a backlog."""
        now = self._clocks.monotonic()
        wait_s = min(self._spec.lease_s / 4, RESCUE_EVERY_S)
        if full and now < self._rescued_at + wait_s:
            return False
        self._rescued_at = now
        return True

    def _next_retry_s(self) -> float | None:
        """Find out in how many seconds the next row is to be tried again."""
        now = self._catalog.now()
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

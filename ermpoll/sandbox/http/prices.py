"""What requests cost on a real service, and which writers abort each other there.

Emulates a service on two processors with one database whose transactions are
serialisable: of writers that overlap, the first to commit wins. It was measured on a
real one; there is no chance in it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from ermpoll.sandbox.http.messages import Answer, Request

WRITES = ("PUT", "POST", "DELETE")
#: Seconds of work.
GET_S = 0.008
WRITE_S = 0.016
ROW_S = 0.0004
#: What a connection pays on the next request after its transaction was aborted.
_ABORTED_S = 0.012
#: How much work a write does before it sees its snapshot, and after its commit.
_BEFORE_S = 0.005
_AFTER_S = 0.003
#: The share of its work after which it needs the lock of its table.
_LOCK_AT = 0.6
_PROCESSORS = 2


class Machine:
    """Shares its processors among all that work on it."""

    def __init__(self) -> None:
        self._active = 0
        self._changed = asyncio.Event()

    async def work(self, amount_s: float) -> None:
        """Return when that much work is done; the more work there is, the later."""
        self._enter(1)
        try:
            loop = asyncio.get_running_loop()
            while amount_s > 1e-6:
                speed = min(1.0, _PROCESSORS / self._active)
                begun = loop.time()
                changed = self._changed
                try:
                    await asyncio.wait_for(changed.wait(), amount_s / speed)
                except TimeoutError:
                    return
                amount_s -= (loop.time() - begun) * speed
        finally:
            self._enter(-1)

    def _enter(self, count: int) -> None:
        self._active += count
        self._changed.set()
        self._changed = asyncio.Event()


@dataclass(slots=True)
class Tables:
    """Who holds which table, and how often each and all were written."""

    commits: Counter[str] = field(default_factory=Counter)
    holders: dict[str, asyncio.Future[None]] = field(default_factory=dict)


class Prices:
    """Answers at a price.

    Parameters
    ----------
    answer
        Does what a request asks, at once.
    precheck
        Returns the refusal of a write whose preconditions fail, or None.
    """

    def __init__(
        self,
        answer: Callable[[Request], Answer],
        precheck: Callable[[Request], Answer | None] = lambda request: None,
    ) -> None:
        self._answer = answer
        self._precheck = precheck
        self._machine = Machine()
        self._tables = Tables()
        #: What a row of a write takes here anyhow, in seconds: it is part of the price.
        self._own_row_s = 0.0
        #: Connections whose last transaction was aborted.
        self._aborted: set[int] = set()

    async def respond(self, request: Request, *, aborts: bool = True) -> Answer | None:
        """Return the answer in the time it takes; None: the write was aborted.

        `aborts`: False lets writers overlap.
        """
        extra_s = _ABORTED_S if request.connection in self._aborted else 0.0
        self._aborted.discard(request.connection)
        if request.method not in WRITES:
            # What is read is how it was at the start, as in a transaction there.
            answer = self._answer(request)
            await self._machine.work(GET_S + extra_s)
            return answer
        written = await self._written(request, extra_s, aborts)
        if written is None:
            self._aborted.add(request.connection)
        return written

    async def _written(
        self, request: Request, extra_s: float, aborts: bool
    ) -> Answer | None:
        price_s = WRITE_S + ROW_S * _rows_in(request) + extra_s
        catalog, table = _places(request.path)
        commits = self._tables.commits
        await self._machine.work(_BEFORE_S)
        # In what it sees from here on, a stale tag is found before any conflict.
        stale = self._precheck(request)
        seen_table, seen_catalog = commits[table], commits[catalog]
        await self._machine.work(max(price_s * _LOCK_AT - _BEFORE_S, 0))
        if stale is not None:
            return stale
        if not aborts:
            return await self._committed(request, price_s, None)
        if not await self._is_free(table, seen_table):
            return None
        return await self._committed(request, price_s, seen_catalog)

    async def _is_free(self, table: str, seen: int) -> bool:
        """Wait for a table's lock; return whether nobody wrote to it since `seen`."""
        commits, holders = self._tables.commits, self._tables.holders
        while commits[table] == seen and table in holders:
            # Waiting costs nothing; when the holder commits, this one is lost.
            await asyncio.shield(holders[table])
        return commits[table] == seen

    async def _committed(
        self, request: Request, price_s: float, seen: int | None
    ) -> Answer | None:
        """Do the rest of a write, unless one to its catalog was committed since."""
        catalog, table = _places(request.path)
        commits, holders = self._tables.commits, self._tables.holders
        rows = _rows_in(request)
        lock = holders[table] = asyncio.get_running_loop().create_future()
        try:
            rest_s = price_s * (1 - _LOCK_AT) - _AFTER_S - self._own_row_s * rows
            await self._machine.work(max(rest_s, 0))
            if seen is not None and commits[catalog] != seen:
                return None
            answer = self._timed(request, rows)
            if answer.changed:
                commits[table] += 1
                commits[catalog] += 1
        finally:
            if holders.get(table) is lock:
                del holders[table]
            lock.set_result(None)
        await self._machine.work(_AFTER_S)
        return answer

    def _timed(self, request: Request, rows: int) -> Answer:
        begun = time.perf_counter()
        answer = self._answer(request)
        if rows:
            took_s = (time.perf_counter() - begun) / rows
            self._own_row_s += 0.3 * (took_s - self._own_row_s)
        return answer


def _places(path: str) -> tuple[str, str]:
    """Return texts for the catalog and for the table that a request writes to."""
    parts = path.partition("?")[0].split("/")
    catalog = "/".join(parts[:4])
    return catalog, f"{catalog}/{parts[5].partition('@')[0] if len(parts) > 5 else ''}"


def _rows_in(request: Request) -> int:
    try:
        rows = json.loads(request.body) if request.body else []
    except ValueError:
        return 0
    return len(rows) if isinstance(rows, list) else 1

"""Writing moves, each guarded, and reading what became of them.

Sits between the pure moves and the sender; the queue and the agent use it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ermpoll.catalog.client import Catalog
from ermpoll.catalog.clock import parse_time
from ermpoll.catalog.model import SYSTEM_COLUMNS
from ermpoll.queue.definition import QueueDefinition
from ermpoll.queue.guarded_put import GuardedPut, PutResult
from ermpoll.queue.plan import pack
from ermpoll.queue.queries import Queries
from ermpoll.queue.transitions import Transition, fence_puts, is_marked
from ermpoll.records import JSON, PlannedPut, Row
from ermpoll.redact import one_line

logger = logging.getLogger(__name__)

#: What the catalog writes itself.
#: Acts on rows that we hold: a broken version may be made up for by the token.
_HOLDING = ("complete", "fail", "retry later", "release", "renew")


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteResult:
    """What became of a batch of moves."""

    moves: Mapping[str, Transition] = field(repr=False)
    written: PutResult
    #: RIDs written by token, since somebody had edited the row meanwhile.
    edited: tuple[str, ...] = ()

    @classmethod
    def nothing(cls) -> WriteResult:
        """Return what becomes of no moves."""
        return cls(moves={}, written=PutResult())

    def won(self, *acts: str) -> list[Transition]:
        """Return the moves that were written, of these acts or of all."""
        return [
            self.moves[rid]
            for rid in self.written.won
            if not acts or self.moves[rid].act in acts
        ]


class GuardedWriter:
    """Writes the moves of one queue."""

    def __init__(
        self,
        spec: QueueDefinition,
        queries: Queries,
        catalog: Catalog,
        stop: threading.Event | None = None,
    ) -> None:
        self._spec = spec
        self._queries = queries
        self._catalog = catalog
        self._sender = GuardedPut(
            catalog, row_policy=spec.table.may_update is None, stop=stop
        )

    def write(self, moves: Sequence[Transition], *, until: float) -> WriteResult:
        """Write the moves in as few PUTs as the rules allow.

        Parameters
        ----------
        until
            On the monotonic clock: when to give up on a doubtful write.

        Raises
        ------
        CatalogError
            The catalog refuses all of it, or nothing reached it. What was written
            is returned, with the error in ``written``.
        WriteRefused
            The catalog is read-only here, or a dry run is on.
        """
        by_rid = {move.rid: move for move in moves}
        reader = _Reader(self._spec, self._queries, self._catalog, by_rid)
        known = [move.change for move in by_rid.values() if move.change.rmt]
        written = self._send(pack(known, self._spec.table), reader, until)
        missed = set(written.missed)
        again = [
            move
            for move in by_rid.values()
            if move.act in _HOLDING and (move.rid in missed or not move.change.rmt)
        ]
        second = self._send(fence_puts(self._spec, again), reader, until)
        gone = {*second.won, *second.refused, *second.unknown, *second.unsent}
        untold = {move.rid for move in by_rid.values() if not move.change.rmt}
        total = replace(written + second, missed=tuple((missed | untold) - gone))
        if total.error and not (total.won or total.unknown or total.refused):
            raise total.error
        return WriteResult(moves=by_rid, written=total, edited=tuple(second.won))

    def _send(
        self, puts: Iterable[PlannedPut], reader: _Reader, until: float
    ) -> PutResult:
        total = PutResult()
        for put in puts:
            total += self._sender.send(put, reader, until=until)
        return total


def by_then(seconds: float) -> float:
    """Return the moment that many seconds from now, on the monotonic clock."""
    return time.monotonic() + seconds


def read_rows(
    catalog: Catalog, queries: Queries, rids: Iterable[str]
) -> dict[str, dict[str, JSON]]:
    """Read rows whatever their state: ``{RID: row}``, without those that are gone."""
    found: dict[str, dict[str, JSON]] = {}
    for path in queries.rows(rids):
        page = catalog.get(path)
        found.update({str(row["RID"]): row for row in (page.rows if page else ())})
    return found


def try_rows(
    catalog: Catalog, queries: Queries, rids: Iterable[str]
) -> dict[str, dict[str, JSON]] | None:
    """Read rows to learn what became of a write; None when they can't be had now.

    The write stands all the same: nothing that was learned of it may be lost.
    """
    try:
        return read_rows(catalog, queries, rids)
    except Exception as error:  # noqa: BLE001  whatever a read meets
        logger.warning("rows can't be read back: %s", one_line(error))
        return None


class _Reader:
    """Reads back rows of a write: their versions, and which carry its mark.

    A version is only told of a row that is as the write left it: under the version
    of somebody's later edit, our stale values would count as current ones.
    """

    def __init__(
        self,
        spec: QueueDefinition,
        queries: Queries,
        catalog: Catalog,
        moves: Mapping[str, Transition],
    ) -> None:
        self._spec = spec
        self._queries = queries
        self._catalog = catalog
        self._moves = moves

    def versions(self, rids: Iterable[str]) -> Mapping[str, str]:
        told = {str(row["RID"]): self._version(row) for row in self._rows(rids)}
        return {rid: version for rid, version in told.items() if version}

    def marked(self, rids: Iterable[str]) -> Mapping[str, str] | None:
        found = {}
        for row in self._rows(rids):
            rid = str(row["RID"])
            marked = is_marked(self._spec, self._moves[rid], row)
            if marked is None:
                return None
            if marked:
                found[rid] = self._version(row)
        return found

    def _version(self, row: Row) -> str:
        change = self._moves[str(row["RID"])].change
        left = {**change.before, **change.after}
        as_left = all(
            _is_same(left[name], value)
            for name, value in row.items()
            if name in left and name not in SYSTEM_COLUMNS
        )
        return str(row["RMT"]) if as_left else ""

    def _rows(self, rids: Iterable[str]) -> list[Row]:
        spec, rids = self._spec, tuple(rids)
        columns = {spec.state: None} | ({spec.owner: None} if spec.owner else {})
        for rid in rids:
            change = self._moves[rid].change
            known = (*change.before, *change.after)
            columns |= dict.fromkeys(
                name for name in known if name not in SYSTEM_COLUMNS
            )
        pages = [self._catalog.get(path) for path in self._queries.marks(rids, columns)]
        return [row for page in pages if page for row in page.rows]


def _is_same(ours: JSON, theirs: JSON) -> bool:
    at = parse_time(ours)
    return ours == theirs or (at is not None and at == parse_time(theirs))

"""Sending a guarded PUT until it is certain what became of every row.

Knows statuses and versions, nothing of states. The rules:

* An answer that leaves it open whether the PUT was committed is followed by the
  same PUT, unchanged, until one answer is certain. Its keys hold the version each
  row was read at, so at most one copy writes a row; after the certain answer no
  earlier copy can match any more, and reading the rows by their mark settles it.
* "Nothing happened" (412, 503 aborted) is waited out with full jitter.
* A PUT that is refused for one bad value is halved until that row stands alone.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from ermpoll.backoff import REAL, Clocks, Deadline
from ermpoll.catalog.client import Catalog
from ermpoll.catalog.clock import parse_time, time_text
from ermpoll.catalog.etags import etag_time
from ermpoll.catalog.shared import shared_of
from ermpoll.errors import (
    Aborted,
    BadRequest,
    CatalogError,
    Conflict,
    Denied,
    ErmpollError,
    PreconditionFailed,
    Unavailable,
)
from ermpoll.records import Page, PlannedPut, Row
from ermpoll.redact import one_line, traceback_places

logger = logging.getLogger(__name__)


class Reader(Protocol):
    """Reads back the rows of a write."""

    def versions(self, rids: Iterable[str]) -> Mapping[str, str]:
        """Return the version each of these rows has now: ``{RID: RMT}``."""

    def marked(self, rids: Iterable[str]) -> Mapping[str, str] | None:
        """Return the versions of those rows that carry this write's mark.

        None where the rows have no place for a mark. Asked only when no copy of
        the write can be under way any more.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class PutResult:
    """What became of the rows of a write."""

    #: The version of each row written, as a value for the next guard.
    won: Mapping[str, str] = field(default_factory=dict)
    #: Each row written, as the server answered it.
    rows: Mapping[str, Row] = field(default_factory=dict, repr=False)
    #: RIDs of rows that had changed since they were read.
    missed: tuple[str, ...] = ()
    #: ``{RID: the server's reason}`` of rows the catalog refuses.
    refused: Mapping[str, str] = field(default_factory=dict)
    #: RIDs of rows of which no certain answer came in time.
    unknown: tuple[str, ...] = ()
    #: RIDs of rows that were certainly not written: busy, or out of reach.
    unsent: tuple[str, ...] = ()
    #: Why they were not.
    error: ErmpollError | None = None
    #: PUTs sent, and those that came to nothing.
    sent: int = 0
    wasted: int = 0

    def __add__(self, other: PutResult) -> PutResult:
        return PutResult(
            won={**self.won, **other.won},
            rows={**self.rows, **other.rows},
            missed=self.missed + other.missed,
            refused={**self.refused, **other.refused},
            unknown=self.unknown + other.unknown,
            unsent=self.unsent + other.unsent,
            error=self.error or other.error,
            sent=self.sent + other.sent,
            wasted=self.wasted + other.wasted,
        )


class GuardedPut:
    """Sends PUTs to one catalog, one at a time.

    Parameters
    ----------
    row_policy
        True where a right depends on the row, so that one row's 403 says nothing
        about the others.
    stop
        Set: no further attempt is made.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        row_policy: bool = False,
        stop: threading.Event | None = None,
        clocks: Clocks = REAL,
    ) -> None:
        self._catalog = catalog
        self._refusals = (BadRequest, Conflict, *((Denied,) if row_policy else ()))
        self._stop = stop or threading.Event()
        self._clocks = clocks
        self._write_lock = shared_of(catalog.url).write_lock

    def send(self, put: PlannedPut, reader: Reader, *, until: float) -> PutResult:
        """Send a PUT and return what became of its rows, whatever came of it.

        It does not raise: another PUT, or half of this one, may have been written.

        Parameters
        ----------
        reader
            Reads back which rows carry this write's mark.
        until
            On the monotonic clock: when to give up and return rows as unknown.
        """
        answer = self._until_certain(put, until)
        if answer.refusal is None:
            return self._settled(put, answer, reader, until)
        if len(put.rows) == 1:
            reason = answer.refusal.detail or str(answer.refusal)
            return answer.tally(refused={put.rids[0]: reason})
        half = len(put.rows) // 2
        first, second = (
            self.send(replace(put, rows=rows), reader, until=until)
            for rows in (put.rows[:half], put.rows[half:])
        )
        return answer.tally() + first + second

    def _until_certain(self, put: PlannedPut, until: float) -> _Answer:
        answer = _Answer()
        deadline = self._deadline(until)
        while True:
            answer.sent += 1
            try:
                answer.page = self._put(put)
            except (Aborted, PreconditionFailed) as error:
                answer.wasted += 1
                answer.error = error
            except Unavailable as error:
                answer.doubtful = answer.doubtful or error.doubtful
                answer.error = error
            except self._refusals as error:
                answer.refusal = error
            except ErmpollError as error:
                # an earlier copy may be written all the same: nobody can tell now
                answer.error = error
                return answer
            except Exception as error:  # noqa: BLE001  told; it may be written or not
                logger.error("%s: %s", put.path, traceback_places(error))
                answer.doubtful = True
                return answer
            if answer.page or answer.refusal or not deadline.wait():
                return answer

    def _put(self, put: PlannedPut) -> Page:
        with self._write_lock.hold(self._stop):
            page = self._catalog.put(put.path, put.rows)
        if all(isinstance(row, Mapping) and "RID" in row for row in page.rows):
            return page
        raise Unavailable(
            f"expected the rows that were written, found something else from "
            f"{page.url}; is there a proxy that answers for it?",
            url=page.url,
            doubtful=True,
        )

    def _settled(
        self, put: PlannedPut, answer: _Answer, reader: Reader, until: float
    ) -> PutResult:
        if answer.page is None:
            if answer.doubtful:
                return answer.tally(unknown=put.rids)
            return answer.tally(unsent=put.rids)
        rows = {str(row["RID"]): row for row in answer.page.rows}
        rest = [rid for rid in put.rids if rid not in rows]
        won = self._versions(rows, answer.page, reader, until)
        if answer.doubtful and rest:
            found = self._read(reader.marked, rest, until)
            if found is None:
                return answer.tally(won=won, rows=rows, unknown=tuple(rest))
            won = {**won, **found}
            rest = [rid for rid in rest if rid not in found]
        return answer.tally(won=won, rows=rows, missed=tuple(rest))

    def _versions(
        self, rows: Mapping[str, Row], page: Page, reader: Reader, until: float
    ) -> dict[str, str]:
        """Return the versions of rows just written, from the ETag where it tells."""
        if not rows:
            return {}
        written = etag_time(page.etag)
        catalog = self._catalog
        if written is not None and not catalog.etag_is_version:
            sample = next(iter(rows))
            seen = self._read(reader.versions, [sample], 0)
            if seen is None:
                # very likely it is the version; a guard that is wrong only misses
                return dict.fromkeys(rows, time_text(written))
            # no for an answer proves nothing: somebody may have edited that row
            catalog.etag_is_version = parse_time(seen.get(sample)) == written
        if written is not None and catalog.etag_is_version:
            return dict.fromkeys(rows, time_text(written))
        found = self._read(reader.versions, list(rows), until) or {}
        # a row whose version can't be had is finished by its token alone
        return {rid: found.get(rid, "") for rid in rows}

    def _read(
        self,
        read: Callable[[Iterable[str]], Mapping[str, str] | None],
        rids: Iterable[str],
        until: float,
    ) -> Mapping[str, str] | None:
        """Read back; None when it can't be had, now or by ``until``."""
        deadline = self._deadline(until)
        while True:
            try:
                return read(rids)
            except Unavailable as error:
                if not deadline.wait():
                    logger.warning("a write can't be read back: %s", one_line(error))
                    return None
            except Exception as error:  # noqa: BLE001  the write stands all the same
                logger.warning("a write can't be read back: %s", one_line(error))
                return None

    def _deadline(self, until: float) -> Deadline:
        left_s = until - self._clocks.monotonic()
        return Deadline(left_s, stop=self._stop, clocks=self._clocks)


@dataclass(slots=True)
class _Answer:
    """What is known of a PUT so far."""

    page: Page | None = None
    refusal: CatalogError | None = None
    error: ErmpollError | None = None
    doubtful: bool = False
    sent: int = 0
    wasted: int = 0

    def tally(self, **fates: Any) -> PutResult:
        """Return what became of the rows, with the counts so far."""
        error = self.error if fates.get("unsent") else None
        return PutResult(sent=self.sent, wasted=self.wasted, error=error, **fates)

"""Sending a guarded PUT until it is certain what became of every row.

Knows statuses and versions, nothing of states. The rules:

* An answer that leaves it open whether the PUT was committed is followed by the
  same PUT, unchanged, until one answer is certain. Its keys hold the version each
  row was read at, so at most one copy writes a row; after the certain answer no
  earlier copy can match any more, and reading the rows by their mark settles it.
  A good status with a foreign page in it may be all that ever comes, so then the rows
  are read at once: one that carries the mark settles it as well.
* "Nothing happened" (412, 503 aborted) is waited out with full jitter.

A PUT that is refused for one bad value is refused as a whole: whoever sends it
decides what becomes of its other rows.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from ermpoll.backoff import REAL, Clocks, Deadline
from ermpoll.catalog.client import Catalog
from ermpoll.catalog.clock import parse_time, time_text
from ermpoll.catalog.etags import etag_time
from ermpoll.catalog.shared import shared_of
from ermpoll.catalog.slots import SLOT_S, Slots
from ermpoll.catalog.transport import unlike
from ermpoll.catalog.values import body_of
from ermpoll.catalog.write_lock import LONGEST_WAIT_S
from ermpoll.errors import (
    Aborted,
    BadRequest,
    CatalogError,
    Conflict,
    Denied,
    ErmpollError,
    Fault,
    PreconditionFailed,
    Unavailable,
    fault_of,
)
from ermpoll.records import Page, PlannedPut, Row
from ermpoll.redact import one_line, traceback_places

logger = logging.getLogger(__name__)

#: So many times a writer with a slot tries again soon; what lasts is no bad luck.
SOON = 4


class Fate(Enum):
    """What became of a row of a write."""

    WON = "won"
    #: It had changed since it was read; not written.
    MISSED = "missed"
    #: The catalog refuses to write it.
    REFUSED = "refused"
    #: No certain answer came in time.
    UNKNOWN = "unknown"
    #: Certainly not written: the catalog was busy, or out of reach.
    UNSENT = "unsent"

    # asked for each row again and again, and Enum's own is slow
    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True, kw_only=True)
class RowResult:
    """One row of a write."""

    fate: Fate
    #: Of a row won: its version, as a guard; empty where it can't be had.
    rmt: str = ""
    #: Of a row refused or unsent: why.
    reason: str = ""
    #: Of a row refused: whose fault that is.
    fault: Fault | None = None
    #: Won in spite of an edit: somebody had edited the row meanwhile.
    edited: bool = False
    #: The columns that were not written, to keep that edit.
    kept: tuple[str, ...] = ()
    #: Of a row won: what the PUT answered of it, where an answer came.
    answered: Row = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What a row shows of a write, read back after it."""

    #: Its version, as a guard; empty where it is not as the write left it.
    rmt: str
    #: Whether it carries the write's mark; None where there is no place for one.
    is_ours: bool | None


#: Reads rows back: ``{RID: Trace}``, without those that are gone.
ReadBack: TypeAlias = Callable[[Iterable[str]], Mapping[str, Trace]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PutResult:
    """What became of the rows of a PUT."""

    rows: Mapping[str, RowResult] = field(default_factory=dict)
    #: Why rows are unsent.
    error: ErmpollError | None = None
    #: Why it is not known what became of rows.
    doubt: ErmpollError | None = None
    #: PUTs sent, and those that came to nothing.
    sent: int = 0
    wasted: int = 0
    #: Seconds that the catalog took for answers, without the waits for a turn.
    took_s: float = 0.0

    @property
    def fates(self) -> set[Fate]:
        """Every fate that some row has."""
        return {row.fate for row in self.rows.values()}


class GuardedPut:
    """Sends PUTs to one catalog, one at a time.

    Parameters
    ----------
    row_policy
        True where a right depends on the row, so that one row's 403 says nothing
        about the others.
    stop
        Set: no further attempt is made.
    patience_s
        Seconds to wait for a turn at most.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        row_policy: bool = False,
        stop: threading.Event | None = None,
        clocks: Clocks = REAL,
        patience_s: float = LONGEST_WAIT_S,
    ) -> None:
        self._catalog = catalog
        self._patience_s = patience_s
        self._refusals = (
            BadRequest,
            Conflict,
            *((Denied,) if row_policy else ()),
        )
        self._stop = stop or threading.Event()
        self._clocks = clocks
        self._write_lock = shared_of(catalog.url).write_lock
        #: Tells, for each copy, when it may be sent.
        self.slots = Slots()
        #: Called before each copy is sent: for what can be done meanwhile.
        self.before: Callable[[], None] = lambda: None

    def send(
        self,
        put: PlannedPut,
        read: ReadBack,
        *,
        until: float,
        by_column: bool = False,
    ) -> PutResult:
        """Send a PUT and return what became of its rows, whatever came of it.

        It does not raise: what others of the same write came to must be told.

        Parameters
        ----------
        read
            Reads rows back. Their marks count once no copy of the write can be under
            way any more.
        until
            On the monotonic clock: when to give up and return rows as unknown.
        by_column
            True where a 403 may be about a column that this PUT writes, and says
            nothing about others.
        """
        refusals = (*self._refusals, *((Denied,) if by_column else ()))
        answer = self._until_certain(put, read, until, _Answer(refusals))
        return PutResult(
            rows=self._rows(put, answer, read, until),
            error=None if answer.doubtful else answer.unsettled,
            doubt=answer.unsettled if answer.doubtful else None,
            sent=answer.sent,
            wasted=answer.wasted,
            took_s=answer.took_s,
        )

    def _until_certain(
        self, put: PlannedPut, read: ReadBack, until: float, answer: _Answer
    ) -> _Answer:
        deadline = self._deadline(until)
        while not self._is_over(put, read, answer):
            # who has a slot tries again in the next one: there it is alone
            soon = isinstance(answer.error, Aborted) and answer.wasted <= SOON
            cap_s = SLOT_S if soon and self.slots.slot() is not None else math.inf
            if not deadline.wait(answer.error, cap_s):
                break
        return answer

    def _is_over(self, put: PlannedPut, read: ReadBack, answer: _Answer) -> bool:
        """Send one copy; True when no other has to follow."""
        answer.sent += 1
        try:
            answer.page = self._put(put, answer)
        except (Aborted, PreconditionFailed) as error:
            answer.wasted += 1
            answer.error = error
            self.slots.lost()
        except Unavailable as error:
            answer.doubtful = answer.doubtful or error.doubtful
            answer.error = error
            answer.seen = error.status == 200 and self._is_seen(put, read)
        except answer.refusals as error:
            answer.take_refusal(error)
            return True
        except ErmpollError as error:
            # an earlier copy may be written all the same: nobody can tell now
            answer.error = error
            return True
        except Exception as error:  # noqa: BLE001  told; it may be written or not
            logger.error("%s: %s", put.path, traceback_places(error))
            answer.error = Unavailable(one_line(error), doubtful=True)
            answer.doubtful = True
            return True
        return answer.is_certain

    def _is_seen(self, put: PlannedPut, read: ReadBack) -> bool:
        """Whether a row carries the mark: then a copy was written, and no other is."""
        found = self._traces(read, put.rids, 0) or {}
        return any(trace.is_ours for trace in found.values())

    def _put(self, put: PlannedPut, answer: _Answer) -> Page:
        # all that needs no turn comes first
        body = body_of(put.path, put.rows)
        self.wait_for_slot()
        with self._write_lock.hold(self._stop, longest_s=self._patience_s):
            self.before()
            begun = self._clocks.monotonic()
            page = self._catalog.put(put.path, put.rows, body=body)
            answer.took_s += self._clocks.monotonic() - begun
        if all("RID" in row for row in page.rows):
            return page
        raise unlike("the rows that were written", "others", page.url, "PUT")

    def wait_for_slot(self) -> None:
        """Wait until a copy may be sent."""
        slot, now_s = self.slots.slot(), self._catalog.clock.fine_s()
        if slot is not None and now_s is not None:
            self._clocks.wait(self._stop, min(slot.wait_s(now_s), self._patience_s))

    def _rows(
        self, put: PlannedPut, answer: _Answer, read: ReadBack, until: float
    ) -> dict[str, RowResult]:
        rids = put.rids
        answered = {row["RID"]: row for row in answer.page.rows} if answer.page else {}
        won = [rid for rid in rids if rid in answered]
        rest = [rid for rid in rids if rid not in answered]
        versions = self._versions(won, answer.page, read, until)
        other = answer.of_the_rest()
        if rest and answer.doubtful and answer.is_certain:
            found = self._traces(read, rest, until)
            if found is None or None in {trace.is_ours for trace in found.values()}:
                other = RowResult(fate=Fate.UNKNOWN)
            elif ours := {rid: t.rmt for rid, t in found.items() if t.is_ours}:
                # an earlier copy was written: the others it did not match
                other = RowResult(fate=Fate.MISSED)
                versions.update(ours)
        wrote = {
            rid: RowResult(fate=Fate.WON, rmt=rmt, answered=answered.get(rid, {}))
            for rid, rmt in versions.items()
        }
        return {rid: wrote.get(rid, other) for rid in rids}

    def _versions(
        self, rids: Sequence[str], page: Page | None, read: ReadBack, until: float
    ) -> dict[str, str]:
        """Return the versions of rows just written, from the ETag where it tells."""
        if not rids or page is None:
            return {}
        written = etag_time(page.etag)
        catalog = self._catalog
        if written is not None and not catalog.etag_is_version:
            sample = self._traces(read, rids[:1], 0)
            if sample is None:
                # very likely it is the version; a guard that is wrong only misses
                return dict.fromkeys(rids, time_text(written))
            # no for an answer proves nothing: somebody may have edited that row
            seen = [parse_time(trace.rmt) for trace in sample.values()]
            catalog.etag_is_version = written in seen
        if written is not None and catalog.etag_is_version:
            return dict.fromkeys(rids, time_text(written))
        found = self._traces(read, rids, until) or {}
        # a row whose version can't be had is finished by its token alone
        return {rid: found[rid].rmt if rid in found else "" for rid in rids}

    def _traces(
        self, read: ReadBack, rids: Iterable[str], until: float
    ) -> Mapping[str, Trace] | None:
        """Read after a write; None where it can't be: the write counts all the same."""
        deadline = self._deadline(until)
        while True:
            try:
                return read(rids)
            except Exception as error:  # noqa: BLE001  the write counts all the same
                if not (isinstance(error, Unavailable) and deadline.wait(error)):
                    logger.warning("a write can't be read back: %s", one_line(error))
                    return None

    def _deadline(self, until: float) -> Deadline:
        left_s = until - self._clocks.monotonic()
        return Deadline(left_s, stop=self._stop, clocks=self._clocks)


@dataclass(slots=True)
class _Answer:
    """What is known of a PUT so far."""

    #: Errors that say something of its rows alone.
    refusals: tuple[type[CatalogError], ...]
    page: Page | None = None
    refusal: CatalogError | None = None
    error: ErmpollError | None = None
    doubtful: bool = False
    #: A row was seen to carry the mark.
    seen: bool = False
    sent: int = 0
    wasted: int = 0
    took_s: float = 0.0

    def take_refusal(self, error: CatalogError) -> None:
        """Take note of a refusal; that of nobody, who is not logged in, is of all."""
        if error.status == 401:
            self.error = error
        else:
            self.refusal = error

    @property
    def is_certain(self) -> bool:
        """Whether the last copy was answered, so that nothing of it is to come."""
        return self.page is not None or self.refusal is not None or self.seen

    @property
    def unsettled(self) -> ErmpollError | None:
        """The last error, where no answer settled it."""
        return None if self.is_certain else self.error

    def of_the_rest(self) -> RowResult:
        """Return what became of the rows that no answer lists."""
        if self.page is not None or self.seen:
            return RowResult(fate=Fate.MISSED)
        if self.refusal is not None:
            reason = self.refusal.detail or str(self.refusal)
            fault = fault_of(self.refusal)
            return RowResult(fate=Fate.REFUSED, reason=reason, fault=fault)
        if self.doubtful:
            return RowResult(fate=Fate.UNKNOWN)
        return RowResult(fate=Fate.UNSENT, reason=str(self.error))

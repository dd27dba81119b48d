"""One look of an agent: write what has finished, claim what can start, in one PUT.

Knows no thread: whoever calls `Cycle.look` is the agent's one claimer. What was
decided is in `moves`, how it is written in `acts`.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Protocol

from ermpoll import moves, planning
from ermpoll.acting import error_text, held_rows
from ermpoll.acts import Done, Writer, by_then, read_rows
from ermpoll.clock import etag_login
from ermpoll.errors import UsageError
from ermpoll.freshness import freshness_of
from ermpoll.hand import Finished, Hand
from ermpoll.jobqueue import Queue
from ermpoll.limbo import Limbo
from ermpoll.moves import Held, Move
from ermpoll.pacing import Pace
from ermpoll.records import JSON, EventKind, Looked, Page, Transform
from ermpoll.spec import check_change_of_state
from ermpoll.spreading import Spreading
from ermpoll.tally import Tally
from ermpoll.tokens import new_token
from ermpoll.workers import changes_of_work

logger = logging.getLogger(__name__)

#: First and longest wait before a failed row is tried again, in seconds.
RETRY_FIRST_S, RETRY_LONGEST_S = 10.0, 3600.0
#: A doubtful write is asked about for that long, in seconds, then the look fails.
PATIENCE_S = 20.0
#: Rows to a page when a transform refuses the first ones.
REFUSED_PAGE = 200


class Emit(Protocol):
    """Tells listeners what happened."""

    def __call__(
        self, kind: EventKind, reason: str = "", rid: str | None = None
    ) -> None:
        """Tell it."""


@dataclass(slots=True, kw_only=True)
class Parts:
    """What a cycle works with."""

    jobs: Queue
    name: str
    transform: Transform | None
    hand: Hand
    tally: Tally
    writer: Writer
    submit: Callable[[dict[str, Any]], Future[Any]]
    emit: Emit
    wrote: Callable[[], None]
    log_in: Callable[[str | None], None]
    #: When the news came that made it look, on the monotonic clock.
    news_at: Callable[[], float]
    spreading: Spreading = field(default_factory=Spreading)
    time_limit_s: float | None = None
    rng: Callable[[], float] = random.random


class Cycle:
    """The looks of one agent."""

    def __init__(self, parts: Parts, pace: Pace) -> None:
        self._parts = parts
        self._spec = parts.jobs.spec
        self._catalog = parts.jobs.catalog
        self.pace = pace
        self._limbo = Limbo(parts.jobs)
        self._freshness = freshness_of(self._catalog.url)
        #: ETag of a read that left nothing to do, or None.
        self._baseline: str | None = None
        self._last_etag: str | None = None
        #: When a time that is stored in a row comes, on the monotonic clock.
        self._due_at: float | None = None
        #: Candidates that can't be worked on, to be marked as failed.
        self._park: list[Move] = []

    def look(
        self,
        *,
        claiming: bool = True,
        conditional: bool = False,
        rids: Sequence[str] | None = None,
    ) -> Looked:
        """Do one look.

        Parameters
        ----------
        claiming
            False: only write what is finished, and keep what is held.
        conditional
            True: the catalog may answer that nothing has changed.
        rids
            Claim these candidates instead of the first ones.
        """
        parts = self._parts
        parts.hand.gather(self.pace.linger_s if parts.hand.busy else 0)
        begun = time.monotonic()
        ended = self._take_ended()
        own = [self._finishing(one) for one in ended] + self._keeping(begun, ended)
        held = len(parts.hand) - len(ended) + parts.hand.stuck
        room = self.pace.capacity - held if claiming else 0
        try:
            choice = self._choose(room, conditional and not own, rids)
            done = self._write([*own, *choice.moves])
        except BaseException:
            parts.hand.put_back(ended)
            raise
        if own or choice.moves:
            # what ended before this write is in hand until it is settled
            ran_dry = parts.hand.busy - len(ended) < self.pace.workers
            self.pace = self.pace.cycled(time.monotonic() - begun, ran_dry)
        won = self._settle(done, ended, begun)
        return self._looked(choice, done, won)

    def give_back(self, held: Sequence[Held]) -> None:
        """Release rows; the attempt does not count."""
        done = self._write([moves.release(self._spec, one) for one in held])
        self._settle(done, [], time.monotonic())

    def forget(self) -> None:
        """Look at everything again: what was read before may be another login's."""
        self._baseline = None

    # what has ended

    def _take_ended(self) -> list[Finished]:
        hand, limit_s = self._parts.hand, self._parts.time_limit_s
        for held in hand.lapsed(time.monotonic()):
            # past its lease a holder writes nothing: the row may be another's
            self._lost(held.rid, "its lease was over before the work was")
            hand.drop([held.rid])
        ended = hand.take_ended()
        for one in ended:
            self.pace = self.pace.worked(one.worked_s)
        if limit_s is not None:
            error = f"timed out after {limit_s:g} s"
            late = hand.overtime(limit_s, time.monotonic())
            ended += [Finished(held=held, error=error) for held in late]
        return ended

    def _finishing(self, one: Finished) -> Move:
        """Decide what is written for a job that ended."""
        spec = self._spec
        error = one.error or (error_text(one.cause) if one.cause is not None else "")
        if not error:
            changes = self._changes(one)
            if not isinstance(changes, str):
                return moves.complete(spec, one.held, changes)
            return moves.fail(spec, one.held, changes)
        tried = moves.attempts_of(spec, one.held.row)
        if spec.attempts and tried < spec.max_attempts and not one.final:
            wait_s = min(RETRY_FIRST_S * 2 ** (tried - 1), RETRY_LONGEST_S)
            at = self._catalog.now() + timedelta(seconds=wait_s * self._parts.rng())
            return moves.retry_later(spec, one.held, error, at)
        return moves.fail(spec, one.held, error)

    def _changes(self, one: Finished) -> dict[str, JSON] | str:
        table = self._spec.table
        try:
            asked = changes_of_work(one.result)
        except UsageError as error:
            return str(error)
        changes = planning.changes_of(asked, one.held.row, table)
        if isinstance(changes, str):
            return changes
        return (
            planning.first_refusal(changes, table)
            or check_change_of_state(self._spec, changes)
            or changes
        )

    def _keeping(self, now: float, ended: Sequence[Finished]) -> list[Move]:
        """Renew what is held for long, and mark candidates that can't be worked on."""
        spec, hand = self._spec, self._parts.hand
        # a row has one move in a write: its finish counts, and is a renewal as well
        finishing = {one.held.rid for one in ended}
        renewals = [
            moves.renew(spec, held)
            for held in hand.to_renew(spec.lease_s, now)
            if held.rid not in finishing
        ]
        parked, self._park = self._park, []
        return renewals + parked

    # what can begin

    def _choose(
        self, room: int, conditional: bool, rids: Sequence[str] | None
    ) -> _Choice:
        jobs, parts = self._parts.jobs, self._parts
        if room <= 0:
            return _Choice(full=True)
        if rids is not None:
            chosen = jobs.choose(
                room, transform=parts.transform, rids=rids, name=parts.name
            )
            return _Choice(moves=self._startable(chosen), looked=True)
        wanted = parts.spreading.rows(room) + 1
        page = self._read(wanted, conditional)
        if page is None:
            return _Choice(unchanged=True)
        self._watch_login(page)
        rows = _Rows(self._new_rows(page, wanted))
        chosen = jobs.chooser.claims(rows, room, parts.transform, self._token)
        full = not rows.exhausted
        rescued, due_s = ([], None) if full else self._overdue()
        return _Choice(
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
        # a conditional read can't see that time has passed
        due = self._due_at is not None and time.monotonic() >= self._due_at
        etag = self._baseline
        if etag is None or due or self._limbo or not conditional:
            return self._catalog.get(path)
        return self._freshness.ask(
            etag, parts.news_at(), lambda: self._catalog.get(path, etag=etag)
        )

    def _new_rows(self, page: Page, limit: int) -> Iterator[dict[str, JSON]]:
        """Return candidates, page by page for as long as they are asked for."""
        parts = self._parts
        for row in parts.spreading.begin(page.rows, parts.rng):
            if str(row["RID"]) not in parts.hand:
                yield row
        if len(page.rows) >= limit:
            # only a transform that refuses rows gets this far
            yield from parts.jobs.chooser.after(
                page.rows[-1], max(limit, REFUSED_PAGE), parts.spreading.filter
            )

    def _token(self) -> str:
        return new_token(self._parts.name, self._spec.lease_s)

    def _startable(self, chosen: list[Move]) -> list[Move]:
        """Return the claims among the moves; the others are marked as failed."""
        for move in chosen:
            if move.change.kind != "changed":
                self._park.append(moves.park(self._spec, move.change))
        return [move for move in chosen if move.change.kind == "changed"]

    def _overdue(self) -> tuple[list[Move], float | None]:
        """Find claims to rescue, and when the next one or the next retry is due."""
        spec, jobs = self._spec, self._parts.jobs
        now = self._catalog.now()
        due: list[float] = []
        rescued = []
        path = jobs.queries.next_retry(now)
        if path is not None:
            page = self._catalog.get(path)
            due += [moves.due_s(spec, row, now) for row in (page.rows if page else ())]
        if spec.owner:
            for row in jobs.held().rows:
                ours = str(row["RID"]) in self._parts.hand
                if ours or moves.holder_of(spec, row) is None:
                    continue
                overdue_s = moves.overdue_s(spec, row, now)
                if overdue_s > 0:
                    rescued.append(moves.rescue(spec, row))
                else:
                    due.append(-overdue_s)
        return rescued, min(due, default=None)

    def _watch_login(self, page: Page) -> None:
        before, self._last_etag = self._last_etag, page.etag
        if before is None or etag_login(before) != etag_login(page.etag):
            session = self._catalog.session()
            self._parts.log_in(session.name if session else None)

    # writing, and what came of it

    def _write(self, chosen: Sequence[Move]) -> Done:
        if not chosen:
            return Done.nothing()
        deadlines = [
            held.deadline for held in self._parts.hand.held(m.rid for m in chosen)
        ]
        until = min([by_then(PATIENCE_S), *deadlines])
        done = self._parts.writer.write(chosen, until=until)
        self._parts.tally.wrote(done.written)
        if done.written.won:
            self._parts.wrote()
        return done

    def _settle(self, done: Done, ended: Sequence[Finished], sent_at: float) -> int:
        """Take note of what became of each row; returns how many were claimed."""
        parts, written = self._parts, done.written
        causes = {one.held.rid: one for one in ended}
        open_ = {*written.unsent, *written.unknown}
        parts.hand.put_back(causes[rid] for rid in open_ if rid in causes)
        claimed = held_rows(parts.jobs, done, sent_at)
        self._limbo.add(done, sent_at)
        claimed.update(self._limbo.found())
        for rid in written.missed:
            self._missed(done.moves[rid])
        for rid, reason in written.refused.items():
            self._refused(done.moves[rid], reason, causes.get(rid))
        for move in done.won():
            self._won(move, written.won[move.rid], sent_at)
        self._start(claimed)
        return len(claimed)

    def _start(self, claimed: Mapping[str, Held]) -> None:
        parts = self._parts
        parts.tally.add("claimed", len(claimed))
        for rid in claimed:
            parts.emit("claimed", rid=rid)
        if claimed:
            logger.info(
                "%s: claimed %d rows",
                parts.name,
                len(claimed),
                extra={"event": "claimed", "rows": len(claimed)},
            )
        parts.hand.take(claimed.values(), parts.submit)

    def _won(self, move: Move, rmt: str, sent_at: float) -> None:
        parts = self._parts
        if move.act == "renew":
            for held in parts.hand.held([move.rid]):
                lease_end = sent_at + self._spec.lease_s
                parts.hand.renewed(replace(held, rmt=rmt, deadline=lease_end))
            return
        kind = _KINDS.get(move.act)
        if kind is None:
            return
        parts.hand.drop([move.rid])
        field, event = kind
        parts.tally.add(field)
        reason = str(move.change.after.get(self._spec.error or "") or "")
        parts.emit(event, reason, move.rid)
        logger.debug("%s: %s %s", parts.name, event, move.rid, extra={"event": event})

    def _missed(self, move: Move) -> None:
        if move.act in ("claim", "rescue"):
            self._parts.tally.add("lost", move.act == "claim")
            return
        if move.rid in self._parts.hand:
            # an earlier copy of this write may have been the one that counted
            row = read_rows(self._catalog, self._parts.jobs.queries, [move.rid])
            now = row.get(move.rid)
            if now and moves.is_marked(self._spec, move, now) and move.act != "renew":
                self._won(move, str(now["RMT"]), time.monotonic())
                return
            self._lost(move.rid, "somebody else took the row over")
            self._parts.hand.drop([move.rid])

    def _refused(self, move: Move, reason: str, cause: Finished | None) -> None:
        if move.act == "claim":
            failed = replace(move.change, kind="problem", reason=reason)
            self._park.append(moves.park(self._spec, failed))
        elif cause is not None and move.act != "fail":
            told = Finished(held=cause.held, error=reason, final=True)
            self._parts.hand.put_back([told])
        else:
            self._lost(move.rid, f"the catalog refuses even its failure: {reason}")
            self._parts.hand.drop([move.rid])

    def _lost(self, rid: str, reason: str) -> None:
        self._parts.tally.add("lost")
        self._parts.emit("lost", reason, rid)
        logger.warning(
            "%s: lost %s: %s", self._parts.name, rid, reason, extra={"event": "lost"}
        )

    def _looked(self, choice: _Choice, done: Done, claimed: int) -> Looked:
        moved = choice.etag is not None and choice.etag != self._baseline
        settled = not (done.written.unknown or self._limbo or self._park)
        # a row that was freed just now is a candidate that this look did not read
        unread = choice.full or done.written.missed or done.won("rescue")
        idle = choice.looked and settled and not unread
        hand = self._parts.hand
        now = time.monotonic()
        if choice.looked:
            self._baseline = choice.etag if idle else None
            self._due_at = None if choice.due_s is None else now + choice.due_s
        due = [
            None if self._due_at is None else max(self._due_at - now, 0.0),
            hand.renewal_due_s(self._spec.lease_s, now),
            self._parts.time_limit_s if hand.busy else None,
            1.0 if not settled else None,
        ]
        return Looked(
            more=choice.looked and bool(unread) and hand.busy < self.pace.capacity,
            found=bool(claimed or done.won()),
            due_s=min((s for s in due if s is not None), default=None),
            outcome=(
                "unchanged" if choice.unchanged else "rows" if done.moves else "empty"
            ),
            etag_moved=moved,
            detail=_words(choice, done, claimed),
        )


class _Rows:
    """Rows one by one; knows whether the last one was taken."""

    def __init__(self, rows: Iterator[dict[str, JSON]]) -> None:
        self._rows = rows
        self.exhausted = False

    def __iter__(self) -> Iterator[dict[str, JSON]]:
        yield from self._rows
        self.exhausted = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """What a look chose to do."""

    moves: Sequence[Move] = ()
    #: There are more candidates than could be taken.
    full: bool = False
    #: The catalog was asked for candidates, and answered.
    looked: bool = False
    unchanged: bool = False
    etag: str | None = None
    due_s: float | None = None


#: Which count and which event a written move is.
_KINDS: Mapping[str, tuple[str, EventKind]] = {
    "complete": ("completed", "completed"),
    "fail": ("failed", "failed"),
    "retry later": ("retried", "failed"),
    "release": ("released", "released"),
    "rescue": ("rescued", "rescued"),
}


def _words(choice: _Choice, done: Done, claimed: int) -> str:
    if choice.unchanged:
        return "304, nothing new"
    parts = [f"took {claimed}"] if claimed else []
    finished = len(done.won("complete", "fail", "retry later"))
    parts += [f"finished {finished}"] if finished else []
    parts += [f"lost {len(done.written.missed)}"] if done.written.missed else []
    if not parts:
        return "nothing to take" if choice.looked else "wrote what was due"
    return "looked, " + ", ".join(parts)

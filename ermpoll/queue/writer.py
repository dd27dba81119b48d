"""Writing steps of rows, each guarded, and saying what became of every row.

Sits between the pure steps and the PUTs: the queue and the agent use it. It knows
no state words.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import partial

from ermpoll.backoff import REAL, Clocks
from ermpoll.catalog.client_context import doing
from ermpoll.catalog.model import SYSTEM_COLUMNS
from ermpoll.catalog.write_lock import patience_s
from ermpoll.errors import ErmpollError, Fault, Unavailable
from ermpoll.queue import edits
from ermpoll.queue.edits import Finish
from ermpoll.queue.guarded_put import Fate, GuardedPut, PutResult, RowResult, Trace
from ermpoll.queue.plan import (
    Batch,
    batches,
    put_by_claim,
    put_by_token,
    put_by_version,
)
from ermpoll.queue.table import QueueTable
from ermpoll.queue.tokens import TokenSource, token_source, worker_name
from ermpoll.queue.transitions import Transition, is_marked, is_same, stamp
from ermpoll.records import Change, PlannedPut, Row
from ermpoll.redact import one_line

#: Rounds of a finish whose row is edited again and again.
ROUNDS = 5
#: After so many refused PUTs in a row ...
REFUSALS = 8
#: ... there are so many seconds between two.
PACE_S = 1.0
#: Steps of rows that we hold: a broken version may be made up for by the token.
HOLDING = ("complete", "fail", "retry later", "release", "renew")


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteResult(PutResult):
    """What became of some steps, and of all the PUTs that were sent for them."""

    #: Each step as it was sent last, in the order they were given.
    transitions: Mapping[str, Transition] = field(default_factory=dict, repr=False)

    def rids(self, fate: Fate) -> tuple[str, ...]:
        """Return the RIDs of the rows of one fate, in order."""
        rows = self.rows
        return tuple([rid for rid in self.transitions if rows[rid].fate is fate])

    def reasons(self, fate: Fate) -> dict[str, str]:
        """Return ``{RID: why}`` of the rows of one fate."""
        rows = self.rows.items()
        return {rid: row.reason for rid, row in rows if row.fate is fate}

    def written(self, *kinds: str) -> dict[str, Transition]:
        """Return the steps that were written, by RID: of these kinds or of all."""
        return {
            rid: step
            for rid, step in self.transitions.items()
            if self.rows[rid].fate is Fate.WON and (not kinds or step.kind in kinds)
        }


class GuardedWriter:
    """Writes the steps of rows of one queue.

    Parameters
    ----------
    stop
        Set: no further attempt is made.
    new_token
        Where the tokens of claims come from, one a PUT; None: new ones of this
        process.
    """

    def __init__(
        self,
        table: QueueTable,
        stop: threading.Event | None = None,
        new_token: TokenSource | None = None,
        clocks: Clocks = REAL,
    ) -> None:
        definition = table.definition
        self.table = table
        self.stop = stop or threading.Event()
        self.clocks = clocks
        #: PUTs that were refused since the last one that was not.
        self.refusals = 0
        own = token_source(worker_name(definition.worker), definition.lease_s)
        self.new_token = new_token or own
        row_policy = definition.rights_by_row
        self.put = GuardedPut(
            table.catalog,
            row_policy=row_policy,
            stop=self.stop,
            clocks=clocks,
            patience_s=patience_s(definition.lease_s),
        )

    @property
    def is_refused(self) -> bool:
        """Whether nothing gets through: one write after the other is refused."""
        return self.refusals >= REFUSALS

    def count(self, fates: Set[Fate]) -> None:
        """Take note of what came of a PUT."""
        if fates == {Fate.REFUSED}:
            self.refusals += 1
        elif Fate.WON in fates:
            self.refusals = 0

    def pace(self, until: float) -> bool:
        """Wait before the next PUT where nothing gets through; False: no time is left.

        A lasting refusal of all rows must not cost the catalog a PUT for each, one
        right after the other.
        """
        if not self.is_refused:
            return True
        if self.clocks.monotonic() + PACE_S >= until:
            return False
        return not self.clocks.wait(self.stop, PACE_S)

    def write(self, transitions: Iterable[Transition], *, until: float) -> WriteResult:
        """Write the steps in as few PUTs as the rules allow.

        Nothing is raised once a row was written: the error is in the result then.

        Parameters
        ----------
        transitions
            Of a row that stands twice the first counts.
        until
            On the monotonic clock: when to give up on a doubtful write.

        Raises
        ------
        CatalogError
            The catalog refuses all of it, or nothing reached it.
        WriteRefused
            The catalog is read-only here, or a dry run is on.
        """
        steps: dict[str, Transition] = {}
        for step in transitions:
            steps.setdefault(step.rid, step)
        sending = _Sending(self, steps, until)
        sending.by_version()
        sending.by_reading()
        sending.by_token()
        done = sending.done
        if done.error and done.fates <= {Fate.MISSED, Fate.UNSENT}:
            raise done.error
        return done


def by_then(seconds: float) -> float:
    """Return the moment that many seconds from now, on the monotonic clock."""
    return time.monotonic() + seconds


class _Sending:
    """One write under way: its steps as they are sent, and each row's fate so far."""

    def __init__(
        self, writer: GuardedWriter, steps: dict[str, Transition], until: float
    ) -> None:
        self._writer = writer
        self._table = writer.table
        self._definition = writer.table.definition
        self._put = writer.put
        self._new_token = writer.new_token
        self._steps = steps
        #: Each step as it was meant, whatever an edit made of it.
        self._meant = dict(steps)
        self._until = until
        # a step that no PUT has named yet was not written
        self._rows = dict.fromkeys(steps, RowResult(fate=Fate.MISSED))
        self.done = WriteResult(transitions=steps, rows=self._rows)
        #: What keeps all further PUTs from being sent.
        self._barred: ErmpollError | None = None

    def by_version(self) -> None:
        """Send the steps of rows whose version is known."""
        table = self._definition.table
        known = [s.change for s in self._steps.values() if s.change.rmt]
        for batch in batches(known, table):
            self._send(batch, partial(put_by_version, table))

    def by_reading(self) -> None:
        """Finish rows that were edited meanwhile, by what they hold now."""
        left = self._edited()
        for _ in range(ROUNDS):
            if not left or self._barred:
                return
            try:
                found = self._finishes(left)
            except Exception as error:  # noqa: BLE001  what was written stands
                self._unsent(left, f"the row can't be read: {one_line(error)}")
                return
            self._finish(found)
            left = [rid for rid in found if self._rows[rid].fate is Fate.MISSED]
        self._unsent(left, "is edited again and again; it stays claimed")

    def _edited(self) -> list[str]:
        """Return the missed finishes that write what a person may have edited."""
        definition = self._definition
        return [
            rid
            for rid, step in self._steps.items()
            if self._rows[rid].fate is Fate.MISSED
            and step.kind == "complete"
            and step.token
            and definition.owner
            and edits.results_of(definition, step)
        ]

    def _finishes(self, rids: Iterable[str]) -> dict[str, Finish]:
        """Read rows and decide how those are finished that we still hold."""
        definition, steps = self._definition, {rid: self._meant[rid] for rid in rids}
        columns = dict.fromkeys((definition.state, definition.owner or ""))
        for step in steps.values():
            columns |= dict.fromkeys(step.change.after)
        now = self._table.read_columns(steps, columns)
        held = {
            rid: step
            for rid, step in steps.items()
            if edits.is_held(definition, step, now.get(rid))
        }
        past = self._past(held)
        return {
            rid: edits.finish(definition, step, now[rid], past.get(rid, {}))
            for rid, step in held.items()
        }

    def _past(self, steps: Mapping[str, Transition]) -> dict[str, Row]:
        """Return what columns held at the claims that those did not read."""
        past: dict[str, Row] = {}
        for rid, step in steps.items():
            names = edits.unknown_of(self._definition, step)
            if names and step.read_at:
                past[rid] = self._table.columns_at(step.read_at, rid, names)
        return past

    def _finish(self, found: Mapping[str, Finish]) -> None:
        """Send finishes, keyed by the version just read, token and state."""
        definition = self._definition
        self._steps.update((rid, one.step) for rid, one in found.items())
        tokens = {rid: one.step.token or "" for rid, one in found.items()}
        changes = [one.step.change for one in found.values()]
        for batch in batches(changes, definition.table, fill=False):
            self._send(batch, partial(put_by_claim, definition, tokens))
        for rid, one in found.items():
            if self._rows[rid].fate is Fate.WON:
                row = replace(self._rows[rid], edited=True, kept=one.kept)
                self._rows[rid] = row

    def _unsent(self, rids: Iterable[str], reason: str) -> None:
        unsent = RowResult(fate=Fate.UNSENT, reason=reason)
        self._rows.update(dict.fromkeys(rids, unsent))

    def by_token(self) -> None:
        """Send again, by their tokens, the steps of rows that we hold all the same."""
        definition = self._definition
        read = set(self._edited())
        missed = [
            step
            for rid, step in self._steps.items()
            if self._rows[rid].fate is Fate.MISSED
            and step.kind in HOLDING
            and rid not in read
        ]
        if not (missed and definition.owner):
            return
        tokens = {step.rid: step.token for step in missed if step.token}
        changes = [step.change for step in missed if step.token]
        # nothing is filled in: what is current there we don't know
        for batch in batches(changes, definition.table, fill=False):
            self._send(batch, partial(put_by_token, definition, tokens))
            for rid in batch.rids:
                if self._rows[rid].fate is Fate.WON:
                    # that version covers an edit which we haven't seen
                    self._rows[rid] = replace(self._rows[rid], rmt="", edited=True)

    def _send(
        self,
        batch: Batch,
        put_of: Callable[[Sequence[str], Iterable[Change]], PlannedPut],
    ) -> None:
        """Send a PUT, and in parts what is refused, until each bad row stands alone.

        The larger parts come first: what can be written is written soon. Each has a
        token of its own, as it comes after one that was refused.
        """
        left = deque([batch])
        while left:
            part = left.popleft()
            steps = [self._steps[rid] for rid in part.rids]
            anew = part is not batch
            steps = stamp(self._definition, steps, self._new_token, anew=anew)
            self._steps.update(zip(part.rids, steps, strict=True))
            changes = tuple(step.change for step in steps)
            part = replace(part, changes=changes)
            done = self._sent_once(part, put_of(part.columns, changes))
            parts = self._parts(part, done)
            left.extend(parts)
            if not parts:
                self._rows.update(done.rows)

    def _parts(self, batch: Batch, done: PutResult) -> list[Batch]:
        """Return what of a PUT to send by itself, where the whole was refused."""
        if done.fates != {Fate.REFUSED}:
            return []
        by_column = not self._definition.rights_by_row
        if by_column and all(row.fault is Fault.LOGIN for row in done.rows.values()):
            # rows that don't write the column in question can be written
            parts = batches(batch.changes, self._definition.table, fill=False)
            return parts if len(parts) > 1 else []
        half = len(batch.changes) // 2
        halves = (batch.changes[:half], batch.changes[half:])
        return [replace(batch, changes=part) for part in halves] if half else []

    def _sent_once(self, batch: Batch, put: PlannedPut) -> PutResult:
        if self._barred is not None:
            return _unsent(put, str(self._barred), self._barred)
        if not self._writer.pace(self._until):
            return _unsent(put, "the catalog refuses one write after the other")
        by_column = not set(batch.columns) <= set(self._definition.own_columns)
        kinds = sorted({self._steps[rid].kind for rid in batch.rids})
        with doing(", ".join(kinds)):
            done = self._put.send(
                put, self._read_back, until=self._until, by_column=by_column
            )
        self._writer.count(done.fates)
        if not isinstance(done.error, Unavailable):
            self._barred = done.error
        self.done = replace(
            self.done,
            error=self.done.error or done.error,
            doubt=self.done.doubt or done.doubt,
            sent=self.done.sent + done.sent,
            wasted=self.done.wasted + done.wasted,
            took_s=self.done.took_s + done.took_s,
        )
        return done

    def _read_back(self, rids: Iterable[str]) -> dict[str, Trace]:
        definition, steps = self._definition, {rid: self._steps[rid] for rid in rids}
        columns = dict.fromkeys(filter(None, (definition.state, definition.owner)))
        for step in steps.values():
            columns |= dict.fromkeys((*step.change.before, *step.change.after))
        names = [name for name in columns if name not in SYSTEM_COLUMNS]
        return {
            rid: Trace(
                rmt=str(row["RMT"]) if is_as_left(steps[rid].change, row) else "",
                is_ours=is_marked(definition, steps[rid], row),
            )
            for rid, row in self._table.read_columns(steps, names).items()
        }


def _unsent(
    put: PlannedPut, reason: str, error: ErmpollError | None = None
) -> PutResult:
    unsent = RowResult(fate=Fate.UNSENT, reason=reason)
    return PutResult(rows=dict.fromkeys(put.rids, unsent), error=error)


def is_as_left(change: Change, row: Row) -> bool:
    """Whether a row is as a write left it.

    Under the version of somebody's later edit, our stale values would count as
    current ones.
    """
    left = {**change.before, **change.after}
    known = [name for name in row if name in left and name not in SYSTEM_COLUMNS]
    return all(is_same(left[name], row[name]) for name in known)

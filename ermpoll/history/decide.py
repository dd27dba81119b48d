"""What a transform would have made of rows, beside what was made of them. Pure.

Steps of rows come in, in the order of time; out come pairs of what was done and what
would have been. A case is one wait of a row: from when it may be taken until it is
finished; that somebody claimed it and gave it back is part of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from ermpoll.history.comparison import RowPair, of_cells, pair_cells
from ermpoll.history.machine import DeclaredMachine, RowPhase
from ermpoll.history.versions import Step, Version
from ermpoll.queue.definition import QueueDefinition
from ermpoll.queue.plan import plan_row
from ermpoll.records import JSON, Row, Transform, same

#: Cases under way that are kept; of more the oldest are let go, and counted.
MOST_OPEN = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A row that waits or is worked on, and what the transform said of it."""

    #: The newest version that could be taken.
    ready: Version
    #: What would have been written, when, and why not or as what it failed.
    would: Row = field(default_factory=dict, repr=False)
    at: datetime | None = None
    note: str = ""
    #: Whether the transform leaves it alone.
    skipped: bool = False
    #: What others have written since, by login.
    written: dict[str, dict[str, JSON]] = field(default_factory=dict, repr=False)


class Decider:
    """Follows rows of one queue, and decides for each what a transform would do.

    Attributes
    ----------
    dropped
        Cases that were let go because there were too many.
    unknown
        Rows that were finished and were not seen to wait.
    """

    def __init__(
        self,
        definition: QueueDefinition,
        transform: Transform,
        since: datetime,
        *,
        most_open: int = MOST_OPEN,
    ) -> None:
        self._definition = definition
        self._machine = DeclaredMachine.of(definition)
        self._transform = transform
        self._since = since
        self._most = most_open
        self._open: dict[str, Waiting] = {}
        self.dropped = 0
        self.unknown = 0

    def see(self, versions: Iterable[Version]) -> None:
        """Take note of rows that wait, whether or not anything becomes of them."""
        for version in versions:
            self._see(version)

    def feed(self, steps: Iterable[Step]) -> Iterator[RowPair]:
        """Follow steps, in the order of time; yields each case that ends."""
        for step in steps:
            if step.before is not None and step.rid not in self._open:
                self._see(step.before)
            pair = self._step(step)
            if pair is not None:
                yield pair

    def open_pairs(self) -> Iterator[RowPair]:
        """Yield the cases under way, as nobody having finished them.

        Without the rows that the transform leaves alone, as all others do.
        """
        for rid, one in self._open.items():
            if not one.skipped:
                yield self._pair(rid, one, {}, None)

    @property
    def rids(self) -> tuple[str, ...]:
        """The rows under way."""
        return tuple(self._open)

    def forget(self, rids: Iterable[str]) -> None:
        """Follow rows no longer: they are gone."""
        for rid in rids:
            self._open.pop(rid, None)

    def __len__(self) -> int:
        return len(self._open)

    def _see(self, version: Version) -> None:
        """Decide about a row that may be taken, unless that was decided before."""
        if self._machine.phase(version.row) is not RowPhase.READY:
            return
        known = self._open.pop(version.rid, None)
        if known is None or known.at is None:
            known = self._decided(version)
        self._open[version.rid] = replace(known, ready=version, written={})
        if len(self._open) > self._most:
            del self._open[next(iter(self._open))]
            self.dropped += 1

    def _step(self, step: Step) -> RowPair | None:
        after = step.after
        if after is None:
            self._open.pop(step.rid, None)
            return None
        phase = self._machine.phase(after.row)
        if phase is RowPhase.READY:
            self._see(after)
            return None
        one = self._open.get(step.rid)
        if one is None:
            finishes = phase in (RowPhase.DONE, RowPhase.FAILED)
            was = self._machine.phase(step.before.row) if step.before else None
            self.unknown += finishes and was is not phase
            return None
        self._note_written(one, step)
        if phase is RowPhase.CLAIMED:
            return None
        del self._open[step.rid]
        return self._pair(step.rid, one, self._done(one, after), after)

    def _note_written(self, one: Waiting, step: Step) -> None:
        if step.after is None:
            return
        before = step.before.row if step.before else one.ready.row
        # between versions that are not sure to be neighbours others may have been
        before = before if step.sure else one.ready.row
        names = self._machine.changed(before, step.after.row)
        mine = one.written.setdefault(step.after.by, {})
        mine.update({name: step.after.row.get(name) for name in names})

    def _done(self, one: Waiting, after: Version) -> dict[str, JSON]:
        """Return what was written by who finished the row, from claim to end."""
        own = set(self._definition.own_columns) - {self._definition.state}
        kept = own - one.would.keys() - {self._definition.error}
        before = one.ready.row
        return {
            name: after.row.get(name)
            for name in one.written.get(after.by, {})
            if name not in kept and not same(before.get(name), after.row.get(name))
        }

    def _pair(
        self, rid: str, one: Waiting, done: Row, after: Version | None
    ) -> RowPair:
        # what the row has already is no change
        before = one.ready.row
        would = {n: v for n, v in one.would.items() if not same(before.get(n), v)}
        cells = pair_cells(before, done, would)
        return RowPair(
            rid=rid,
            likeness=of_cells(cells),
            cells=cells,
            note=one.note,
            at=one.at,
            done_at=after.at if after else None,
            by=after.by if after else "",
        )

    def _decided(self, version: Version) -> Waiting:
        definition = self._definition
        due = self._machine.time(version.row, definition.retry_at)
        moment = max(version.at, self._since, due or self._since)
        change = plan_row(
            version.row, self._transform, definition.table, lambda row, changes: None
        )
        skipped = change.kind == "skipped"
        waiting = Waiting(ready=version, note=change.reason, skipped=skipped)
        if change.kind == "failed":
            word = definition.failed_word(change.reason)
            would: dict[str, JSON] = {definition.state: word}
            if definition.error:
                would[definition.error] = definition.error_text(change.reason)
            return replace(waiting, would=would, at=moment)
        if skipped or change.kind == "problem":
            return waiting
        would = {definition.state: definition.done, **change.after}
        return replace(waiting, would=would, at=moment, note="")

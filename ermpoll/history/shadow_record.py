"""What came of a transform in the shadow so far: all is counted, the newest is kept.

Pure: steps of rows come in, a comparison comes out.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from ermpoll.catalog.clock import time_text
from ermpoll.history.backtest import LABELS, told_of
from ermpoll.history.comparison import Comparison, RowPair
from ermpoll.history.decide import Decider
from ermpoll.history.versions import Step, Version
from ermpoll.queue.table import QueueTable
from ermpoll.records import Transform
from ermpoll.render.values import counted

#: Rows that are kept to be shown, of those that were finished and of those that wait.
MOST_KEPT = 1000
#: Rows that are followed at a time, and that one look reads.
MOST_ROWS = 5000
#: Sentences that are kept of what was told on the way.
MOST_TOLD = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowComparison(Comparison):
    """What a transform would have done so far, beside what was done meanwhile.

    Attributes
    ----------
    rows
        The newest rows that are kept, `MOST_KEPT` finished and as many that are not;
        the first is what was done, the second what would have been.
    since
        When it began to look; None: not yet.
    """

    since: datetime | None = None
    #: Rows and cells of the whole run by how they compare, kept or not.
    all_rows: Mapping[str, int] = field(default_factory=dict, repr=False)
    all_cells: Mapping[str, int] = field(default_factory=dict, repr=False)
    #: Requests sent so far.
    requests: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """Rows of the whole run by how they compare, in words; zeros too."""
        return dict(self.all_rows)

    @property
    def cell_counts(self) -> dict[str, int]:
        """Cells of the whole run by how they compare, in words; zeros too."""
        return dict(self.all_cells)


class ShadowRecord:
    """What came of the decisions so far: all counted, the newest kept."""

    def __init__(self, jobs: QueueTable, transform: Transform) -> None:
        self._jobs = jobs
        self._transform = transform
        self._kept: deque[RowPair] = deque(maxlen=MOST_KEPT)
        self._ended = 0
        self._rows: Counter[str] = Counter()
        self._cells: Counter[str] = Counter()
        self._told: dict[str, None] = {}
        self._unsure = 0
        self._decider: Decider | None = None
        self._since: datetime | None = None
        #: Up to when all is decided; None: nothing was read yet.
        self.until: datetime | None = None
        #: Names of logins, by id.
        self.names: dict[str, str] = {}

    def begin(self, at: datetime, waiting: Iterable[Version]) -> None:
        """Begin, or begin anew, with the rows that wait at a moment."""
        self._decider = Decider(
            self._jobs.definition, self._transform, at, most_open=MOST_ROWS
        )
        self._decider.see(waiting)
        self._since = self._since or at
        self.until = at

    def follow(self, steps: Sequence[Step]) -> list[RowPair]:
        """Decide about what was written at one moment, and take note of it."""
        if self._decider is None:
            return []
        pairs = list(self._decider.feed(steps))
        self._kept += pairs
        self._ended += len(pairs)
        _count(pairs, self._rows, self._cells)
        self._unsure += sum(not step.sure for step in steps)
        self.until = steps[0].at
        return pairs

    @property
    def unnamed(self) -> set[str]:
        """Logins of the rows that are kept whose names were not asked for."""
        return {pair.by for pair in self._kept} - self.names.keys()

    @property
    def waiting(self) -> tuple[str, ...]:
        """Rows that are followed and that nobody has finished."""
        return self._decider.rids if self._decider is not None else ()

    def forget(self, rids: Iterable[str]) -> None:
        """Follow rows no longer: they are gone."""
        if self._decider is not None:
            self._decider.forget(rids)

    def tell(self, sentences: Iterable[str]) -> None:
        """Keep what was told on the way, the newest sentences."""
        self._told |= dict.fromkeys(sentences)
        for old in list(self._told)[:-MOST_TOLD]:
            del self._told[old]

    def comparison(self, requests: int = 0) -> ShadowComparison:
        """Return all of it as of now: newest first, what is not finished last."""
        waiting = self._unfinished()
        rows, cells = Counter(self._rows), Counter(self._cells)
        _count(waiting, rows, cells)
        since = f" since {time_text(self._since)[:19]} UTC" if self._since else ""
        blank = Comparison(jobs=self._jobs, rows=())
        return ShadowComparison(
            jobs=self._jobs,
            rows=(*reversed(self._kept), *islice(waiting, MOST_KEPT)),
            labels=LABELS,
            title=f"would have been, beside what was done{since}",
            told=tuple(self._sentences(len(waiting))),
            names=dict(self.names),
            since=self._since,
            all_rows=blank.counts | rows,
            all_cells=blank.cell_counts | cells,
            requests=requests,
        )

    def _unfinished(self) -> list[RowPair]:
        if self._decider is None:
            return []
        return list(self._decider.open_pairs())[::-1]

    def _sentences(self, waiting: int) -> Iterable[str]:
        if waiting:
            yield (
                f"nobody has finished {counted(waiting, 'row')} yet: until then they "
                "count as new"
            )
        if self._ended > len(self._kept):
            yield f"of {self._ended:,} finished rows the newest are listed"
        if self._unsure:
            yield (
                f"behind {counted(self._unsure, 'change')} there may be others that "
                "were not read: more was written than can be read at this rate"
            )
        if self._decider is not None:
            yield from told_of(self._jobs, self._decider)
        yield from self._told


def _count(pairs: Iterable[RowPair], rows: Counter[str], cells: Counter[str]) -> None:
    for pair in pairs:
        rows[pair.likeness.value] += 1
        cells.update(cell.likeness.value for cell in pair.cells)

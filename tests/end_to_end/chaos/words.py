"""The judge of words: holds what agents said against what was written.

Their events, their counts and what `stop` answered, as a listener took them down.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.end_to_end.chaos.contents import Contents
from tests.end_to_end.chaos.ledger import Lines
from tests.end_to_end.chaos.record import Violation

#: Kinds of events that stand for a write, and the counts that they add up to.
COUNTS: Mapping[str, tuple[str, ...]] = {
    "claimed": ("claimed",),
    "completed": ("completed",),
    "failed": ("failed", "retried"),
    "released": ("released",),
    "rescued": ("rescued",),
}


@dataclass(slots=True, kw_only=True)
class Said:
    """All that one agent said."""

    name: str
    #: Kind of event and row, to how often.
    told: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: The counts of its last status; None where it had no time for one.
    counts: Mapping[str, int] | None = None
    #: What `stop` answered, and when, in seconds; None if nobody asked.
    stopped: bool | None = None
    at: float = 0.0
    #: When it was not there, from and to.
    away: list[tuple[float, float]] = field(default_factory=list)

    def of(self, kind: str) -> Counter[str]:
        """The rows that it told this of, and how often."""
        rows = {rid: n for (event, rid), n in self.told.items() if event == kind}
        return Counter(rows)

    @property
    def doubtful(self) -> int:
        """Rows that it says it does not know the end of."""
        counts = self.counts or {}
        return counts.get("lost", 0) + counts.get("unknown", 0)

    @property
    def lost(self) -> frozenset[str]:
        """Rows that it said it lost."""
        return frozenset(rid for kind, rid in self.told if kind == "lost")


def read(path: Path, name: str) -> Said:
    """Read what a process took down of its agent's words."""
    said = Said(name=name)
    for line in Lines(path).read():
        if "event" in line:
            said.told[line["event"], line["rid"]] += 1
        elif "away" in line:
            said.away.append(tuple(line["away"]))
        else:
            said.counts, said.stopped = line["counts"], line["stopped"]
            said.at = line["at"]
    return said


@dataclass(frozen=True, slots=True)
class Span:
    """How long a row was claimed by somebody."""

    rid: str
    since: float
    until: float


def judge(said: Said, contents: Contents, spans: list[Span]) -> Iterator[Violation]:
    """Find what an agent said and did not do, did and did not say, or left."""
    wrote: dict[str, Counter[str]] = defaultdict(Counter)
    freed: Counter[str] = Counter()
    for (who, kind, rid), n in contents.written.items():
        if who == said.name:
            wrote[kind][rid] = n
        elif kind in ("rescued", "released"):
            freed[rid] += n
    # after a lost answer a row that somebody else freed looks as if we had, and so
    # does one that an old daemon finished under our token
    set_back = contents.set_back
    alike = {
        "released": set_back,
        "rescued": set_back + freed,
        "completed": contents.finished,
    }
    for kind in COUNTS:
        told = Counter(
            {rid: n for (event, rid), n in said.told.items() if event == kind}
        )
        yield from _untrue(said, kind, told, wrote[kind] + alike.get(kind, Counter()))
        if said.counts is not None:
            yield from _sums(said, kind, told.total(), wrote[kind].total())
    # the last write may be of that very moment
    left = [s.rid for s in spans if s.since <= said.at < s.until - 0.01]
    if said.stopped and len(left) > said.doubtful:
        text = f"{said.name} said that it stopped: {left}"
        yield Violation(kind="left rows claimed", seq=0, rid=left[0], detail=text)


def _untrue(
    said: Said, kind: str, told: Counter[str], wrote: Counter[str]
) -> Iterator[Violation]:
    for rid, n in told.items():
        if n > wrote[rid]:
            text = f"{said.name} said {n} {kind}, wrote {wrote[rid]}"
            yield Violation(kind="said", seq=0, rid=rid, detail=text)


def _sums(said: Said, kind: str, told: int, wrote: int) -> Iterator[Violation]:
    counted = sum((said.counts or {}).get(name, 0) for name in COUNTS[kind])
    if counted != told:
        text = f"{said.name} said {counted} {kind} in its status, {told} in events"
        yield Violation(kind="said", seq=0, rid="", detail=text)
    # of a rescue whose answer was lost nothing tells whose it was
    if kind != "rescued" and wrote - counted > said.doubtful:
        text = f"{said.name} wrote {wrote} {kind}, said {counted}"
        yield Violation(kind="said", seq=0, rid="", detail=text)

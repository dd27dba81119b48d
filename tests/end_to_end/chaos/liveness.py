"""The judge of liveness: whether living agents do what they have taken, all along.

A claim that is not renewed, one that nobody works on, work that is over and not
written, an agent that does nothing while rows are ready.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.end_to_end.chaos.ledger import Worked
from tests.end_to_end.chaos.record import Entry, Machine, Violation, lease_of, seconds
from tests.end_to_end.chaos.words import Span

Window = tuple[float, float]


@dataclass(slots=True, kw_only=True)
class Life:
    """From when to when an agent was there, and when it could do nothing."""

    name: str
    born: float
    ended: float = math.inf
    #: Times for which no agent answers, or only this one did not.
    away: Sequence[Window] = ()
    #: Rows that it said it lost.
    lost: frozenset[str] = frozenset()
    #: When it began anew, and knew nothing any more of what it held.
    anew: Sequence[float] = ()

    def clear_s(self, since: float, until: float) -> float:
        """How long it could have acted between two times."""
        ends = [at for at in (self.ended, *self.anew) if at > since]
        since, until = max(since, self.born), min(until, *ends, self.ended)
        away = sum(
            max(min(until, b) - max(since, a), 0.0) for a, b in merged(self.away)
        )
        return until - since - away


def merged(windows: Sequence[Window]) -> list[Window]:
    """Join windows that overlap."""
    joined: list[Window] = []
    for since, until in sorted(windows):
        if joined and since <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], until))
        else:
            joined.append((since, until))
    return joined


@dataclass(slots=True)
class _Claim:
    who: str
    key: tuple[str, str]
    since: float
    touched: float


class Liveness:
    """Judges writes in the order of their commits: `see` each, then `end`.

    Parameters
    ----------
    worked
        The ledger, by what a claim goes by.
    patience_s
        How long an agent may leave alone what it has, in seconds without hindrance.
    slack_s
        How late a write may come that was sent in time, or is hindered unseen.
    """

    def __init__(
        self,
        machine: Machine,
        lives: Sequence[Life],
        worked: Mapping[tuple[str, str], list[Worked]],
        *,
        patience_s: float,
        slack_s: float,
    ) -> None:
        self._machine, self._worked = machine, worked
        self._lives = {life.name: life for life in lives}
        self._patience_s, self._slack_s = patience_s, slack_s
        self._claims: dict[str, _Claim] = {}
        #: Rows that are ready and may be taken, with when that began for each.
        self._ready: dict[str, float] = {}
        self._ready_since = math.inf
        #: Spans in which an agent was seen to do something: (at, until).
        self._acts: dict[str, list[Window]] = defaultdict(list)
        #: Spans in which something was ready.
        self._feasts: list[Window] = []
        self.spans: dict[str, list[Span]] = defaultdict(list)
        self.violations: list[Violation] = []

    def see(self, entry: Entry) -> None:
        """Judge one row of one write."""
        m, (_, state) = self._machine, self._machine.step(entry)
        self._acts[entry.who].append((entry.at, entry.at))
        self._count_ready(entry)
        claim = self._claims.get(entry.rid)
        if claim is not None and entry.who == claim.who:
            self._in_time(entry, claim)
            claim.touched = entry.at
        if claim is not None and state != m.claimed:
            self._over(claim, entry)
        elif claim is None and state == m.claimed and entry.who in self._lives:
            key = m.key(entry.after or {}, entry.who)
            self._claims[entry.rid] = _Claim(entry.who, key, entry.at, entry.at)

    def end(self, at: float) -> None:
        """Judge what was never given up, and who did nothing."""
        for rid, claim in list(self._claims.items()):
            nobody = Entry(seq=0, at=at, who="", rid=rid, before=None, after=None)
            self._over(claim, nobody)
        if self._ready:
            self._feasts.append((self._ready_since, at))
        for life in self._lives.values():
            self._wedged(life, at)

    # claims

    def _in_time(self, entry: Entry, claim: _Claim) -> None:
        """A holder whose lease is over writes nothing."""
        _, state = self._machine.step(entry)
        over = claim.touched + lease_of(claim.key[1])
        # what was sent in time may have been held up
        late_s = self._lives[claim.who].clear_s(over, entry.at)
        ends = state in (self._machine.done, self._machine.failed)
        given_up = ends and (entry.after or {}).get(self._machine.owner) is None
        if ends and not given_up and late_s > self._slack_s:
            text = f"{claim.who}, {late_s:.1f} s"
            self._find("finished after its lease was over", entry, text)

    def _over(self, claim: _Claim, entry: Entry) -> None:
        del self._claims[entry.rid]
        self.spans[claim.who].append(
            Span(entry.rid, claim.since, entry.at if entry.seq else math.inf)
        )
        life = self._lives[claim.who]
        if entry.rid in life.lost or entry.who in self._machine.people:
            return
        stale_s = life.clear_s(claim.touched, entry.at)
        taken = entry.seq and entry.who != claim.who
        if taken and stale_s > lease_of(claim.key[1]) * 0.9 + self._slack_s:
            text = f"{claim.who} neglected it for {stale_s:.1f} s"
            self._find("a claim by a living agent was let grow old", entry, text)
        self._idle(claim, entry, life)

    def _idle(self, claim: _Claim, entry: Entry, life: Life) -> None:
        """Time before work began, or after it was over, that nobody needed."""
        worked = [
            one
            for one in self._worked.get(claim.key, ())
            if claim.since - 1 <= one.at <= entry.at
        ]
        begun = worked[0].at if worked else entry.at
        over = worked[-1].until if worked else entry.at
        for since, until in ((claim.since, begun), (over, entry.at)):
            idle_s = life.clear_s(since, until)
            if idle_s > self._patience_s:
                text = f"of {claim.who}, for {idle_s:.1f} s"
                self._find("a claim that nobody works on", entry, text)

    # agents

    def _count_ready(self, entry: Entry) -> None:
        m, row = self._machine, entry.after or {}
        # what is to wait is nobody's duty yet, and not looked at again
        due = seconds(row.get(m.retry_at)) <= entry.at
        fresh = (row.get(m.attempts) or 0) < m.max_attempts
        if row.get(m.state) == m.ready and due and fresh:
            if not self._ready:
                self._ready_since = entry.at
            self._ready[entry.rid] = entry.at
        elif self._ready.pop(entry.rid, None) is not None and not self._ready:
            self._feasts.append((self._ready_since, entry.at))

    def _wedged(self, life: Life, at: float) -> None:
        worked = [
            (one.at, one.until if one.until < math.inf else one.at)
            for calls in self._worked.values()
            for one in calls
            if one.agent == life.name
        ]
        end = min(life.ended, at)
        acts = merged([(life.born, life.born), *self._acts[life.name], *worked])
        gaps = zip(acts, [*acts[1:], (end, end)], strict=True)
        for (_, since), (until, _) in gaps:
            if until - since <= self._patience_s:
                continue
            for begun, over in self._feasts:
                idle_s = life.clear_s(max(since, begun), min(until, over))
                if idle_s > self._patience_s:
                    text = f"{life.name} did nothing for {idle_s:.1f} s"
                    kind = "wedged while rows were ready"
                    found = Violation(kind=kind, seq=0, rid="", detail=text)
                    self.violations.append(found)
                    return

    def _find(self, kind: str, entry: Entry, detail: str) -> None:
        self.violations.append(
            Violation(kind=kind, seq=entry.seq, rid=entry.rid, detail=detail)
        )

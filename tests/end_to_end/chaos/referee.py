"""The referee: reads the record of every committed write and finds broken promises.

Knows nothing of ermpoll: what a token looks like and which steps a row may take
stands here once more, on purpose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.end_to_end.chaos.record import (
    SYSTEM,
    Entry,
    Machine,
    Row,
    Violation,
    lease_of,
    seconds,
)


@dataclass(slots=True, kw_only=True)
class _Holder:
    who: str
    token: str | None
    lease_s: float
    #: When the holder last wrote the row.
    at: float
    #: The lease of a token of before that a holder without a token left standing.
    stale_s: float = float("inf")


@dataclass(slots=True)
class _Track:
    """What is known of one row."""

    row: Row
    holder: _Holder | None = None
    #: What people last wrote, by column.
    edits: dict[str, Any] = field(default_factory=dict)
    #: Who finished it without a token.
    finisher: str | None = None
    #: Holders without a token from whom a person took the row.
    robbed: set[str] = field(default_factory=set)


class Referee:
    """Judges writes in the order of their commits: `see` each, then `end`.

    Attributes
    ----------
    violations
        What was found.
    counts
        How often each legal thing happened, by its name.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._tracks: dict[str, _Track] = {}
        #: Token and row, to the write that claimed; and token to who wrote it.
        self._claims: dict[tuple[str, str], int] = {}
        self._tokens: dict[str, str] = {}
        self.violations: list[Violation] = []
        self.counts: Counter[str] = Counter()

    def see(self, entry: Entry) -> None:
        """Judge one row of one write."""
        before, after = entry.before, entry.after
        if after is None:
            self._find("lost", entry, "the row was deleted")
            return
        if before is None:
            self._inserted(entry, after)
            return
        track = self._tracks.setdefault(entry.rid, _Track(before))
        if track.row != before:
            self._find("record", entry, "the version before is not the last one seen")
        track.row = after
        if entry.who in self._machine.people:
            self._person(entry, track, before, after)
        else:
            self._edits_stand(entry, track, after)
            self._worker(entry, track, before, after)

    def end(self, at: float) -> None:
        """Judge what is left at the end: no row may be lost."""
        m = self._machine
        for rid, track in self._tracks.items():
            state, holder = track.row[m.state], track.holder
            self.counts[f"end {state}"] += 1
            if state in (m.done, m.failed, m.hold):
                continue
            if state == m.claimed and holder is not None:
                if holder.token is None:
                    self.counts["end held without lease"] += 1
                    continue
                if at - holder.at >= holder.lease_s:
                    self.counts["end overdue"] += 1
                    continue
            if state == m.ready and track.robbed:
                # freed from an old daemon when the agents had ended already
                self.counts["end taken from a daemon"] += 1
                continue
            detail = (
                f"is left as {state!r} after {track.row.get(m.attempts)} attempts, "
                f"to be tried again at {track.row.get(m.retry_at)}"
            )
            self.violations.append(
                Violation(kind="lost", seq=0, rid=rid, detail=detail)
            )

    # people

    def _person(self, entry: Entry, track: _Track, before: Row, after: Row) -> None:
        m = self._machine
        own = {m.state, m.owner, m.attempts, m.retry_at} | SYSTEM
        for name, value in after.items():
            if name not in own and value != before[name]:
                track.edits[name] = value
        step = (before[m.state], after[m.state])
        if step[0] == step[1]:
            self.counts[f"edit of {step[0]}"] += 1
            return
        self.counts[f"person: {step[0]} to {step[1]}"] += 1
        allowed = {(m.ready, m.hold), (m.claimed, m.hold), (m.hold, m.ready)}
        if step == (m.claimed, m.ready) and track.holder and not track.holder.token:
            allowed.add(step)
        if step not in allowed:
            self._find("machine", entry, f"a person went from {step[0]} to {step[1]}")
        if track.holder and track.holder.who in m.daemons and not track.holder.token:
            track.robbed.add(track.holder.who)
        track.holder = None

    def _edits_stand(self, entry: Entry, track: _Track, after: Row) -> None:
        for name, value in track.edits.items():
            if after[name] != value:
                self._find("edit", entry, f"{entry.who} wrote over a person's {name}")

    # workers

    def _inserted(self, entry: Entry, after: Row) -> None:
        self.counts["inserted"] += 1
        self._tracks[entry.rid] = _Track(after)
        if after[self._machine.state] != self._machine.ready:
            self._find("machine", entry, f"begins as {after[self._machine.state]!r}")

    def _worker(self, entry: Entry, track: _Track, before: Row, after: Row) -> None:
        m = self._machine
        if entry.who in track.robbed and after[m.state] == m.done:
            # an old daemon finishes unguarded what a person took from it
            self.counts["finished after a person took it"] += 1
            track.robbed.discard(entry.who)
            track.finisher, track.holder = entry.who, None
            return
        judges: dict[tuple[Any, Any], Callable[..., None]] = {
            (m.ready, m.claimed): self._claim,
            (m.ready, m.failed): self._park,
            (m.claimed, m.claimed): self._renew,
            (m.claimed, m.done): self._finish,
            (m.claimed, m.failed): self._finish,
            (m.claimed, m.ready): self._give_back,
        }
        step = (before[m.state], after[m.state])
        judge = judges.get(step)
        if judge is not None:
            judge(entry, track, before, after)
        elif step[0] == step[1] == m.done and track.finisher == entry.who:
            # an unguarded finish of an old daemon, sent again by its HTTP library
            self.counts["finished again"] += 1
        elif step[0] == m.hold:
            self._find("edit", entry, f"{entry.who} took a row that a person holds")
        else:
            self._find("machine", entry, f"{entry.who}: {step[0]} to {step[1]}")

    def _claim(self, entry: Entry, track: _Track, before: Row, after: Row) -> None:
        m = self._machine
        token = after.get(m.owner)
        # a daemon that knows no tokens leaves the column as it is
        if token == before.get(m.owner) and (
            after.get(m.attempts) == before.get(m.attempts)
        ):
            token = None
        track.holder = _Holder(
            who=entry.who,
            token=token,
            lease_s=lease_of(token),
            at=entry.at,
            stale_s=lease_of(after.get(m.owner)),
        )
        # what was edited before is the past, of which whoever works knows
        track.edits.clear()
        self.counts["claims" if token else "claims without token"] += 1
        if token is None:
            return
        # a PUT that was refused for one bad value goes on as halves, under one token
        first = self._claims.setdefault((token, entry.rid), entry.seq)
        if first != entry.seq or self._tokens.setdefault(token, entry.who) != entry.who:
            self._find("token", entry, "the token was used in an earlier claim")
        if after[m.attempts] != (before[m.attempts] or 0) + 1:
            self._find("machine", entry, "a claim must count one attempt")
        if after[m.attempts] > m.max_attempts:
            self._find("machine", entry, "claimed beyond its attempts")
        if seconds(before[m.retry_at]) > entry.at:
            self._find("machine", entry, "claimed before its retry_at")

    def _park(self, entry: Entry, track: _Track, before: Row, after: Row) -> None:
        self.counts["parked"] += 1

    def _renew(self, entry: Entry, track: _Track, before: Row, after: Row) -> None:
        owner, holder = self._machine.owner, track.holder
        same = after.get(owner) == before.get(owner)
        if holder and self._is_under_token_of_before(entry, holder, after) and same:
            self.counts["renewed by the token of before"] += 1
            return
        if holder is None or entry.who != holder.who or not same:
            whose = holder and f"{holder.who}'s, under {holder.token}"
            told = f"{entry.who} writes a row that is held: {whose}; token kept: {same}"
            self._find("two holders", entry, told)
            return
        holder.at = entry.at
        self.counts["renewals"] += 1

    def _finish(self, entry: Entry, track: _Track, before: Row, after: Row) -> None:
        m = self._machine
        holder, word = track.holder, after[m.state]
        track.holder = None
        given_up = word == m.failed and m.owner in after and after[m.owner] is None
        other = holder is None or entry.who != holder.who
        # also by the one that held it: it gave the row up before it found it overdue
        if given_up and (other or (holder and holder.token)):
            self._taken_over(entry, track, holder)
            return
        if holder and self._is_under_token_of_before(entry, holder, after):
            self.counts["finished by the token of before"] += 1
            track.robbed.add(holder.who)
            return
        if holder is None or other:
            self._find("two holders", entry, f"{entry.who} finished another's row")
        elif holder.token is None:
            track.finisher = entry.who
        elif after[m.owner] != holder.token:
            self._find("token", entry, "finished without its claim's token")
        if after.get(m.attempts) != before.get(m.attempts):
            self._find("machine", entry, "a finish must leave the attempts")
        self.counts[word] += 1
        if holder is not None and entry.at - holder.at > holder.lease_s:
            self.counts["finished late, unchallenged"] += 1

    def _is_under_token_of_before(
        self, entry: Entry, holder: _Holder, row: Row
    ) -> bool:
        """Whether its first holder finds the row as it left it.

        A person set it back, token and all, and a daemon took it then.
        """
        own = self._tokens.get(str(row.get(self._machine.owner))) == entry.who
        return entry.who != holder.who and not holder.token and own

    def _give_back(self, entry: Entry, track: _Track, before: Row, after: Row) -> None:
        m = self._machine
        holder, track.holder = track.holder, None
        if m.owner not in after and holder is not None and entry.who == holder.who:
            self.counts["releases without token"] += 1
            return
        fewer = (after.get(m.attempts) or 0) < (before.get(m.attempts) or 0)
        later = after.get(m.retry_at) != before.get(m.retry_at)
        if holder is None or entry.who != holder.who or not (fewer or later):
            # also by the one that held it: it may have given the row up as lost
            self._taken_over(entry, track, holder)
        else:
            self.counts["releases" if fewer else "retries"] += 1
        if holder is not None and holder.token and after.get(m.owner) is not None:
            self._find("token", entry, "given back, but the token stands")

    def _taken_over(self, entry: Entry, track: _Track, holder: _Holder | None) -> None:
        if holder is None:
            self._find("record", entry, "a claimed row that nobody claimed")
        elif holder.token is None and entry.at - holder.at >= holder.stale_s:
            # a person left the token of before, so the row looks like an overdue one
            self.counts["freed by the token of before"] += 1
            track.robbed.add(holder.who)
        elif holder.token is None:
            self._find("robbed", entry, f"{entry.who} freed a claim without a lease")
        elif entry.at - holder.at < holder.lease_s:
            left = holder.lease_s - (entry.at - holder.at)
            self._find(
                "two holders", entry, f"freed {left:.3f} s before its lease ended"
            )
        else:
            self.counts["rescues"] += 1

    def _find(self, kind: str, entry: Entry, detail: str) -> None:
        self.violations.append(
            Violation(kind=kind, seq=entry.seq, rid=entry.rid, detail=detail)
        )

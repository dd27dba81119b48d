"""The judge of contents: holds what was written against the ledger of the work.

Knows nothing of ermpoll, and of the catalog only its record.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from typing import Any

from ermpoll.catalog.clock import parse_time
from tests.end_to_end.chaos.ledger import Worked, digest
from tests.end_to_end.chaos.record import SYSTEM, Entry, Machine, Row, Violation

#: The catalog's clock and that of the ledger are read one after the other.
TOLERANCE_S = 0.05


class Contents:
    """Judges writes in the order of their commits: `see` each, then `end`.

    Parameters
    ----------
    agents
        Logins whose work keeps the ledger; others are none of its business.
    excused
        What a row's error may hold where no work of it failed: a refusal of the
        catalog that the test itself asked for.

    Attributes
    ----------
    violations
        What was found.
    written
        What each agent wrote: agent, kind as in its events, and row, to how often.
    set_back
        Rows that people made ready again, and how often.
    finished
        Rows that others made done, and how often.
    """

    def __init__(
        self,
        machine: Machine,
        agents: Collection[str],
        ledger: Iterable[Worked],
        *,
        excused: str = "",
    ) -> None:
        self._machine, self._agents, self._excused = machine, agents, excused
        self.worked: dict[tuple[str, str], list[Worked]] = defaultdict(list)
        for one in ledger:
            self.worked[one.rid, one.token or f"of {one.agent}"].append(one)
        #: When a row was claimed: by its key, first to last.
        self._claims: dict[tuple[str, str], list[Entry]] = defaultdict(list)
        self._edited: dict[str, set[str]] = defaultdict(set)
        self.violations: list[Violation] = []
        self.written: Counter[tuple[str, str, str]] = Counter()
        self.set_back: Counter[str] = Counter()
        self.finished: Counter[str] = Counter()

    def see(self, entry: Entry) -> None:
        """Judge one row of one write."""
        before, after = entry.before, entry.after
        if before is None or after is None:
            return
        m, step = self._machine, self._machine.step(entry)
        if entry.who in m.people:
            changed = {name for name in after if after[name] != before[name]}
            self._edited[entry.rid] |= changed
            self.set_back[entry.rid] += step[0] != step[1] == m.ready
            return
        if entry.who not in self._agents:
            self.finished[entry.rid] += step == (m.claimed, m.done)
            return
        judge = {
            (m.ready, m.claimed): self._claim,
            (m.claimed, m.done): self._done,
            (m.claimed, m.failed): self._failed,
            (m.claimed, m.ready): self._back,
            (m.ready, m.failed): self._rejected,
        }.get(step)
        if judge is not None:
            judge(entry, before, after)

    def end(self) -> None:
        """Judge the ledger: no work without a claim, nor twice under one."""
        for key, worked in self.worked.items():
            under: Counter[int] = Counter()
            for one in worked:
                text = f"attempt {one.attempt} of {one.agent}"
                if (claim := self._claim_of(one, self._claims[key])) is None:
                    self._say("worked without having won the row", key[0], text)
                else:
                    under[claim.seq] += 1
                if one.attempt > self._machine.max_attempts:
                    self._say("worked beyond its attempts", key[0], text)
            if any(n > 1 for n in under.values()):
                self._say("worked twice under one claim", key[0], str(key[1]))

    @staticmethod
    def _claim_of(one: Worked, claims: Iterable[Entry]) -> Entry | None:
        """Find the claim that work was for: without a token, by the row's version.

        A process of a pool that is broken may do what its agent has given back and
        claimed again meanwhile.
        """
        won = [claim for claim in claims if claim.at <= one.at + TOLERANCE_S]
        told = parse_time(one.version) if one.version else None
        mine = [claim for claim in won if told == parse_time(claim.after["RMT"])]
        return (mine or won or [None])[-1]

    # one step each

    def _claim(self, entry: Entry, before: Row, after: Row) -> None:
        self._wrote("claimed", entry)
        self._claims[self._machine.key(after, entry.who)].append(entry)
        self._edited[entry.rid].clear()

    def _done(self, entry: Entry, before: Row, after: Row) -> None:
        self._wrote("completed", entry)
        one = self._work_of(entry, before)
        if one is None:
            self._find("done without working", entry)
            return
        if one.error or one.poison:
            self._find("done, though its work failed", entry)
        if one.until > entry.at + TOLERANCE_S:
            self._find("done before its work was over", entry)
        for name, said in one.digests.items():
            if name not in self._edited[entry.rid] and digest(after[name]) != said:
                self._find(f"done without the {name} of its work", entry)
        m = self._machine
        own = {m.state, m.owner, m.error, m.attempts, m.retry_at, *SYSTEM}
        for name in after.keys() - own - one.digests.keys():
            if after[name] != before[name]:
                self._find(f"done with a {name} that no work asked for", entry)

    def _failed(self, entry: Entry, before: Row, after: Row) -> None:
        m = self._machine
        if m.owner in after and after[m.owner] is None:
            # given up by a rescue, at its last attempt
            self._wrote("rescued", entry)
            if after[m.attempts] < m.max_attempts:
                self._find("given up before its last attempt", entry)
            return
        self._wrote("failed", entry)
        one = self._own_failure(entry, before, after)
        final = one is None or one.poison or one.contested or m.attempts not in after
        if not final and after[m.attempts] < m.max_attempts:
            self._find("failed before its last attempt", entry)

    def _rejected(self, entry: Entry, before: Row, after: Row) -> None:
        self._wrote("failed", entry)
        if not self._is_excused(after):
            self._find("failed without a claim", entry)

    def _back(self, entry: Entry, before: Row, after: Row) -> None:
        m = self._machine
        claims = self._claims[m.key(before, entry.who)]
        if not claims or claims[-1].who != entry.who:
            self._wrote("rescued", entry)
        elif after.get(m.retry_at) != before.get(m.retry_at):
            self._wrote("failed", entry)
            self._own_failure(entry, before, after)
        elif m.attempts not in after or after[m.attempts] < before[m.attempts]:
            self._wrote("released", entry)
        else:
            self._wrote("rescued", entry)

    def _work_of(self, entry: Entry, before: Row) -> Worked | None:
        """The first call of work under the claim that a write ends."""
        key = self._machine.key(before, entry.who)
        claims = self._claims[key]
        begun = claims[-1].at if claims else 0.0
        last = entry.at + TOLERANCE_S
        for one in self.worked.get(key, ()):
            if begun - TOLERANCE_S <= one.at <= last:
                return one
        return None

    def _own_failure(self, entry: Entry, before: Row, after: Row) -> Worked | None:
        one = self._work_of(entry, before)
        text = str(after.get(self._machine.error) or "")
        own = one is not None and one.may_fail and one.error in text
        if not own and not self._is_excused(after):
            self._find("failed by another's fault", entry, text[:80])
        return one if own else None

    def _is_excused(self, row: Row) -> bool:
        return bool(self._excused) and self._excused in str(row[self._machine.error])

    # taking down

    def _wrote(self, kind: str, entry: Entry) -> None:
        self.written[entry.who, kind, entry.rid] += 1

    def _find(self, kind: str, entry: Entry, detail: Any = "") -> None:
        detail = f"{entry.who} {detail}".rstrip()
        self.violations.append(
            Violation(kind=kind, seq=entry.seq, rid=entry.rid, detail=detail)
        )

    def _say(self, kind: str, rid: str, detail: str) -> None:
        self.violations.append(Violation(kind=kind, seq=0, rid=rid, detail=detail))

"""Holds what work itself wrote down against what was written, and what was said.

Beside the referee of the chaos tests, which reads the committed writes alone. Knows
nothing of the agent's insides.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from tests.end_to_end.chaos.referee import Entry, Machine, Referee, Row
from tests.end_to_end.chaos.table import TABLE
from tests.helpers.stepping import BEGUN
from tests.helpers.virtual_world import SteppedAgent, Worked, World, digest

MAX_ATTEMPTS = 3
#: A holder may be late by what a request takes.
SLACK_S = 0.5
#: What the machinery writes; all else is the work's.
_MACHINE = ("RID", "RCT", "RMT", "RCB", "RMB", "state", "owner", "error", "attempts")


def entries_of(world: World) -> list[Entry]:
    """Every row of every committed write, in order; times as the world's."""
    begun = BEGUN.timestamp() - world.time.begun
    return [
        Entry(seq=seq, at=at / 1e6 - begun, who=who, rid=rid, before=old, after=new)
        for seq, at, _, _, _, who, _, rows in world.store.read_log(1, 1_000_000)
        for _, rid, old, new in rows
    ]


class Judge:
    """Reads a world when all is over; `faults` lists what was broken.

    Parameters
    ----------
    excused
        What a row's error may hold where no work of it failed: a refusal of the
        catalog that the test itself asked for.
    silent
        Agents that can't have told all they did: their processes were gone.
    """

    def __init__(
        self,
        world: World,
        *,
        people: frozenset[str] = frozenset({"person"}),
        excused: str = "",
        silent: Collection[str] = (),
    ) -> None:
        self._silent = silent
        self.world, self.people, self._excused = world, people, excused
        self.faults: list[str] = []
        self.entries = entries_of(world)
        self._worked: dict[tuple[str, str | None], list[Worked]] = defaultdict(list)
        for one in world.ledger:
            self._worked[one.rid, one.token].append(one)
        #: Who holds a row, when that began or was renewed, and what people edited.
        self._claimed: dict[tuple[str, str | None], Entry] = {}
        self._touched: dict[str, float] = {}
        self._edited: dict[str, set[str]] = defaultdict(set)
        #: Rows that people made ready again.
        self._set_back = 0
        #: What each agent's login has written: agent and kind, to RIDs.
        self.written: dict[tuple[str, str], list[str]] = defaultdict(list)

    def judge(self) -> list[str]:
        """Find all that was broken."""
        self._referee()
        for entry in self.entries:
            self._see(entry)
        self._check_ledger()
        for agent in self.world.agents:
            self.faults += agent.silent
            self._check_words(agent)
        return self.faults

    def _find(self, what: str, entry: Entry) -> None:
        self.faults.append(f"{what}: row {entry.rid}, write {entry.seq} of {entry.who}")

    def _referee(self) -> None:
        referee = Referee(Machine(people=self.people | {"owner"}))
        for entry in self.entries:
            referee.see(entry)
        referee.end(self.world.time.now)
        self.faults += map(str, referee.violations)
        self.counts: Counter[str] = referee.counts

    # the writes

    def _see(self, entry: Entry) -> None:
        before, after = entry.before, entry.after
        if before is None or after is None:
            return
        if entry.who in self.people:
            changed = {name for name in after if after[name] != before[name]}
            self._edited[entry.rid] |= changed
            self._set_back += (before["state"], after["state"]) == ("hold", "new")
            return
        step = (before["state"], after["state"])
        judge = {
            ("new", "claimed"): self._claim,
            ("claimed", "done"): self._done,
            ("claimed", "failed"): self._failed,
            ("claimed", "new"): self._back,
            ("new", "failed"): self._rejected,
        }.get(step)
        if judge is not None:
            judge(entry, before, after)
        self._touched[entry.rid] = entry.at

    def _claim(self, entry: Entry, before: Row, after: Row) -> None:
        self.written[entry.who, "claimed"].append(entry.rid)
        self._claimed[entry.rid, after["owner"]] = entry
        self._edited[entry.rid].clear()
        due = before["retry_at"]
        if due is not None and _seconds(self.world, due) > entry.at + 0.001:
            self._find("claimed before its retry_at", entry)
        if after["attempts"] > MAX_ATTEMPTS:
            self._find("claimed beyond its attempts", entry)

    def _done(self, entry: Entry, before: Row, after: Row) -> None:
        self.written[entry.who, "completed"].append(entry.rid)
        self._in_time(entry, before)
        worked = self._worked.get((entry.rid, before["owner"]))
        if not worked:
            self._find("done without working", entry)
            return
        one = worked[0]
        if one.error:
            self._find("done, though its work failed", entry)
        if one.until > entry.at + 0.001:
            self._find("done before its work was over", entry)
        for name, said in one.digests.items():
            if name not in self._edited[entry.rid] and digest(after[name]) != said:
                self._find(f"done without the {name} of its work", entry)
        for name in after:
            free = name in _MACHINE or name == "retry_at" or name in one.digests
            if not free and after[name] != before[name]:
                self._find(f"done with a {name} that no work asked for", entry)

    def _failed(self, entry: Entry, before: Row, after: Row) -> None:
        if after["owner"] is None:
            # given up by a rescue, at its last attempt
            self.written[entry.who, "rescued"].append(entry.rid)
            if after["attempts"] < MAX_ATTEMPTS:
                self._find("given up before its last attempt", entry)
            return
        self.written[entry.who, "failed"].append(entry.rid)
        self._in_time(entry, before)
        own = self._own_failure(entry, before, str(after["error"]))
        if own and after["attempts"] < MAX_ATTEMPTS:
            self._find("failed before its last attempt", entry)

    def _own_failure(self, entry: Entry, before: Row, text: str) -> bool:
        worked = self._worked.get((entry.rid, before["owner"]), [])
        own = any(one.error and one.error in text for one in worked)
        if not own and not (self._excused and self._excused in text):
            self._find(f"failed by another's fault ({text[:80]})", entry)
        return own

    def _rejected(self, entry: Entry, before: Row, after: Row) -> None:
        self.written[entry.who, "failed"].append(entry.rid)
        if not (self._excused and self._excused in str(after["error"])):
            self._find("failed without a claim", entry)

    def _back(self, entry: Entry, before: Row, after: Row) -> None:
        claim = self._claimed.get((entry.rid, before["owner"]))
        if claim is None or claim.who != entry.who:
            self.written[entry.who, "rescued"].append(entry.rid)
        elif after["retry_at"] != before["retry_at"]:
            self.written[entry.who, "retried"].append(entry.rid)
            self._own_failure(entry, before, str(after["error"]))
        elif after["attempts"] < before["attempts"]:
            self.written[entry.who, "released"].append(entry.rid)
        else:
            self.written[entry.who, "rescued"].append(entry.rid)

    def _in_time(self, entry: Entry, before: Row) -> None:
        lease_s = float(str(before["owner"]).rpartition("~")[2] or "inf")
        if entry.at - self._touched[entry.rid] > lease_s + SLACK_S:
            self._find("finished after its lease was over", entry)

    # the ledger

    def _check_ledger(self) -> None:
        for (rid, token), worked in self._worked.items():
            claim = self._claimed.get((rid, token))
            for one in worked:
                text = f"row {rid}, attempt {one.attempt} of {one.agent}"
                if claim is None or claim.seq > one.seq or claim.who != one.agent:
                    self.faults.append(f"worked without having won the row: {text}")
                if one.attempt > MAX_ATTEMPTS:
                    self.faults.append(f"worked beyond its attempts: {text}")
            if len(worked) > 1:
                self.faults.append(f"worked twice under one claim: row {rid}")

    # the agents' own words

    def _check_words(self, agent: SteppedAgent) -> None:
        """What an agent said it did it did; what it did it said, or said it lost it."""
        status, name = agent.agent.status, agent.name
        said = {
            "claimed": status.claimed,
            "completed": status.completed,
            "failed": status.failed,
            "retried": status.retried,
            "released": status.released,
            "rescued": status.rescued,
        }
        for kind, n in said.items():
            wrote = len(self.written[name, kind])
            silent = wrote - n
            # a row that a person set back looks as a release would have left it
            alike = self._set_back if kind == "released" else 0
            if n > wrote + alike:
                self.faults.append(f"{name} said {n} {kind}, wrote {wrote}")
            elif silent > status.lost + status.unknown and name not in self._silent:
                self.faults.append(f"{name} wrote {wrote} {kind}, said {n}")
        if len(agent.told("completed")) != status.completed:
            self.faults.append(f"{name} told of other completions than it counts")

    def left_so_far(self, *agents: SteppedAgent) -> list[str]:
        """The rows that are claimed by agents' tokens, as the writes are by now."""
        names = {agent.name for agent in agents}
        rows, claimed = {}, {}
        for entry in self.entries:
            rows[entry.rid] = entry.after or {}
            if entry.after and entry.after["state"] == "claimed":
                claimed.setdefault((entry.rid, entry.after["owner"]), entry.who)
        return [
            rid
            for rid, row in rows.items()
            if row.get("state") == "claimed"
            and claimed.get((rid, row["owner"])) in names
        ]


def neglected(judge: Judge, agent: SteppedAgent, lease_s: float) -> Iterator[str]:
    """Claims that an agent let grow old while it ran, and did not say it lost."""
    lost = agent.told("lost")
    last: dict[str, tuple[float, str]] = {}
    ended = agent.ended or judge.world.time.now
    for entry in judge.entries:
        before, seen = entry.before, last.pop(entry.rid, None)
        if seen and before and entry.who != agent.name and before["owner"] == seen[1]:
            age_s = min(entry.at, ended) - seen[0]
            told = entry.rid in lost or entry.who in judge.people
            if age_s > lease_s * 0.9 and not told:
                yield f"{agent.name} neglected row {entry.rid} for {age_s:.0f} s"
        after = entry.after
        if entry.who == agent.name and after and after["state"] == "claimed":
            last[entry.rid] = (entry.at, str(after["owner"]))


def _seconds(world: World, text: str) -> float:
    from ermpoll.catalog.clock import parse_time

    at = parse_time(text)
    assert at is not None
    return at.timestamp() - BEGUN.timestamp() + world.time.begun


def final_states(world: World) -> Mapping[str, Any]:
    """The state of each row, by its code."""
    rows = world.read(f"attribute/{TABLE}/code,state")
    return {row["code"]: row["state"] for row in rows}

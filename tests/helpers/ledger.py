"""Lets the judges of the chaos tests read a virtual world."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from tests.end_to_end.chaos.court import Court
from tests.end_to_end.chaos.liveness import Life
from tests.end_to_end.chaos.record import Entry, Machine
from tests.end_to_end.chaos.table import TABLE
from tests.end_to_end.chaos.words import COUNTS, Said
from tests.helpers.stepping import BEGUN
from tests.helpers.virtual_world import SteppedAgent, World

MAX_ATTEMPTS = 3
#: What an agent may leave alone, beside the longest work of its neighbours.
PATIENCE_S = 400.0


def entries_of(world: World) -> list[Entry]:
    """Every row of every committed write, in order."""
    return [
        Entry(seq=seq, at=at / 1e6, who=who, rid=rid, before=old, after=new)
        for seq, at, _, _, _, who, _, rows in world.store.read_log(1, 1_000_000)
        for _, rid, old, new in rows
    ]


class Judge:
    """Reads a world when all is over; `judge` lists what was broken.

    Parameters
    ----------
    excused
        What a row's error may hold where no work of it failed: a refusal of the
        catalog that the test itself asked for.
    silent
        Agents that can't have told all they did: their processes were gone.
    alive
        Agents that nothing kept from acting for all of the time.
    """

    def __init__(
        self,
        world: World,
        *,
        people: frozenset[str] = frozenset({"person"}),
        excused: str = "",
        silent: Collection[str] = (),
        alive: Collection[SteppedAgent] = (),
    ) -> None:
        self.world, self._silent, self._alive = world, silent, alive
        self.entries = entries_of(world)
        self._began = BEGUN.timestamp() - world.time.begun
        self._court = Court(
            Machine(people=people | {"owner"}, max_attempts=MAX_ATTEMPTS),
            ledger=[
                replace(one, at=one.at + self._began, until=one.until + self._began)
                for one in world.ledger
            ],
            said=[self._said(agent) for agent in world.agents],
            lives=[self._life(agent) for agent in world.agents],
            excused=excused,
            patience_s=PATIENCE_S,
        )

    def judge(self) -> list[str]:
        """Find all that was broken."""
        for entry in self.entries:
            self._court.see(entry)
        found = self._court.end(self.world.time.now + self._began)
        silent = [line for agent in self.world.agents for line in agent.silent]
        return [*map(str, found), *silent]

    @property
    def counts(self) -> Counter[str]:
        return self._court.counts

    def _said(self, agent: SteppedAgent) -> Said:
        status, whole = agent.agent.status, agent.name not in self._silent
        names = [name for counts in COUNTS.values() for name in counts]
        counts = {name: getattr(status, name) for name in (*names, "lost", "unknown")}
        told = Counter((one.kind, one.rid or "") for one in agent.events)
        return Said(
            name=agent.name,
            told=told,
            counts=counts if whole else None,
            stopped=whole and agent.ended is not None,
            at=(agent.ended or 0.0) + self._began,
        )

    def _life(self, agent: SteppedAgent) -> Life:
        ended = self.world.time.now if agent.ended is None else agent.ended
        began, ended = agent.began + self._began, ended + self._began
        lost = frozenset(agent.told("lost"))
        away = () if agent in self._alive else ((began, ended),)
        return Life(name=agent.name, born=began, ended=ended, away=away, lost=lost)

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


def final_states(world: World) -> Mapping[str, Any]:
    """The state of each row, by its code."""
    rows = world.read(f"attribute/{TABLE}/code,state")
    return {row["code"]: row["state"] for row in rows}

"""How long rows waited and were worked on, by a sample that is walked back.

A sample costs a request for each time at which one of its rows was written; so it is
bound by rows and by requests, and says how many rows it is of.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ermpoll.catalog import paths
from ermpoll.catalog.clock import time_text
from ermpoll.errors import NoHistory
from ermpoll.history.machine import DeclaredMachine, RowPhase
from ermpoll.history.model_then import TablePast
from ermpoll.history.past import ONE_US, PastPeriod
from ermpoll.history.periods import sample_of
from ermpoll.history.versions import Version, version_of
from ermpoll.records import SYSTEM_COLUMNS


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Seconds that something took, of a sample of rows; zeros of an empty one."""

    #: Rows it is of, of so many that it speaks for.
    rows: int
    of: int
    #: The tenth, half and nine tenths of them took no longer than these.
    p10_s: float
    p50_s: float
    p90_s: float
    longest_s: float


def spread_of(seconds: Iterable[float], of: int) -> Spread:
    """Return how a sample of durations is spread."""
    found = sorted(seconds)

    def part(share: float) -> float:
        return (
            found[min(len(found) - 1, math.ceil(share * len(found)) - 1)]
            if found
            else 0.0
        )

    return Spread(
        rows=len(found),
        of=of,
        p10_s=part(0.1),
        p50_s=part(0.5),
        p90_s=part(0.9),
        longest_s=part(1.0),
    )


def read_spreads(
    table: TablePast,
    machine: DeclaredMachine,
    period: PastPeriod,
    most: int,
    requests: int,
) -> tuple[Spread, Spread]:
    """Return how long rows that were finished in a period waited and were worked on.

    Waiting is from the version that was claimed to the claim; working from there to
    the finish, renewals included.

    Parameters
    ----------
    most
        Rows at most.
    requests
        Requests at most; the write times that they are spent on are drawn by lot.
    """
    if most < 1 or requests < 1:
        return spread_of([], 0), spread_of([], 0)
    of, rows = _finished(table, machine, period, most)
    lives = _walk(table, machine, rows, requests)
    waits = [_seconds(one.ready, one.claim) for one in lives if one.ready]
    works = [_seconds(one.claim, one.finish) for one in lives]
    return spread_of(waits, of), spread_of(works, of)


def _finished(
    table: TablePast, machine: DeclaredMachine, period: PastPeriod, most: int
) -> tuple[int, list[Version]]:
    """Return how many rows were finished, and a sample of them, drawn by lot."""
    later = f"RMT::gt::{paths.literal(time_text(period.since))}"
    ended = paths.join(_not_under_way(machine), later)
    try:
        of = table.count(period.until, ended)
        only = sample_of(of, most)
        rows = table.rows(period.until, paths.join(ended, only), _columns(machine))
    except NoHistory:
        return 0, []
    versions = [version_of(row) for row in rows]
    done = [
        v for v in versions if machine.phase(v.row) in (RowPhase.DONE, RowPhase.FAILED)
    ]
    lot = random.Random(time_text(period.until))
    return of, lot.sample(done, min(most, len(done)))


def _not_under_way(machine: DeclaredMachine) -> str:
    open_ = paths.equals(machine.state, *machine.ready, machine.claimed)
    return f"!({open_})"


def _columns(machine: DeclaredMachine) -> tuple[str, ...]:
    own = (machine.state, machine.owner)
    return (*SYSTEM_COLUMNS, *(name for name in own if name))


def _seconds(one: Version, other: Version) -> float:
    return (other.at - one.at).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Life:
    """The end of a row's life: what was claimed, the claim, the finish."""

    #: None: it was not ready, or that can't be read.
    ready: Version | None
    claim: Version
    finish: Version


def _walk(
    table: TablePast, machine: DeclaredMachine, finished: list[Version], requests: int
) -> list[_Life]:
    """Walk rows back to before their claims, until the requests are spent."""
    past, end = table.past, table.past.requests + requests
    # what the rows of one write were before was mostly one write as well
    by_time: dict[datetime, list[Version]] = {}
    for version in finished:
        by_time.setdefault(version.at, []).append(version)
    lives: list[_Life] = []
    for number, versions in enumerate(by_time.values()):
        past.step(number, len(by_time), "how long rows took")
        walking = {version.rid: (version, version) for version in versions}
        while walking and past.requests < end:
            at = max(last.at for last, _ in walking.values())
            there = {
                rid: walking.pop(rid) for rid in [*walking] if walking[rid][0].at == at
            }
            for version in _before(table, machine, at, there):
                last, finish = there[version.rid]
                if machine.phase(version.row) is RowPhase.CLAIMED:
                    walking[version.rid] = (version, finish)
                elif last is not finish:
                    lives.append(_life(machine, version, last, finish))
    return lives


def _life(
    machine: DeclaredMachine, before: Version, claim: Version, finish: Version
) -> _Life:
    is_ready = machine.phase(before.row) is RowPhase.READY
    return _Life(ready=before if is_ready else None, claim=claim, finish=finish)


def _before(
    table: TablePast, machine: DeclaredMachine, at: datetime, rids: Iterable[str]
) -> list[Version]:
    try:
        rows = table.these(at - ONE_US, sorted(rids), _columns(machine))
    except NoHistory:
        return []
    return [version_of(row) for row in rows.values()]

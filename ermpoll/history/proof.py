"""Whether what happened was right: history, read independently, against the machine.

The rules are in `breaches`; here is what is read for them, and what comes of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ermpoll import render
from ermpoll.catalog import paths
from ermpoll.catalog.clock import time_text
from ermpoll.history.breaches import Breach, Finding, judge, may_miss, orphans
from ermpoll.history.machine import DeclaredMachine
from ermpoll.history.model_then import AROUND, TablePast
from ermpoll.history.past import Past, PastPeriod, When
from ermpoll.history.periods import MOST_ROWS, read_versions
from ermpoll.queue.reading.queries import Queries
from ermpoll.queue.table import QueueTable
from ermpoll.shown import Shown

if TYPE_CHECKING:
    from ermpoll.render.frames import DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof(Shown):
    """What an independent reading of history says of a queue.

    Its truth is that nothing was found, and that all of it could be read.

    Examples
    --------
    >>> proof = jobs.prove("1 min")
    >>> bool(proof), proof.findings
    (True, ())
    """

    jobs: QueueTable = field(repr=False, compare=False)
    period: PastPeriod
    findings: tuple[Finding, ...]
    #: Steps that were judged, of so many rows, with so many claims.
    steps: int
    rows: int
    claims: int
    #: Whether every version was read; else windows with repair, or a sample.
    exact: bool
    #: Rows read, of how many that changed; None: all.
    sampled: tuple[int, int] | None
    #: What should be known of the reading, in sentences.
    told: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict, repr=False)
    requests: int = 0
    #: Why part of the period could not be read, or "": then nothing is proven.
    unread: str = ""

    def __bool__(self) -> bool:
        return not (self.findings or self.unread)

    @property
    def by_breach(self) -> dict[str, int]:
        """How often each breach was found, in words; zeros too."""
        found = Counter(finding.breach for finding in self.findings)
        return {breach.value: found[breach] for breach in Breach}

    @property
    def how(self) -> str:
        """How it was read: every version, in windows, a sample, or not all of it."""
        if self.unread:
            return "not all of it could be read"
        if self.sampled:
            return "a sample of {:,} of {:,} rows".format(*self.sampled)
        if self.exact:
            return "every version"
        return "windows, and every version of rows that showed something"

    @property
    def frame(self) -> DataFrame:
        """One line a finding: at, RID, breach, by, detail."""
        from ermpoll.render import frames

        rows = [
            {
                "at": time_text(one.at),
                "RID": one.rid,
                "breach": one.breach.value,
                "by": self.names.get(one.by, one.by),
                "detail": one.detail,
            }
            for one in self.findings
        ]
        types = dict.fromkeys(("RID", "breach", "by", "detail"), "string")
        types["at"] = "datetime64[us, UTC]"
        return frames.frame(rows, ("at", "RID", "breach", "by", "detail"), types)

    def __str__(self) -> str:
        head = (
            f"{len(self.findings):,} of {self.steps:,} steps were not right: "
            f"{self.rows:,} rows, {self.claims:,} claims; {self.how}"
        )
        return "\n".join([head, *map(str, self.findings)])

    def _repr_html_(self) -> str:
        return render.proof(self)


def prove(
    jobs: QueueTable,
    since: When,
    until: When | None = None,
    *,
    windows: int | None = None,
    most_rows: int = MOST_ROWS,
    **reading: Any,
) -> Proof:
    """Hold a period of history against the declared machine; see `Queue.prove`."""
    past = Past(jobs.catalog, **reading)
    period = past.period(since, until)
    machine = DeclaredMachine.of(jobs.definition)
    table = TablePast(past, jobs.definition)
    versions = read_versions(
        table,
        period,
        windows=windows,
        gap=lambda before, after: may_miss(machine, before, after),
        most_rows=most_rows,
    )
    verdict = judge(machine, versions)
    found: Sequence[Finding] = verdict.findings
    if not versions.exact and found:
        found = _again(table, machine, period, {finding.rid for finding in found})
    # also those that nothing has touched since before the period
    held = table.ask(period.until, lambda then: Queries(then.definition).claimed())
    held = [row for row in held if row["RID"] not in verdict.tokenless]
    findings = (*found, *orphans(machine, held, period.until))
    return Proof(
        jobs=jobs,
        period=period,
        findings=findings,
        steps=verdict.steps,
        rows=len(versions.by_rid),
        claims=verdict.claims,
        exact=versions.exact,
        sampled=versions.sampled,
        names=past.names(finding.by for finding in findings),
        told=past.told,
        requests=past.requests,
        unread=versions.unread,
    )


def _again(
    table: TablePast, machine: DeclaredMachine, period: PastPeriod, rids: set[str]
) -> list[Finding]:
    """Judge rows by every version of theirs: what was found may lack one between."""
    found: list[Finding] = []
    for part in paths.parts(sorted(rids), AROUND + paths.LONGEST_COLUMNS):
        only = paths.equals("RID", *part)
        found += judge(machine, read_versions(table, period, only=only)).findings
    return found

"""What comes of a queue's acts: Plan, Outcome, Claim.

They keep what was read or written and draw themselves as static HTML. What they can
do they are handed: `Acts`. Only who asks for a frame pays for pandas: half a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ermpoll import render
from ermpoll.errors import ErmpollError, UsageError
from ermpoll.queue.plan import apart, copied
from ermpoll.queue.table import QueueTable
from ermpoll.queue.transitions import Held, Transition
from ermpoll.records import JSON, Change, PlannedPut
from ermpoll.shown import Shown

if TYPE_CHECKING:
    from ermpoll.render.frames import DataFrame

#: What the package asks of these, and `dir` does not offer to users.
_INTERNAL = frozenset(("acts", "back", "held", "hold", "holding", "settle"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Acts:
    """What the objects here can do with their queue."""

    #: Write steps of rows, under a name: "apply", "undo".
    apply: Callable[[QueueTable, str, Sequence[Transition]], Outcome]
    #: Plan steps of rows, under such a name; nothing is written.
    plan: Callable[[QueueTable, str, Sequence[Transition]], Plan]
    #: Give back what a claim has not finished.
    release: Callable[[QueueTable, Claim], Outcome]


class Plan(Shown):
    """A guarded update that was decided and not yet sent. Sealed: it can't change.

    Attributes
    ----------
    changes
        One `Change` per row looked at, in order, also of rows that stay as they are.
    puts
        Exactly what `apply` sends. A PUT that the catalog refuses for one of its
        rows is sent again in halves, in which claims have tokens of their own.
    applied
        The Outcome, once applied.

    Examples
    --------
    >>> plan = jobs.plan(lambda row: {"Priority": "high"} if row["Bytes"] > 4e9 else {})
    >>> plan.problems[0].reason
    "Priority: 'high' ..."
    >>> plan = jobs.plan(lambda row: {"Processing_Status": "hold"}, limit=2)
    >>> plan.columns, len(plan.puts), list(plan.frame.columns)
    (('Processing_Status',), 1, ['RID', 'column', 'before', 'after'])
    >>> plan.apply()
    <Outcome of apply on Imaging:...: 2 won>
    """

    def __init__(
        self,
        jobs: QueueTable,
        action: str,
        steps: Sequence[Transition],
        puts: Sequence[PlannedPut],
        acts: Acts,
    ) -> None:
        self.jobs = jobs
        # what is shown is apart from what is sent: it may be scribbled on
        self.changes: tuple[Change, ...] = tuple(apart(step.change) for step in steps)
        self.puts = tuple(puts)
        self.applied: Outcome | None = None
        self._action = action
        self._steps = tuple(step for step in steps if step.change.kind == "changed")
        self._acts = acts

    @property
    def problems(self) -> tuple[Change, ...]:
        """The rows that are not sent because something is wrong with them."""
        return tuple(c for c in self.changes if c.kind in ("problem", "failed"))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that some row changes, in the table's order."""
        named = {name for change in self.changes for name in change.after}
        return tuple(
            name for name in self.jobs.definition.table.columns if name in named
        )

    @property
    def frame(self) -> DataFrame:
        """One line per changed cell: columns RID, column, before, after."""
        from ermpoll.render import frames

        return frames.changes_frame(self.changes)

    def apply(self) -> Outcome:
        """Send the PUTs that `puts` shows, and nothing else.

        Returns
        -------
        Outcome
            Rows that somebody changed since they were read are left alone and
            listed as lost, with what changed.

        Raises
        ------
        UsageError
            It was applied before: make a new plan.
        CatalogError
            The catalog refuses all of it, or can't be reached; nothing was written.
            Once a row was written, the error is in the outcome instead.
        """
        if self.applied is not None:
            raise UsageError(
                "expected a plan that was not applied yet; make a new one with plan()"
            )
        self.applied = self._acts.apply(self.jobs, self._action, self._steps)
        return self.applied

    def __repr__(self) -> str:
        counts: dict[str, int] = {}
        for change in self.changes:
            counts[change.kind] = counts.get(change.kind, 0) + 1
        told = ", ".join(f"{n} {kind}" for kind, n in counts.items()) or "no rows"
        state = "applied" if self.applied else "nothing written yet"
        return f"<Plan for {self.jobs.title}: {told}; {state}>"

    def _repr_html_(self) -> str:
        return render.plan(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Shown):
    """What became of the rows of an act.

    Examples
    --------
    >>> hold = {"Processing_Status": "hold"}
    >>> outcome = jobs.plan(lambda row: hold, limit=2).apply()
    >>> outcome.won == tuple(outcome.frame["RID"])
    True
    >>> outcome.undo()
    <Plan for Imaging:...: 2 changed; nothing written yet>
    >>> jobs.plan(limit=1).apply().claim
    <Claim of 1 rows of Imaging:..., 1 unfinished>
    """

    jobs: QueueTable = field(repr=False, compare=False)
    #: "apply", "claim", "complete", "fail", "release", "renew", "retry", "rescue",
    #: "undo".
    action: str
    #: RIDs of rows that were written.
    won: tuple[str, ...] = ()
    #: RIDs of rows that were not written.
    lost: tuple[str, ...] = ()
    #: RIDs of rows of which it isn't known: the answer never came.
    unknown: tuple[str, ...] = ()
    #: Rows of the claim that were not named and stay claimed.
    still_claimed: tuple[str, ...] = ()
    #: Written, though somebody had edited the row meanwhile.
    edited: tuple[str, ...] = ()
    #: ``{RID: why}`` of lost and unknown rows.
    reasons: Mapping[str, str] = field(default_factory=dict)
    #: ``{RID: {column: (as read, as it is now)}}`` of lost rows.
    meanwhile: Mapping[str, Mapping[str, tuple[JSON, JSON]]] = field(
        default_factory=dict, repr=False
    )
    #: ``{RID: who changed it last}`` of lost rows.
    by: Mapping[str, str] = field(default_factory=dict)
    #: ``{RID: columns}`` that keep what a person wrote there during the work.
    kept: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: ``{RID: the server's reason}`` of those lost rows that it refuses.
    refused: Mapping[str, str] = field(default_factory=dict)
    #: Why some rows were not sent, after others were written; None otherwise.
    error: ErmpollError | None = field(default=None, compare=False)
    #: The steps that set it all back.
    back: Sequence[Transition] = field(default=(), repr=False, compare=False)
    #: How the rows are held that were claimed.
    held: Mapping[str, Held] = field(default_factory=dict, repr=False, compare=False)
    acts: Acts = field(repr=False, compare=False)

    @property
    def claim(self) -> Claim:
        """The rows that were claimed, to be finished; maybe none."""
        return Claim(self)

    @property
    def frame(self) -> DataFrame:
        """One line a row: RID, what became of it, why."""
        from ermpoll.render import frames

        return frames.outcome_frame(self)

    def undo(self) -> Plan:
        """Plan the way back: the old values of what this act wrote, guarded.

        A row that was touched since is left alone when the plan is applied.
        """
        return self.acts.plan(self.jobs, "undo", self.back)

    def __dir__(self) -> list[str]:
        return [name for name in object.__dir__(self) if name not in _INTERNAL]

    def __repr__(self) -> str:
        parts = [f"{len(self.won)} won"]
        for name in ("lost", "unknown", "still_claimed", "edited", "kept"):
            if getattr(self, name):
                parts.append(f"{len(getattr(self, name))} {name.replace('_', ' ')}")
        return f"<Outcome of {self.action} on {self.jobs.title}: {', '.join(parts)}>"

    def _repr_html_(self) -> str:
        return render.outcome(self)


class Claim(Shown):
    """Rows that this worker owns. As a ``with`` block it releases what is unfinished.

    Attributes
    ----------
    token
        The text that proves the claim, or None where the table has no owner column.
        Where a claim took more than one PUT each row has its own, in its owner
        column; this is the first.
    outcome
        What became of the rows that the claim asked for.
    error
        Why some of them were not asked for, after others were won; None otherwise.
    refused
        ``{RID: reason}`` of candidates met that the catalog doesn't let this login
        write; `Queue.refused` lists them.

    Examples
    --------
    >>> with jobs.claim(2) as claim:
    ...     for row in claim:
    ...         done = jobs.complete(claim, {row["RID"]: {"Priority": 1}})
    ...         break
    >>> len(claim), len(claim.rows), len(claim.rids), len(claim.frame)
    (2, 2, 2, 2)
    >>> claim.unfinished  # given back at the end of the block
    ()
    """

    def __init__(self, outcome: Outcome) -> None:
        self.jobs = outcome.jobs
        self.outcome = outcome
        self.error = outcome.error
        self.refused = dict(outcome.refused)
        self.token = next((one.token for one in outcome.held.values()), None)
        self._rows = {rid: one.row for rid, one in outcome.held.items()}
        self._open = dict(outcome.held)

    def __iter__(self) -> Iterator[dict[str, JSON]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def rows(self) -> list[dict[str, JSON]]:
        """Copies of the rows as claimed, in the queue's order; finished ones too."""
        return [copied(row) for row in self._rows.values()]

    @property
    def rids(self) -> tuple[str, ...]:
        """Their RIDs."""
        return tuple(self._rows)

    @property
    def unfinished(self) -> tuple[str, ...]:
        """RIDs that are neither completed, failed nor given back."""
        return tuple(self._open)

    @property
    def frame(self) -> DataFrame:
        """The rows as a DataFrame: one line a row, real dtypes, RID as text."""
        from ermpoll.render import frames

        return frames.frame(self.rows, self.jobs.columns, self.jobs.types)

    def holding(self, rid: str) -> Held:
        """Return how a row is held.

        Raises
        ------
        UsageError
            This claim does not hold it, or not any more.
        """
        if rid not in self._open:
            state = "is finished" if rid in self._rows else "is not part of this claim"
            raise UsageError(f"expected a row that this claim holds; {rid} {state}")
        return self._open[rid]

    def settle(self, *rids: str) -> None:
        """Take note of rows that are held no more."""
        for rid in rids:
            self._open.pop(rid, None)

    def hold(self, held: Held) -> None:
        """Take note of a row that is held anew."""
        self._open[held.rid] = held

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *_: object) -> None:
        if self._open:
            self.outcome.acts.release(self.jobs, self)

    def __dir__(self) -> list[str]:
        return [name for name in object.__dir__(self) if name not in _INTERNAL]

    def __repr__(self) -> str:
        refused = f", {len(self.refused)} refused" if self.refused else ""
        return (
            f"<Claim of {len(self)} rows of {self.jobs.title}, "
            f"{len(self._open)} unfinished{refused}>"
        )

    def _repr_html_(self) -> str:
        return render.claim(self)


def check_claim(claim: object) -> None:
    """Check that it is what `Queue.claim` returned; UsageError if it isn't."""
    if not isinstance(claim, Claim):
        raise UsageError(
            "claim: expected what claim() returned, found "
            f"{type(claim).__name__}; only who claimed rows can finish or give them "
            "back: keep it, as in `with jobs.claim(5) as claim`, or rescue() the rows"
        )

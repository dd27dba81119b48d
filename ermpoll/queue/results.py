"""What a queue's users hold: Candidates, Plan, Claim, Outcome.

They keep what was read or written and draw themselves as static HTML; what they do
is the queue's doing. Only who asks for a frame pays for pandas: half a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from ermpoll import render
from ermpoll.errors import UsageError
from ermpoll.queue.plan import copied, pack
from ermpoll.queue.transitions import Held, Transition
from ermpoll.records import JSON, Change, PlannedPut

if TYPE_CHECKING:
    import pandas as pd

    from ermpoll.queue.queue import Queue

Kind: TypeAlias = Literal["candidates", "held", "failures", "stale"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Rows of a queue as they were read; iterating gives dicts."""

    jobs: Queue = field(repr=False, compare=False)
    kind: Kind = "candidates"
    rows: list[dict[str, JSON]] = field(repr=False)
    #: True when the catalog has more of them than were asked for.
    more: bool = False

    def __iter__(self) -> Iterator[dict[str, JSON]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def rids(self) -> tuple[str, ...]:
        """Their RIDs, in order."""
        return tuple(str(row["RID"]) for row in self.rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns shown, in order."""
        return self.jobs.shown_columns(self.kind)

    @property
    def frame(self) -> pd.DataFrame:
        """The rows as a DataFrame: one line a row, real dtypes, RID as text."""
        from ermpoll.render import frames

        return frames.frame(self.rows, self.columns, self.jobs.types)

    def __repr__(self) -> str:
        more = " of more" if self.more else ""
        return f"<{len(self)}{more} {self.kind} of {self.jobs.title}>"

    def _repr_html_(self) -> str:
        return render.candidates(self)


class Plan:
    """A guarded update that was decided and not yet sent. Sealed: it can't change.

    Attributes
    ----------
    changes
        One `Change` per row looked at, in order, also of rows that stay as they are.
    puts
        Exactly what `apply` sends.
    applied
        The Outcome, once applied.
    """

    def __init__(
        self,
        jobs: Queue,
        moves: tuple[Transition, ...],
        action: Literal["apply", "undo"],
    ) -> None:
        self.jobs = jobs
        # what is shown is apart from what is sent: a row may be scribbled on
        self.changes: tuple[Change, ...] = tuple(_apart(move.change) for move in moves)
        self.puts: tuple[PlannedPut, ...] = pack(
            (_apart(move.change) for move in moves), jobs.spec.table
        )
        self.applied: Outcome | None = None
        self._action = action
        self._moves = tuple(m for m in moves if m.change.kind == "changed")

    @property
    def problems(self) -> tuple[Change, ...]:
        """The rows that are not sent because something is wrong with them."""
        return tuple(c for c in self.changes if c.kind in ("problem", "failed"))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that some row changes, in the table's order."""
        named = {name for change in self.changes for name in change.after}
        return tuple(name for name in self.jobs.spec.table.columns if name in named)

    @property
    def frame(self) -> pd.DataFrame:
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
        """
        if self.applied is not None:
            raise UsageError(
                "expected a plan that was not applied yet; make a new one with plan()"
            )
        self.applied = self.jobs.carry_out(self._action, self._moves)
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
class Outcome:
    """What became of the rows of an act."""

    jobs: Queue = field(repr=False, compare=False)
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
    #: The rows as written, to finish or undo.
    written: Mapping[str, Transition] = field(
        default_factory=dict, repr=False, compare=False
    )
    versions: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    #: How the rows are held that a plan of claims has won.
    held: Mapping[str, Held] = field(default_factory=dict, repr=False, compare=False)

    @property
    def claim(self) -> Claim:
        """The rows that a plan of claims has won, to be finished; maybe none."""
        return Claim(self.jobs, self.held, self)

    @property
    def frame(self) -> pd.DataFrame:
        """One line a row: RID, what became of it, why."""
        from ermpoll.render import frames

        return frames.outcome_frame(self)

    def undo(self) -> Plan:
        """Plan the way back: the old values of what this act wrote, guarded.

        A row that was touched since is left alone when the plan is applied.
        """
        return self.jobs.plan_undo(self)

    def __repr__(self) -> str:
        parts = [f"{len(self.won)} won"]
        for name in ("lost", "unknown", "still_claimed", "edited"):
            if getattr(self, name):
                parts.append(f"{len(getattr(self, name))} {name.replace('_', ' ')}")
        return f"<Outcome of {self.action} on {self.jobs.title}: {', '.join(parts)}>"

    def _repr_html_(self) -> str:
        return render.outcome(self)


class Claim:
    """Rows that this worker owns. As a ``with`` block it releases what is unfinished.

    Attributes
    ----------
    token
        The text that proves the claim, or None where the table has no owner column.
        Where a claim took more than one PUT each row has its own, in its owner
        column; this is the first.
    outcome
        What became of the rows that the claim asked for.
    """

    def __init__(self, jobs: Queue, held: Mapping[str, Held], outcome: Outcome) -> None:
        self.jobs = jobs
        self.outcome = outcome
        self.token = next((one.token for one in held.values()), None)
        self._rows = {rid: one.row for rid, one in held.items()}
        self._open = dict(held)

    def __iter__(self) -> Iterator[dict[str, JSON]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def rows(self) -> list[dict[str, JSON]]:
        """The rows as claimed; finished ones included. Copies, all the way down."""
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
    def frame(self) -> pd.DataFrame:
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

    def settle(self, held: Held | None, *rids: str) -> None:
        """Take note of rows that are finished, or of a row that is held anew."""
        for rid in rids:
            self._open.pop(rid, None)
        if held is not None:
            self._open[held.rid] = held

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *_: object) -> None:
        if self._open:
            self.jobs.release(self)

    def __repr__(self) -> str:
        return (
            f"<Claim of {len(self)} rows of {self.jobs.title}, "
            f"{len(self._open)} unfinished>"
        )

    def _repr_html_(self) -> str:
        return render.claim(self)


def _apart(change: Change) -> Change:
    return replace(change, before=copied(change.before), after=copied(change.after))


def rids_of(rows: object) -> tuple[str, ...]:
    """Return the RIDs of what a user hands over as rows.

    A RID, a list of RIDs or of row dicts, a frame with a RID column or index,
    Candidates, a Claim, or a preview with a selection.

    Raises
    ------
    UsageError
        It is none of these.
    """
    for take in (_from_one, _from_object, _from_frame, _from_list):
        rids = take(rows)
        if rids is not None:
            # a RID stands once, in the order it was named first
            return tuple(dict.fromkeys(rids))
    raise UsageError(
        "expected rows as RIDs, row dicts, a frame with a RID column, Candidates, a "
        f"Claim or a preview; found {type(rows).__name__}"
    )


def _from_one(rows: object) -> list[str] | None:
    rid = _rid_of(rows) if isinstance(rows, str | Mapping) else None
    return [rid] if rid is not None else None


def _from_object(rows: object) -> list[str] | None:
    for name in ("selected", "rids"):
        found = getattr(rows, name, None)
        if isinstance(found, tuple | list):
            return [str(rid) for rid in found]
    return None


def _from_frame(rows: object) -> list[str] | None:
    columns = getattr(rows, "columns", None)
    if columns is None or not hasattr(rows, "index"):
        return None
    if "RID" in columns:
        return [str(rid) for rid in rows["RID"]]  # type: ignore[index]
    if getattr(rows.index, "name", None) == "RID":
        return [str(rid) for rid in rows.index]
    raise UsageError(
        f"expected a frame with a RID column, found the columns {list(columns)[:12]}"
    )


def _from_list(rows: object) -> list[str] | None:
    if isinstance(rows, Mapping):
        return None
    try:
        items = list(rows)  # type: ignore[call-overload]
    except TypeError:
        return None
    rids = [_rid_of(item) for item in items]
    return None if None in rids else [str(rid) for rid in rids]


def _rid_of(item: object) -> str | None:
    if isinstance(item, str):
        return item
    if isinstance(item, Mapping):
        return str(item["RID"]) if "RID" in item else None
    rid = getattr(item, "rid", None)
    return str(rid) if rid is not None else None

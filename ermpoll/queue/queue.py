"""The queue: a table, its state column and the words in it.

The one place that writes data URLs for claiming. It reads the table's model once
and checks what it is told; see `spec`, `queries`, `moves` for the parts.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ermpoll.catalog import paths
from ermpoll.catalog.client import Catalog
from ermpoll.catalog.model import Column, read_table
from ermpoll.errors import UsageError
from ermpoll.queue import explain, operations, transitions
from ermpoll.queue.definition import QueueDefinition, check, words_of
from ermpoll.queue.queries import Queries
from ermpoll.queue.results import Candidates, Claim, Kind, Outcome, Plan, rids_of
from ermpoll.queue.selection import Selector, tokens_of
from ermpoll.queue.tokens import worker_name
from ermpoll.queue.transitions import Transition
from ermpoll.queue.validation import check_query, check_words
from ermpoll.queue.writer import GuardedWriter, read_rows
from ermpoll.records import Change, Row, Transform


class Queue:
    """A table to take jobs from.

    Parameters
    ----------
    catalog
        From `ermpoll.connect`.
    table
        ``Schema:Table``, or a bare name that is unique in the catalog.
    state
        The column that says what happens next.
    ready
        The word that makes a row a candidate, a list of such words, or None for
        NULL.
    claimed, done, failed
        The other words. ``failed`` may hold ``{error}``: ``"error: {error}"``.
    where
        ERMrest filter text that candidates satisfy as well.
    order
        What is taken first: ``"priority::desc::,RCT"``; RID decides ties.
    path
        A whole entity path instead of ``where``: ``M:=S:T/.../$M``. It ends in the
        table. The ready filter is added to it.
    columns
        What is fetched and shown, in order; None for all.
    owner, error, attempts, retry_at
        Names of optional columns: who holds the row (text), why it failed (text),
        how often it was tried (integer), when it may be tried again (timestamptz).
    lease_s
        Seconds that a claim counts without being renewed.
    max_attempts
        How often a row is tried, where there is an attempts column.

    Raises
    ------
    UsageError
        A table, column or word that isn't there; a column of the wrong type; a
        claim that would not leave the query.
    CatalogError
        The catalog can't be reached, or refuses this login.

    Notes
    -----
    Without an owner column the only guard of a claim is the row's version: a
    person's edit of a claimed row breaks it, and the row is then reported, not
    written.
    """

    def __init__(
        self,
        catalog: Catalog,
        table: str,
        *,
        state: str = "state",
        ready: str | Sequence[str | None] | None = "actionable",
        claimed: str = "claimed",
        done: str = "complete",
        failed: str = "failed",
        where: str = "",
        order: str = "RID",
        path: str | None = None,
        columns: Sequence[str] | None = None,
        owner: str | None = None,
        error: str | None = None,
        attempts: str | None = None,
        retry_at: str | None = None,
        lease_s: float = 600,
        max_attempts: int = 3,
    ) -> None:
        self.catalog = catalog
        self.spec = QueueDefinition(
            table=read_table(catalog, table),
            state=state,
            ready=words_of(ready),
            claimed=claimed,
            done=done,
            failed=failed,
            where=where.strip("/"),
            order=paths.Order(order),
            path=path.strip("/").removeprefix("entity/") if path else None,
            columns=tuple(columns) if columns is not None else None,
            owner=owner,
            error=error,
            attempts=attempts,
            retry_at=retry_at,
            lease_s=lease_s,
            max_attempts=max_attempts,
        )
        check(self.spec)
        self.queries = Queries(self.spec)
        check_words(catalog, self.spec)
        check_query(catalog, self.spec, self.queries)
        self.chooser = Selector(self.spec, self.queries, catalog)

    def __repr__(self) -> str:
        return f"<Queue {self.title} at {self.catalog.url}>"

    # what it is

    @property
    def title(self) -> str:
        """The table's name: ``Schema:Table``."""
        return self.spec.table.label

    table = title

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns shown, in order."""
        return self.shown_columns("candidates")

    def shown_columns(self, kind: Kind) -> tuple[str, ...]:
        """Return the columns shown for candidates, held, failed or stale rows."""
        spec = self.spec
        if spec.columns is None:
            return tuple(spec.table.columns)
        more: tuple[str | None, ...] = {
            "held": (spec.owner, "RMT", "RMB"),
            "stale": (spec.owner, "RMT", "RMB"),
            "failures": (spec.state, spec.error, spec.attempts, "RMT"),
        }.get(kind, ())
        names = ("RID", *spec.columns, *(name for name in more if name))
        return tuple(dict.fromkeys(names))

    @property
    def types(self) -> Mapping[str, str]:
        """The pandas type of each column of the table, by name."""
        columns: Mapping[str, Column] = self.spec.table.columns
        return {name: column.dtype for name, column in columns.items()}

    @property
    def state(self) -> str:
        """The state column."""
        return self.spec.state

    @property
    def owner(self) -> str | None:
        """The owner column, or None."""
        return self.spec.owner

    @property
    def attempts(self) -> str | None:
        """The attempts column, or None."""
        return self.spec.attempts

    @property
    def ready(self) -> tuple[str | None, ...]:
        """The words that make a row a candidate; None is NULL."""
        return self.spec.ready

    @property
    def failed_label(self) -> str:
        """What failed rows are called in counts."""
        return self.spec.failed_label

    @property
    def writable(self) -> bool:
        """Whether acts can be carried out: see ``why_not_writable``."""
        return not self.why_not_writable

    @property
    def why_not_writable(self) -> str:
        """Why nothing can be written here, in words; empty when it can."""
        if self.catalog.read_only:
            return "the catalog was connected read-only"
        if self.spec.table.may_update is False:
            return f"this login has no right to update {self.title}"
        return ""

    def link(self, rid: str) -> str | None:
        """Return the address of a row's page in Chaise."""
        server, _, number = self.catalog.url.partition("/ermrest/catalog/")
        table = self.spec.table.path
        return f"{server}/chaise/record/#{number}/{table}/RID={paths.quote(rid)}"

    # reading

    def candidates(self, limit: int = 50) -> Candidates:
        """Read the rows that the next claim would take, in its order.

        Parameters
        ----------
        limit
            Rows at most; ``more`` says whether there are others.
        """
        _check_limit(limit)
        return self._read(
            "candidates", self.queries.candidates(self.catalog.now(), limit + 1), limit
        )

    def waiting(self) -> int:
        """Count the candidates."""
        page = self.catalog.get(self.queries.candidate_count(self.catalog.now()))
        count = page.rows[0]["n"] if page and page.rows else 0
        return count if isinstance(count, int) else 0

    def counts(self) -> dict[str, int]:
        """Count the table's rows per state word, within the queue's filter.

        NULL is counted as ``"NULL"``; all failed words as one.
        """
        page = self.catalog.get(self.queries.counts())
        counted: dict[str, int] = {}
        for row in page.rows if page else ():
            label, n = self.spec.label(row["word"]), row["n"]
            counted[label] = counted.get(label, 0) + (n if isinstance(n, int) else 0)
        return counted

    def held(self) -> Candidates:
        """Read the rows in the claimed state, whoever holds them."""
        return self._read("held", self.queries.claimed())

    def failures(self, limit: int = 50) -> Candidates:
        """Read the failed rows, the newest first."""
        _check_limit(limit)
        return self._read("failures", self.queries.failures(limit + 1), limit)

    def stale(self, older_than_s: float | None = None) -> Candidates:
        """Read the claimed rows whose time is over, the longest untouched first.

        Parameters
        ----------
        older_than_s
            Seconds without a write; None: the lease in each row's own token, or
            the queue's for a row that has none.
        """
        now = self.catalog.now()
        held = self.held()
        rows = [
            row
            for row in held.rows
            if transitions.overdue_s(self.spec, row, now, older_than_s) > 0
        ]
        return replace(held, kind="stale", rows=rows)

    def why(self, rid: str) -> str:
        """Say in one sentence why a row is not taken, or that it would be."""
        return explain.why(self, rid)

    # deciding

    def plan(
        self,
        transform: Transform | None = None,
        limit: int = 50,
        rows: object = None,
    ) -> Plan:
        """Decide what a transform would write, by reading only.

        Parameters
        ----------
        transform
            From a row to the changes to write, or None to leave it alone. Without
            one the plan is the claim itself.
        limit
            Rows to look at.
        rows
            Rows to look at instead, whatever their state; a claim takes only those
            of them that are candidates.
        """
        _check_limit(limit)
        rids = rids_of(rows) if rows is not None else None
        if transform is None:
            chosen = self.choose(limit, rids=rids)
        elif not callable(transform):
            raise UsageError(
                "transform: expected a function from a row to a dict of changes, "
                f"found {type(transform).__name__}"
            )
        elif rids is None:
            found = self.chooser.candidates(limit)
            chosen = self.chooser.applies(found, limit, transform)
        else:
            known = read_rows(self.catalog, self.queries, rids)
            found = (known[rid] for rid in rids if rid in known)
            chosen = self.chooser.applies(found, len(rids), transform)
        return Plan(self, tuple(chosen), "apply")

    def choose(
        self,
        limit: int,
        *,
        transform: Transform | None = None,
        rids: Sequence[str] | None = None,
        name: str | None = None,
        token: str | None = None,
    ) -> list[Transition]:
        """Decide which candidates a claim would take; nothing is written."""
        found = self.chooser.candidates(limit, rids)
        tokens = tokens_of(name or worker_name(), self.spec.lease_s)
        source = (lambda: token) if token else tokens
        count = limit if rids is None else max(len(rids), 1)
        return self.chooser.claims(found, count, transform, source)

    def plan_undo(self, outcome: Outcome) -> Plan:
        """Plan the way back from an outcome; see `Outcome.undo`."""
        undoing = []
        for rid, move in outcome.written.items():
            change = move.change
            before = {name: change.before.get(name) for name in change.after}
            known = {**change.before, **change.after}
            back = Change(
                rid=rid, rmt=outcome.versions[rid], before=known, after=before
            )
            if rid in outcome.edited:
                reason = "somebody edited it before that write: change it by hand"
                back = replace(back, kind="problem", reason=reason)
            undoing.append(Transition(act="undo", change=back))
        return Plan(self, tuple(undoing), "undo")

    # acting

    def claim(
        self,
        limit: int = 1,
        *,
        rows: object = None,
        transform: Transform | None = None,
        token: str | None = None,
    ) -> Claim:
        """Claim candidates: from then on they are this worker's.

        Parameters
        ----------
        limit
            Rows at most.
        rows
            Claim these, as far as they are candidates, instead of the first ones.
        transform
            From a row to extra changes to write with the claim (``{}`` for none),
            or None to leave that row.
        token
            The text for the owner column; None chooses one that is new. A token
            given here must never have been used before.

        Returns
        -------
        Claim
            Empty when there is nothing to take. ``with jobs.claim(5) as claim:``
            releases what is unfinished at the end.

        Raises
        ------
        TransformError
            The transform failed on a row; nothing was written.
        UsageError
            A row's extra changes can't be written.
        Denied
            This login has no right to write.
        """
        _check_limit(limit)
        return operations.claim(self, limit, rows, transform, token)

    def complete(
        self, claim: Claim, changes: Mapping[str, Row | None] | None = None
    ) -> Outcome:
        """Finish rows of a claim.

        Parameters
        ----------
        changes
            ``{RID: changes}``; rows not named stay claimed. None finishes all as
            they are. Changes may set the state column themselves, to any word but
            a ready or the claimed one.

        Raises
        ------
        UsageError
            A row that the claim doesn't hold, or changes that can't be written;
            nothing was written.
        """
        named = dict.fromkeys(claim.unfinished) if changes is None else changes
        wanted = {
            rid: operations.finishing(self, rid, {} if asked is None else asked)
            for rid, asked in named.items()
        }
        return operations.finish(
            self,
            "complete",
            claim,
            wanted,
            lambda held: transitions.complete(self.spec, held, wanted[held.rid]),
        )

    def fail(self, claim: Claim, errors: Mapping[str, object]) -> Outcome:
        """Mark rows of a claim as failed: ``{RID: error}``, a text or an exception."""
        told = {rid: operations.error_text(error) for rid, error in errors.items()}
        return operations.finish(
            self,
            "fail",
            claim,
            told,
            lambda held: transitions.fail(self.spec, held, told[held.rid]),
        )

    def release(self, claim: Claim, rows: object = None) -> Outcome:
        """Give unfinished rows back, all or these; the attempt does not count."""
        rids = claim.unfinished if rows is None else rids_of(rows)
        return operations.finish(
            self,
            "release",
            claim,
            rids,
            lambda held: transitions.release(self.spec, held),
        )

    def renew(self, claim: Claim) -> Outcome:
        """Make the lease of a claim's unfinished rows begin anew, in one PUT.

        A lease that is over can't be renewed: the row may be somebody else's.
        """
        return operations.finish(
            self,
            "renew",
            claim,
            claim.unfinished,
            lambda held: transitions.renew(self.spec, held),
        )

    def retry(self, rows: object) -> Outcome:
        """Make failed rows ready again; their attempts begin anew.

        Rows that are not failed are left alone and listed as lost, and so are rows
        that were touched since they were listed: give Candidates, rows or a frame
        with RMT, and not RIDs alone, to have that checked.
        """
        return operations.by_hand(self, "retry", rids_of(rows), rows=rows)

    def rescue(self, rows: object, force: bool = False) -> Outcome:
        """Free claimed rows whose holder is gone.

        Parameters
        ----------
        force
            True frees them although their lease still runs: their holder may be at
            work.

        Notes
        -----
        A row whose attempts are used up becomes failed. A row that was touched
        since it was listed is left alone.
        """
        return operations.by_hand(self, "rescue", rids_of(rows), rows=rows, force=force)

    def carry_out(self, action: str, sent: Sequence[Transition]) -> Outcome:
        """Write a plan's moves; see `Plan.apply`."""
        return operations.carry_out(self, action, sent)

    def writer(self, stop: threading.Event | None = None) -> GuardedWriter:
        """Return what writes moves of this queue."""
        return GuardedWriter(self.spec, self.queries, self.catalog, stop)

    def _read(self, kind: Kind, path: str, limit: int | None = None) -> Candidates:
        page = self.catalog.get(path)
        rows = page.rows if page else []
        more = limit is not None and len(rows) > limit
        return Candidates(jobs=self, kind=kind, rows=rows[:limit], more=more)


def _check_limit(limit: int) -> None:
    if limit < 1:
        raise UsageError(f"limit: expected 1 or more rows, found {limit}")

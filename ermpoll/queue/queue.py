"""The queue as its users see it: every act by its public name.

It reads the table's model once and has what it is told checked; what it does is
done elsewhere: reading by `table`, choosing by `selection`, acts by `operations`.
"""

from __future__ import annotations

import warnings
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from threading import Event
from typing import NoReturn

from ermpoll.arguments import by_rid, whole
from ermpoll.backoff import REAL, Clocks
from ermpoll.catalog import paths
from ermpoll.catalog.client import Catalog
from ermpoll.catalog.client_context import doing
from ermpoll.catalog.model import read_table
from ermpoll.errors import UsageError
from ermpoll.queue import explain, operations, transitions
from ermpoll.queue.definition import DEFAULT_STATE, QueueDefinition, words_of
from ermpoll.queue.edits import check_on_edit
from ermpoll.queue.plan import error_text, finishing_changes
from ermpoll.queue.reading.queries import Queries
from ermpoll.queue.reading.tenses import Tenses
from ermpoll.queue.results import Claim, Outcome, Plan, check_claim
from ermpoll.queue.rids import rids_of
from ermpoll.queue.selection import Selector
from ermpoll.queue.table import Candidates, QueueTable
from ermpoll.queue.tokens import token_source
from ermpoll.queue.transitions import Transition
from ermpoll.queue.validation import check, check_told, misspelt_ready, names_of
from ermpoll.queue.writer import GuardedWriter
from ermpoll.records import JSON, OnEdit, Row, Transform
from ermpoll.redact import printable
from ermpoll.shown import Shown

#: Claimed rows to a page, where only what claiming needs is read of them.
CLAIMS_PAGE = 1000

#: What the package asks of a queue, and `dir` does not offer to users.
_INTERNAL = frozenset((
    "barred", "check_right", "columns_at", "definition", "depth", "has_vocabulary",
    "link", "needed", "of", "outside", "own_claims", "queries", "read",
    "read_columns", "read_rows", "rights", "selector", "shown_columns", "title",
    "try_rows", "types", "words_met", "writer",
))  # fmt: skip


class Queue(Shown, QueueTable, Tenses):
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
    claimed
        The word of a row that somebody holds.
    done
        The word of one that is finished.
    failed
        The word of one that failed; may hold ``{error}``: ``"error: {error}"``.
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
    words
        Other state words that are meant: a plan takes a word for misspelt that is
        within two edits of one of the queue's, and in no row of the table.
    worker
        Who claims, for people: the name in tokens; None for user, host and process.

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
    written. A claim whose answer is lost may be written or not, and nothing tells:
    such a row is never taken for ours; an agent's status lists it (``doubts``).

    Calls block, and may come from any thread; in a coroutine, use
    ``await asyncio.to_thread(jobs.claim)``. They have the catalog's one login: a login
    per thread is a queue per thread. In a child of ``os.fork()`` it works on, and a
    claim is for one of the two to finish. On a snapshot (``jobs.at(when)``) it looks,
    plans and explains as of then, and refuses to write.

    Examples
    --------
    >>> jobs = ermpoll.Queue(
    ...     catalog, "Imaging:Image", state="Processing_Status", ready="new",
    ...     claimed="in progress", done="success", failed="error",
    ...     owner="Processing_Owner", error="Processing_Error", attempts="Attempts",
    ...     columns=["File_Name", "Bytes"],
    ... )
    >>> jobs.table, jobs.columns, jobs.writable, jobs.why_not_writable
    ('Imaging:Image', ('RID', 'File_Name', 'Bytes'), True, '')
    >>> rid = jobs.candidates(5).rids[0]
    >>> jobs.waiting(), jobs.counts()["new"]
    (36, 36)
    >>> jobs.why(rid)
    '... is a candidate...'

    See a change, then write it, then set it back:

    >>> plan = jobs.plan(lambda row: {"Processing_Status": "hold"}, rows=[rid])
    >>> outcome = plan.apply()
    >>> outcome.undo().apply().won == (rid,)
    True

    Claim rows, and finish, fail or give back each:

    >>> claim = jobs.claim(3)
    >>> first, second, third = claim.rids
    >>> jobs.renew(claim).won == claim.rids
    True
    >>> done = jobs.complete(claim, {first: {"Priority": 2}})
    >>> failed = jobs.fail(claim, {second: "file is cut off"})
    >>> back = jobs.release(claim)
    >>> claim.unfinished
    ()

    What failed, who holds what, and what is overdue:

    >>> jobs.retry(jobs.failures().rids[:1]).won
    ('...',)
    >>> orphan = jobs.claim(1)
    >>> orphan.rids[0] in jobs.held().rids
    True
    >>> stale = jobs.stale(older_than_s=0)
    >>> jobs.rescue(orphan.rids, force=True).won == orphan.rids
    True
    >>> len(jobs.refused())
    0

    The past, from the catalog's own history:

    >>> jobs.history(first).rid == first
    True
    >>> then = jobs.at(catalog.now()).counts()
    >>> timeline = jobs.timeline("1 min", rate=None)
    >>> proof = jobs.prove("1 min", rate=None)
    >>> tested = jobs.backtest(lambda row: {}, "1 min", rate=None)
    """

    def __init__(
        self,
        catalog: Catalog,
        table: str,
        *,
        state: str = DEFAULT_STATE,
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
        words: Sequence[str] = (),
        worker: str | None = None,
    ) -> None:
        check_told(catalog, table, where, order, path)
        definition = QueueDefinition(
            table=read_table(catalog, table),
            state=state,
            ready=words_of(ready),
            claimed=claimed,
            done=done,
            failed=failed,
            where=where.strip("/"),
            order=paths.Order(order),
            path=path.strip("/").removeprefix("entity/") if path else None,
            columns=names_of("columns", columns) if columns is not None else None,
            owner=owner,
            error=error,
            attempts=attempts,
            retry_at=retry_at,
            lease_s=lease_s,
            max_attempts=max_attempts,
            words=names_of("words", words),
            worker=worker or "",
        )
        super().__init__(definition, Queries(definition), catalog)
        check(self)
        if definition.columns_denied and definition.table.may_update is not False:
            warnings.warn(self.why_not_writable, stacklevel=2)
        if misspelt := misspelt_ready(self):
            warnings.warn(misspelt, stacklevel=2)

    @classmethod
    def of(cls, definition: QueueDefinition, catalog: Catalog) -> Queue:
        """Return the queue of a definition that was checked already."""
        jobs = cls.__new__(cls)
        QueueTable.__init__(jobs, definition, Queries(definition), catalog)
        return jobs

    def __dir__(self) -> list[str]:
        return [name for name in object.__dir__(self) if name not in _INTERNAL]

    def __repr__(self) -> str:
        return f"<Queue {self.title} at {self.catalog.url}>"

    def __reduce__(self) -> NoReturn:
        raise UsageError(
            "a queue is not sent to other processes: let work return what is to be"
            " written; what else it needs of the catalog, it asks for after an"
            " ermpoll.connect(...) of its own, inside it"
        )

    def _repr_html_(self) -> str:
        # Only who shows it pays for jinja2.
        from ermpoll import render

        return render.queue(self)

    table = QueueTable.title

    @property
    def writable(self) -> bool:
        """Whether acts can be carried out: see ``why_not_writable``."""
        return not self.why_not_writable

    @property
    def selector(self) -> Selector:
        """What finds its rows and decides what to write."""
        return Selector(self)

    # reading

    def candidates(self, limit: int = 50) -> Candidates:
        """Read the rows that the next claim would take, in its order.

        Parameters
        ----------
        limit
            Rows at most; ``more`` says whether there are others.
        """
        limit = whole("limit", limit, "rows")
        path = self.queries.candidates(self.catalog.now(), limit + 1)
        return self.read("candidates", path, limit)

    @doing("count")
    def waiting(self) -> int:
        """Count the candidates."""
        rows = self.catalog.rows(self.queries.candidate_count(self.catalog.now()), "n")
        count = rows[0]["n"] if rows else 0
        return count if isinstance(count, int) else 0

    @doing("count")
    def counts(self) -> dict[str, int]:
        """Count the rows per state word, within the queue's path and filter.

        NULL is counted as ``"NULL"``; all failed words as one. `Agent.metrics` draws
        what was counted over time.
        """
        counted: dict[str, int] = {}
        for row in self.catalog.rows(self.queries.counts(), "word", "n"):
            label, n = self.definition.label(row["word"]), row["n"]
            counted[label] = counted.get(label, 0) + (n if isinstance(n, int) else 0)
        self.depth.add(datetime.now(UTC), counted)
        return counted

    def held(self) -> Candidates:
        """Read the table's rows in the claimed state, whoever holds them.

        Those outside the queue's path or filter, and those that another queue of
        the table has claimed, are listed too: `Candidates.outside` names them.
        """
        return self.read("held", self.queries.claimed())

    def failures(self, limit: int = 50) -> Candidates:
        """Read the failed rows within the path and filter, the newest first."""
        limit = whole("limit", limit, "rows")
        path = self.queries.failures(limit + 1)
        return self.read("failures", path, limit)

    @doing("refused")
    def refused(self) -> Candidates:
        """Read the rows that the catalog refused to write, as far as met here.

        `Candidates.refused` says why, and when they are tried again: at once when
        the row, the login or the model changes.
        """
        known = {row.rid: row for row in self.rights.set_aside.rows}
        rows = self.read_rows(known) if known else {}
        # one that somebody touched since is like any other
        rows = {r: row for r, row in rows.items() if row["RMT"] == known[r].rmt}
        self.rights.set_aside.forget(known.keys() - rows.keys())
        reasons = {
            rid: f"{known[rid].reason}; {explain.again(self, rid)}" for rid in rows
        }
        return Candidates(
            jobs=self, kind="refused", rows=[*rows.values()], refused=reasons
        )

    def stale(self, older_than_s: float | None = None) -> Candidates:
        """Read the claimed rows whose time is over, the longest untouched first.

        Of the whole table, as `held` does.

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
            if transitions.overdue_s(self.definition, row, now, older_than_s) > 0
        ]
        left = {str(row["RID"]) for row in rows} & held.outside.keys()
        outside = {rid: held.outside[rid] for rid in left}
        return replace(held, kind="stale", rows=rows, outside=outside)

    def own_claims(self) -> Iterator[Row]:
        """Read the claimed rows within the path and filter, the columns of claiming.

        The longest untouched first, page by page for as long as they are asked for.
        """
        last: Row | None = None
        while True:
            path = self.queries.leases(CLAIMS_PAGE, last)
            rows = self.catalog.rows(path, "RID", "RMT")
            # a join may find a row more than once
            yield from {str(row["RID"]): row for row in rows}.values()
            if len(rows) < CLAIMS_PAGE:
                return
            last = rows[-1]

    @doing("why")
    def why(self, rid: str) -> str:
        """Say in one sentence why a row is not taken, or that it would be."""
        return printable(explain.why(self, rid))

    # deciding

    @doing("plan")
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
            of them that are candidates. Rows that are none of this queue's are
            problems.
        """
        limit = whole("limit", limit, "rows")
        return operations.plan(self, "apply", self._chosen(transform, limit, rows))

    def _chosen(
        self, transform: Transform | None, limit: int, rows: object
    ) -> list[Transition]:
        rids = rids_of(rows) if rows is not None else None
        selector = self.selector
        if transform is None:
            chosen = selector.choose(limit, rids=rids)
            return [*selector.refusals("claim"), *chosen]
        if not callable(transform):
            raise UsageError(
                "transform: expected a function from a row to a dict of changes, "
                f"found {type(transform).__name__}"
            )
        if rids is None:
            applied = selector.applies(selector.candidates(limit), limit, transform)
            return [*selector.refusals("apply"), *self._spelt(applied)]
        known = self.read_rows(rids)
        rows_now = (known[rid] for rid in rids if rid in known)
        _check_known(self, rids, known)
        barred = self.barred(known.values(), anew=True)
        barred |= self.outside(known.values())
        applied = selector.applies(rows_now, len(rids), transform, barred)
        return self._spelt(applied)

    def _spelt(self, steps: list[Transition]) -> list[Transition]:
        """Make problems of the steps that write a state word likely to be misspelt."""
        definition, name = self.definition, self.definition.state
        if self.has_vocabulary:
            return steps
        asked = {step.change.after.get(name) for step in steps}
        near = {word: known for word in asked if (known := definition.near_miss(word))}
        strange = near.keys() - (self.words_met(*near) if near else set())

        def spelt(step: Transition) -> Transition:
            word = step.change.after.get(name)
            if step.change.kind != "changed" or word not in strange:
                return step
            reason = (
                f"{name}: {word!r} is in no row of the table; did you mean "
                f"{near[word]!r}? If not, make the Queue with words=[{word!r}]"
            )
            change = replace(step.change, kind="problem", reason=reason)
            return replace(step, change=change)

        return [spelt(step) for step in steps]

    # acting

    @doing("claim")
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
            Empty when there is nothing to take; `Claim.refused` names the candidates
            that the catalog doesn't let this login write, which are passed over.
            ``with jobs.claim(5) as claim:``
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
        limit = whole("limit", limit, "rows")
        return operations.claim(self, limit, rows, transform, token)

    def complete(
        self,
        claim: Claim,
        changes: Mapping[str, Row | None] | None = None,
        *,
        on_edit: OnEdit = "keep",
    ) -> Outcome:
        """Finish rows of a claim.

        Parameters
        ----------
        changes
            ``{RID: changes}``; rows not named stay claimed. None finishes all as
            they are. Changes may set the state column themselves, to any word but
            a ready or the claimed one.
        on_edit
            What becomes of a column that a person edited since the claim: "keep"
            the edit, and write all others (`Outcome.kept` names it); "overwrite"
            it; or "fail" the row. The columns of claiming itself are always
            written. A row that is edited again and again stays claimed, and is told.
            Without an owner column an edit ends the claim, whatever is asked here.

        Raises
        ------
        UsageError
            A row that the claim doesn't hold, or changes that can't be written;
            nothing was written.
        """
        check_claim(claim)
        check_on_edit(on_edit)
        named = dict.fromkeys(claim.unfinished)
        if changes is not None:
            named = dict(by_rid("changes", changes, "changes"))
        wanted = {rid: self._finishing(rid, asked) for rid, asked in named.items()}
        steps = [
            transitions.complete(self.definition, claim.holding(rid), asked, on_edit)
            for rid, asked in wanted.items()
        ]
        return operations.finish(self, "complete", claim, steps)

    def fail(self, claim: Claim, errors: Mapping[str, object]) -> Outcome:
        """Mark rows of a claim as failed: ``{RID: error}``, a text or an exception."""
        check_claim(claim)
        steps = [
            transitions.fail(self.definition, claim.holding(rid), error_text(error))
            for rid, error in by_rid("errors", errors, "error").items()
        ]
        return operations.finish(self, "fail", claim, steps)

    def release(self, claim: Claim, rows: object = None) -> Outcome:
        """Give unfinished rows back, all or these; the attempt does not count."""
        check_claim(claim)
        return operations.release(self, claim, rows)

    def renew(self, claim: Claim) -> Outcome:
        """Make the lease of a claim's unfinished rows begin anew, in one PUT.

        A lease that is over can't be renewed: the row may be somebody else's.
        """
        check_claim(claim)
        held = map(claim.holding, claim.unfinished)
        steps = [transitions.renew(self.definition, one) for one in held]
        return operations.finish(self, "renew", claim, steps)

    @doing("retry")
    def retry(self, rows: object) -> Outcome:
        """Make failed rows ready again; their attempts begin anew.

        A row goes back to the ready word that it came from. Rows that are not
        failed, were touched since they were listed, or are none of this queue's,
        are left alone and listed as lost.
        """
        return operations.retry_or_rescue(self, "retry", rows)

    @doing("rescue")
    def rescue(self, rows: object, force: bool = False) -> Outcome:
        """Free claimed rows whose holder is gone.

        Parameters
        ----------
        force
            True frees them although their lease still runs: their holder may be at
            work.

        Notes
        -----
        A row whose attempts are used up becomes failed, any other goes back to the
        ready word that it came from. A row that was touched since it was listed,
        or is none of this queue's, is left alone.
        """
        return operations.retry_or_rescue(self, "rescue", rows, force)

    def writer(
        self,
        stop: Event | None = None,
        name: str | None = None,
        clocks: Clocks = REAL,
    ) -> GuardedWriter:
        """Return what writes steps of rows; ``name`` is who claims, for people."""
        new_token = token_source(name, self.definition.lease_s) if name else None
        return GuardedWriter(self, stop, new_token, clocks)

    def _finishing(self, rid: str, asked: Row | None) -> dict[str, JSON]:
        try:
            return finishing_changes(self.definition, asked, {})
        except UsageError as error:
            raise UsageError(f"{rid}: {error}; nothing was written") from error


def checked_queue(jobs: object) -> Queue:
    """Return a queue that a caller gave.

    Raises
    ------
    UsageError
        It is none.
    """
    if not isinstance(jobs, Queue):
        raise UsageError(
            f"jobs: expected an ermpoll.Queue, found {type(jobs).__name__}; "
            "make one with ermpoll.Queue(catalog, table, ...)"
        )
    return jobs


def _check_known(table: QueueTable, rids: Sequence[str], known: Container[str]) -> None:
    strange = [rid for rid in rids if rid not in known]
    if strange:
        raise UsageError(
            f"rows: expected rows of {table.title}, found {', '.join(strange[:5])}, "
            "which it does not have; were they deleted, or are they of another table?"
        )

"""A job that knows itself: which row it works on, and whether that is still its own.

What travels with a call of work is a `Ticket`: names and addresses, no login. In the
process of the agent it leads to what the agent holds; anywhere else to the catalog
alone, by the login that is found there.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from ermpoll.catalog import paths
from ermpoll.catalog.client import connect
from ermpoll.errors import UsageError
from ermpoll.queue.definition import QueueDefinition
from ermpoll.records import JSON, Row
from ermpoll.redact import clipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What a call of work is told of its row."""

    rid: str
    token: str | None
    attempt: int | None
    #: The agent's desk, in the process that asked.
    desk: str = ""
    #: The catalog, and the row's own columns there.
    url: str
    path: str
    state: str
    claimed: str
    owner: str | None
    #: True in a dry run, where nothing was claimed.
    dry: bool = False


def attempt_of(row: Row, attempts: str | None) -> int | None:
    """Return which try a claimed row is at; None without a column that tells."""
    value = row.get(attempts) if attempts else None
    return value if isinstance(value, int) else None


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Where the jobs of an agent ask what it knows of their rows."""

    name: str
    #: The catalog's address, and the queue's columns there.
    url: str
    definition: QueueDefinition
    #: The seconds that a claim has left, by RID and token; None: it is held no more.
    left_s: Callable[[str, str | None], float | None]
    #: Takes RID, fraction and text: how far the work of a row is.
    show: Callable[[str, float, str], None]
    #: Reads rows of the catalog.
    read: Callable[[str], list[dict[str, JSON]]]

    def ticket(self, row: Row, *, dry: bool = False) -> Ticket:
        """Return what a call of work on a claimed row is told of it."""
        state, owner = self.definition.state, self.definition.owner
        columns = paths.names(name for name in ("RID", "RMT", state, owner) if name)
        rid, table = str(row["RID"]), self.definition.table.path
        token = row.get(owner or "")
        return Ticket(
            rid=rid,
            token=str(token) if token else None,
            attempt=attempt_of(row, self.definition.attempts),
            desk="" if dry else self.name,
            url=self.url,
            path=paths.join("attribute", table, paths.equals("RID", rid), columns),
            state=state,
            claimed=self.definition.claimed,
            owner=owner,
            dry=dry,
        )


#: Characters that are shown of what a job says that it does.
LONGEST_TEXT = 80
#: The agents of this process, by the names in tickets.
_desks: weakref.WeakValueDictionary[str, Desk] = weakref.WeakValueDictionary()
# a fork has what an agent knew, never what became of it, and maybe a lock that is held
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_desks.clear)
_current: ContextVar[Job | None] = ContextVar("ermpoll_current_job", default=None)


def open_desk(desk: Desk) -> Desk:
    """Let jobs of this process find their agent, for as long as it is there."""
    _desks[desk.name] = desk
    return desk


@dataclass(frozen=True, slots=True)
class Job:
    """The job that the code which asks is part of; see `current_job`."""

    _ticket: Ticket

    @property
    def rid(self) -> str:
        """The row's RID."""
        return self._ticket.rid

    @property
    def token(self) -> str | None:
        """What the claim wrote into the owner column; None without such a column.

        New for each claim: with the RID it names this try among all, so that what is
        written elsewhere under both is written once.
        """
        return self._ticket.token

    @property
    def attempt(self) -> int | None:
        """Which try this is, from 1; None without an attempts column."""
        return self._ticket.attempt

    @property
    def time_left_s(self) -> float | None:
        """Seconds until the claim ends unless it is renewed, as the agent does.

        0 once it is lost, infinity without an owner column. None in a dry run and in
        another process, where nobody knows.
        """
        desk = self._desk
        if desk is None:
            return None
        left_s = desk.left_s(self.rid, self.token)
        return max(left_s, 0.0) if left_s is not None else 0.0

    @property
    def cancelled(self) -> bool:
        """Whether the result is not waited for any more.

        The row was lost or given back, its lease is over, or the work has taken longer
        than it may. Always False in another process: ask `still_mine` there.
        """
        return self.time_left_s == 0.0

    def still_mine(self) -> bool:
        """Ask the catalog whether the row is still claimed by this try.

        The fence before an effect that can't be taken back: what happens between its
        answer and the effect, it can't know. Elsewhere than in the agent's own process
        it asks with the login found there, as ``ermpoll.connect(url)`` does. Without
        an owner column it says whether the row is claimed, by whomever. In a dry run,
        where nothing is claimed, it is True.

        Raises
        ------
        CatalogError
            The catalog can't be asked now, or not by this login.
        """
        if self._ticket.dry or self.cancelled:
            return self._ticket.dry
        rows = self._read()
        return bool(rows) and self._holds(rows[0])

    def progress(self, fraction: float, text: str = "") -> None:
        """Show how far the work is, in the agent's status and panel.

        In another process this does nothing: it is shown where the agent is.

        Parameters
        ----------
        fraction
            From 0 to 1.
        text
            What is being done, at most 80 characters of it.

        Raises
        ------
        UsageError
            The fraction is no number from 0 to 1.
        """
        if not (isinstance(fraction, int | float) and 0 <= fraction <= 1):
            raise UsageError(f"fraction: expected 0 to 1, found {fraction!r:.80}")
        desk = self._desk
        if desk is not None:
            desk.show(self.rid, float(fraction), clipped(text)[:LONGEST_TEXT])

    @property
    def _desk(self) -> Desk | None:
        return _desks.get(self._ticket.desk)

    def _read(self) -> list[dict[str, JSON]]:
        ticket, desk = self._ticket, self._desk
        if desk is not None:
            return desk.read(ticket.path)
        catalog = connect(ticket.url, read_only=True)
        try:
            return catalog.rows(ticket.path, "RID", ticket.state)
        finally:
            catalog.close()

    def _holds(self, row: Mapping[str, JSON]) -> bool:
        ticket = self._ticket
        ours = ticket.owner is None or row.get(ticket.owner) == ticket.token
        return ours and row.get(ticket.state) == ticket.claimed


def current_job() -> Job | None:
    """Return the job that this code is part of; None outside of an agent's work.

    Within work it is there in the function itself and what it calls, in a coroutine and
    its tasks, in a process pool and on a dask worker. A thread or process that work
    itself starts has none: pass the job on, or what of it is wanted.

    Examples
    --------
    >>> def work(row):
    ...     job = current_job()
    ...     for n in range(10):
    ...         if job.cancelled:
    ...             return None
    ...         job.progress(n / 10, f"tile {n}")
    ...     if job.still_mine():
    ...         pass  # the upload, named by job.rid and job.token
    ...     return {"tiles": 10}
    """
    return _current.get()


@contextmanager
def working_on(ticket: Ticket | None) -> Iterator[None]:
    """Let `current_job` answer what is called within."""
    before = _current.set(Job(ticket) if ticket else None)
    try:
        yield
    finally:
        _current.reset(before)

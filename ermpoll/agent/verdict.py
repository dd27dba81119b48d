"""What a look came to: whether it is idle, what it left, and in words. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ermpoll.agent.fetcher import Fetch
from ermpoll.agent.held_jobs import JobState
from ermpoll.agent.settler import Settled
from ermpoll.errors import CatalogError, Unavailable
from ermpoll.queue.guarded_put import Fate
from ermpoll.queue.writer import WriteResult
from ermpoll.records import rows
from ermpoll.redact import one_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What the last look has left, for who would end a run with it."""

    #: There may be candidates that were not read, or something is unsettled.
    unread: bool = True
    #: Seconds until a row of the queue is to be tried again, or None.
    retry_s: float | None = None
    #: Seconds until the first claim of others ends, or None.
    lease_s: float | None = None
    #: Whether the executor is to be tried, or a row that it had is passed over.
    executor: bool = False


def is_unsettled(fetch: Fetch, write: Settled) -> bool:
    """Whether something of a look is still to be written or found out. Pure."""
    unsure = Fate.UNKNOWN in write.done.fates or write.unread or write.unconfirmed
    return bool(unsure or write.rejects or fetch.rejects)


def is_idle(fetch: Fetch, write: Settled) -> bool:
    """Whether a look that read the candidates has left nothing to do. Pure.

    A row that was missed, freed or made ready just now is one that it did not read.
    """
    unread = is_unread(fetch, write.done)
    return fetch.looked and not (unread or is_unsettled(fetch, write))


def is_unread(fetch: Fetch, done: WriteResult) -> bool:
    """Whether there may be candidates that a look has not read. Pure."""
    freed = done.written("rescue", "retry later")
    left = done.fates & {Fate.MISSED, Fate.UNSENT}
    return bool(fetch.full or left or freed)


def lapse_reason(state: JobState, trouble: str) -> str:
    """Say why a row's lease was over too soon, and what kept it from a write. Pure."""
    over = state in (JobState.ENDED, JobState.CANCELLED)
    if not trouble:
        before = "its result was written" if over else "the work was"
        return f"its lease was over before {before}"
    what = "its result could not be written" if over else "it could not be renewed"
    return f"{trouble}: {what} before its lease was over"


def unwritten(done: WriteResult) -> Exception | None:
    """Return why some rows of a write were not written, or None. Pure."""
    if Fate.UNSENT in done.fates and done.error:
        return done.error
    unknown = Fate.UNKNOWN in done.fates
    return Unavailable("a write got no answer") if unknown else None


def trouble_of(error: BaseException | None) -> str:
    """Say what kept rows from being written, and whose it was, or "". Pure."""
    if error is None:
        return ""
    if isinstance(error, Unavailable):
        return f"the catalog was away ({one_line(error)})"
    if isinstance(error, CatalogError):
        return f"the catalog refused ({one_line(error)})"
    return f"the agent could not look ({one_line(error)})"


def words(fetch: Fetch, write: Settled, trouble: str) -> str:
    """Say what a look did, for the log of looks. Pure."""
    if fetch.unchanged:
        return "304, nothing new"
    counts = {
        "took": write.claimed,
        "finished": len(write.done.written("complete", "fail", "retry later")),
        "lost": len(write.done.rids(Fate.MISSED)) - write.unread,
        "could not read back": write.unread,
    }
    parts = [f"{word} {n}" for word, n in counts.items() if n]
    if parts:
        return ("looked, " if fetch.looked else "") + ", ".join(parts)
    if fetch.looked:
        if fetch.refused:
            return f"nothing to take but {rows(fetch.refused)} that the catalog refuses"
        return "nothing to take"
    if write.done.transitions:
        return "wrote what was due"
    return "the executor does no work" if trouble else "holds all that it can"

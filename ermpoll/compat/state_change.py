"""`state_change_once` and `blocking_poll`: deriva-py's contract, without its defects.

For code that was written to ``PollingErmrestCatalog``. New code is better off with
`Queue` and `Agent`: a claim here is guarded by the whole catalog's ETag, so that
any write to any table makes it start over.
"""

from __future__ import annotations

import errno
import re
import socket
import threading
from collections.abc import Callable, Sequence

from ermpoll.backoff import Deadline
from ermpoll.catalog import write_permission
from ermpoll.catalog.shared import shared_of
from ermpoll.catalog.values import read_changes
from ermpoll.compat import recovery
from ermpoll.errors import (
    Aborted,
    CatalogError,
    Denied,
    PreconditionFailed,
    Unavailable,
    UsageError,
)
from ermpoll.notices import Notices
from ermpoll.polling import Poller
from ermpoll.queue.plan import copied
from ermpoll.records import JSON, LookResult, Page, Row, Transform
from ermpoll.redact import hidden

#: Seconds that a change of state is tried again after lost races or lost answers,
#: and the longest wait between two tries.
PATIENCE_S, LONGEST_WAIT_S = 60.0, 2.0
_UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)
_NO_ANSWER = {"ConnectionError", "Timeout", "RetryError", "ChunkedEncodingError"}


class LostRace(PreconditionFailed):
    """Others kept writing to the catalog; nothing was written."""

    #: `blocking_poll` waits it out. A PreconditionFailed of the job itself ends it.
    ermpoll_transient = True


def state_change_once(
    catalog: recovery.Door,
    query: str,
    update: str,
    transform: Transform,
    idle_etag: str | None = None,
) -> tuple[str | None, list[tuple[Row, Row]]]:
    """Read candidates, transform them, write the changes if nobody wrote since.

    Parameters
    ----------
    query
        Path of the candidates: ``entity/Foo/state=actionable?limit=5``.
    update
        Path of the update: ``attributegroup/Foo/id;state``.
    transform
        From a candidate to the row to write, or None to leave it alone. After a
        lost race it is called again, with what is there then.
    idle_etag
        From the call before: no-op while the catalog is still at it.

    Returns
    -------
    idle_etag
        For the next call; None when there may be more rows than ``limit``.
    list
        ``(candidate, row as written)`` for each row that the server wrote.

    Raises
    ------
    LostRace
        A PreconditionFailed: others kept writing for a minute; nothing was written.
    UsageError
        No catalog of ermpoll, no function, or the transform returned something else
        than a row; nothing was written.
    CatalogError
        By status. With ``doubtful`` no certain answer came for a minute.
    Exception
        What the transform raises is passed on; nothing was written.

    Notes
    -----
    A write whose answer was lost is sent again unchanged, under its old guard,
    until one answer is certain. If that is 412, the rows are read back; see
    `ermpoll.compat.recovery.written_by` for what counts as ours then. Callers within
    one process take turns. Two processes with one login that write the same words to
    the same rows at the same moment, while an answer is lost, can't be told apart:
    write a value of your own with the state, or use a `Queue` with an owner column.

    Examples
    --------
    >>> def claim(row):
    ...     return {"RID": row["RID"], "Processing_Status": "in progress"}
    >>> query = f"entity/{jobs.table}/Processing_Status=new?limit=2"
    >>> update = f"attributegroup/{jobs.table}/RID;Processing_Status"
    >>> idle_etag, done = ermpoll.state_change_once(catalog, query, update, claim)
    >>> [row["Processing_Status"] for _, row in done]
    ['in progress', 'in progress']
    """
    _check(catalog, transform)
    deadline = Deadline(PATIENCE_S, cap_s=LONGEST_WAIT_S)
    while True:
        with shared_of(catalog.url).turn:
            page = catalog.get(query, etag=idle_etag)
            if page is None:
                return idle_etag, []
            plan = _planned(page.rows, transform)
            full = _is_full(query, page.rows)
            if not plan:
                return None if full else page.etag, []
            known = recovery.parse(update, [asked for _, asked in plan])
            recovery.point_out(known, plan)
            written = _written(catalog, update, known, plan, page.etag)
        if isinstance(written, Page):
            pairs = recovery.pairs(known, plan, written.rows)
            # our own PUT carried the baseline as its guard: its ETag hides nothing
            return None if full else written.etag, pairs
        if not deadline.wait(written):
            raise LostRace(
                f"expected a moment without other writers to write {len(plan)} rows "
                f"to {update}, found none in {PATIENCE_S:g} s; nothing was written",
                status=written.status,
                url=written.url,
                detail=written.detail,
            ) from written


def blocking_poll(
    look: Callable[[], object],
    *,
    notices: str | Notices | None = None,
    polling_seconds: float = 600,
    coalesce_seconds: float = 0.1,
    stop: threading.Event | None = None,
) -> None:
    """Call ``look`` whenever there might be work, until stopped.

    Parameters
    ----------
    look
        True: there may be more, look again at once.
    notices
        ``amqp://...``, a Notices object, or None for the timer alone.
    polling_seconds, coalesce_seconds
        The longest and the shortest time between two looks.
    stop
        Set it to end the call.

    Raises
    ------
    Exception
        Whatever ``look`` raises ends the call, but for faults of the network, the
        broker or the login, and races lost by `state_change_once`: those are
        waited out.

    Examples
    --------
    >>> stop = threading.Event()
    >>> def look():
    ...     stop.set()  # or: return bool(state_change_once(...)[1])
    >>> ermpoll.blocking_poll(look, notices=box.amqp_url, stop=stop)
    """
    notices = hidden(notices)
    ended: list[BaseException] = []

    def guarded() -> bool | LookResult:
        try:
            return bool(look())
        except Exception as error:
            # the caller's function: raised to it, unless a later look may do
            if is_transient(error):
                raise
            ended.append(error)
            poller.stop()
            return False

    poller = Poller(
        guarded,
        notices=notices,
        poll_s=polling_seconds,
        coalesce_s=coalesce_seconds,
    )
    with write_permission.real():
        poller.run(stop=stop)
    if ended:
        raise ended[0]


def is_transient(error: BaseException) -> bool:
    """Whether an error of a look passes by itself: network, broker, login, a race."""
    if getattr(error, "ermpoll_transient", False):
        return True
    if isinstance(error, Denied):
        return error.status == 401
    if isinstance(
        error, Unavailable | ConnectionError | TimeoutError | socket.gaierror
    ):
        return True
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        return True
    # of requests and urllib3, which this module doesn't load
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if type(error).__module__.partition(".")[0] not in ("requests", "urllib3"):
        return False
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is None:
        return bool(kinds & _NO_ANSWER)
    return status in (401, 408, 429) or status >= 500


def _check(catalog: object, transform: object) -> None:
    if not isinstance(getattr(catalog, "url", None), str):
        raise UsageError(
            "expected a catalog from ermpoll.connect, found "
            f"{type(catalog).__name__}; connect() takes an address or a deriva-py "
            "catalog"
        )
    if not callable(transform):
        raise UsageError(
            "transform: expected a function from a row to the row to write, found "
            f"{type(transform).__name__}"
        )


def _planned(
    rows: Sequence[dict[str, JSON]], transform: Transform
) -> list[tuple[Row, Row]]:
    plan: list[tuple[Row, Row]] = []
    for row in rows:
        asked = transform(copied(row))
        if asked is not None:
            plan.append((row, read_changes(asked)))
    return plan


def _written(
    catalog: recovery.Door,
    path: str,
    update: recovery.Update | None,
    plan: Sequence[tuple[Row, Row]],
    etag: str | None,
) -> Page | CatalogError:
    """Send the PUT until its answer is certain; an error: a race was lost."""
    if etag is None:
        raise CatalogError(
            f"expected an ETag with the rows of {catalog.url}, found none; "
            "is there a proxy that takes it out?",
            url=catalog.url,
        )
    rows = [asked for _, asked in plan]
    deadline = Deadline(PATIENCE_S, cap_s=LONGEST_WAIT_S)
    doubtful = False
    while True:
        try:
            with shared_of(catalog.url).write_lock.hold():
                return catalog.put(path, rows, guard=etag)
        except PreconditionFailed as error:
            ours = _settled(catalog, update, rows, etag) if doubtful else None
            return ours or error
        except Unavailable as error:
            if isinstance(error, Aborted) and not doubtful:
                return error
            if not (doubtful or error.doubtful):
                raise
            doubtful = True
            if not deadline.wait(error):
                error.doubtful = True
                raise


def _settled(
    catalog: recovery.Door,
    update: recovery.Update | None,
    rows: Sequence[Row],
    etag: str,
) -> Page | None:
    """Return the rows of a write whose answer was lost, if it was committed."""
    if update is None:
        return None
    deadline = Deadline(PATIENCE_S, cap_s=LONGEST_WAIT_S)
    while True:
        try:
            return recovery.read_back(catalog, update, rows, since=etag)
        except Unavailable as error:
            if not deadline.wait(error):
                raise


def _is_full(query: str, rows: Sequence[object]) -> bool:
    """Whether the query's limit may have cut something off."""
    limit = re.search(r"[?&;]limit=(\d+)", query)
    return limit is not None and len(rows) >= int(limit[1])

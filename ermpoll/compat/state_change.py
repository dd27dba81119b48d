"""`state_change_once` and `blocking_poll`: deriva-py's contract, without its defects.

For code that was written to ``PollingErmrestCatalog``. New code is better off with
`Queue` and `Agent`: a claim here is guarded by the whole catalog's ETag, so that
any write to any table makes it start over.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Sequence

from ermpoll.catalog import write_permission
from ermpoll.catalog.turns import Patience, turn_of
from ermpoll.catalog.values import read_changes
from ermpoll.catalog.write_lock import write_lock_of
from ermpoll.compat import recovery
from ermpoll.compat.weather import is_transient
from ermpoll.errors import (
    Aborted,
    CatalogError,
    PreconditionFailed,
    Unavailable,
    UsageError,
)
from ermpoll.notices.base import Notices
from ermpoll.polling import Poller
from ermpoll.queue.plan import copied
from ermpoll.records import JSON, LookResult, Page, Row, Transform

logger = logging.getLogger(__name__)

#: Seconds that a change of state is tried again after lost races or lost answers.
PATIENCE_S = 60.0


class LostRace(PreconditionFailed):
    """Others kept writing to the catalog; nothing was written."""

    #: `blocking_poll` waits it out. A PreconditionFailed of the job itself ends it.
    ermpoll_weather = True


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
    """
    _check(catalog, transform)
    patience = Patience(PATIENCE_S)
    while True:
        with turn_of(catalog.url):
            page = catalog.get(query, etag=idle_etag)
            if page is None:
                return idle_etag, []
            plan = _planned(page.rows, transform)
            full = _is_full(query, page.rows)
            if not plan:
                return None if full else page.etag, []
            known = recovery.parse(update, [asked for _, asked in plan])
            _point_out(known, plan)
            written = _written(catalog, update, known, plan, page.etag)
        if isinstance(written, Page):
            pairs = recovery.pairs(known, plan, written.rows)
            # our own PUT carried the baseline as its guard: its ETag hides nothing
            return None if full else written.etag, pairs
        if not patience.wait():
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
    """
    ended: list[BaseException] = []

    def guarded() -> bool | LookResult:
        try:
            return bool(look())
        except Exception as error:
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
    patience, doubtful = Patience(PATIENCE_S), False
    while True:
        try:
            with write_lock_of(catalog.url).turn():
                return catalog.put(path, rows, guard=etag)
        except PreconditionFailed as error:
            ours = _read_back(catalog, update, rows, etag) if doubtful else None
            return ours or error
        except Unavailable as error:
            if isinstance(error, Aborted) and not doubtful:
                return error
            if not (doubtful or error.doubtful):
                raise
            doubtful = True
            if not patience.wait():
                error.doubtful = True
                raise


def _read_back(
    catalog: recovery.Door,
    update: recovery.Update | None,
    rows: Sequence[Row],
    etag: str,
) -> Page | None:
    """Return the rows of a write whose answer was lost, if it was committed."""
    if update is None:
        return None
    patience = Patience(PATIENCE_S)
    while True:
        try:
            login = catalog.session()
            client = login.id if login else None
            found = recovery.written_by(
                catalog, update, rows, since=etag, client=client
            )
            break
        except Unavailable:
            if not patience.wait():
                raise
    logger.warning(
        "%s: an answer was lost; the rows %s",
        update.path,
        "were written" if found is not None else "were not written by us",
        extra={"event": "settled", "rows": len(found or ())},
    )
    # the ETag of a read would hide what others wrote meanwhile: none is given
    return (
        None
        if found is None
        else Page(rows=[dict(r) for r in found], etag=None, url="")
    )


def _is_full(query: str, rows: Sequence[object]) -> bool:
    """Whether the query's limit may have cut something off."""
    limit = re.search(r"[?&;]limit=(\d+)", query)
    return limit is not None and len(rows) >= int(limit[1])


def _point_out(update: recovery.Update | None, plan: Sequence[tuple[Row, Row]]) -> None:
    """Warn of what the catalog would swallow, or set to NULL without being asked."""
    if update is None:
        return
    for what, names in (
        ("are not in the update path: not written", recovery.swallowed(update, plan)),
        ("are missing in some rows: they become NULL", recovery.nulled(update, plan)),
    ):
        if names:
            listed = sorted(names)
            extra = {"event": "swallowed", "columns": listed}
            logger.warning(
                "%s: %s %s", update.path, ", ".join(listed), what, extra=extra
            )
